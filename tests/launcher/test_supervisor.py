"""Services that start, drain, end and are killed together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import psutil
import pytest

from launcher.display import Display
from launcher.interrupts import Interrupts
from launcher.service import Service
from launcher.supervisor import Exit, Supervisor

MakeService = Callable[..., Service]
Children = Callable[[], list[psutil.Process]]


class Output(Protocol):
    """The conftest's."""

    async def until(self, text: str) -> None: ...

    def getvalue(self) -> str: ...


class Run:
    """A supervisor at work, and what a test does to it."""

    def __init__(self, *stages: tuple[Service, ...], display: Display, grace: float = 30.0) -> None:
        self.interrupts = Interrupts()
        supervisor = Supervisor(stages, display=display, interrupts=self.interrupts, grace=grace)
        self.exit = asyncio.create_task(supervisor.run())


@pytest.fixture
def children() -> Children:
    """The processes that were started since the test began; those of other tests' fixtures run on."""
    others = set(psutil.Process().children())
    return lambda: [child for child in psutil.Process().children() if child not in others]


async def test_a_request_would_succeed_when_the_url_is_printed(
    fake_service: MakeService, display: Display, output: Output, tmp_path: Path
) -> None:
    run = Run((fake_service("shard"),), (fake_service("router"),), display=display)
    await output.until("ready at")
    assert (tmp_path / "shard").exists()
    assert (tmp_path / "router").exists()
    assert "curl http://127.0.0.1:3000/generate" in output.getvalue()
    run.interrupts.interrupt()
    assert await run.exit == Exit.STOPPED


async def test_a_stage_starts_only_when_the_one_before_is_healthy(
    fake_service: MakeService, display: Display, output: Output
) -> None:
    run = Run((fake_service("shard", "slow"),), (fake_service("router"),), display=display)
    await output.until("shard was started")
    run.interrupts.interrupt()
    assert await run.exit == Exit.STOPPED
    assert "router was started" not in output.getvalue()


async def test_an_interrupt_drains_the_latest_service_first(
    fake_service: MakeService, display: Display, output: Output, tmp_path: Path, children: Children
) -> None:
    stages = ((fake_service("grammar_service"), fake_service("shard")), (fake_service("router"),))
    run = Run(*stages, display=display)
    await output.until("ready at")
    run.interrupts.interrupt()
    assert await run.exit == Exit.STOPPED
    journal = (tmp_path / "journal").read_text().splitlines()
    assert journal == ["router drained", "shard drained", "grammar_service drained"]
    assert not children()


async def test_a_second_interrupt_kills_at_once(
    fake_service: MakeService, display: Display, output: Output, children: Children
) -> None:
    run = Run((fake_service("shard"),), (fake_service("router", "deaf"),), display=display)
    await output.until("ready at")
    run.interrupts.interrupt()
    await output.until("Ctrl-C again stops at once")
    run.interrupts.interrupt()
    assert await run.exit == Exit.KILLED
    assert not children()


async def test_a_service_that_does_not_drain_in_time_is_killed(
    fake_service: MakeService, display: Display, output: Output, children: Children
) -> None:
    run = Run((fake_service("shard", "deaf"),), display=display, grace=0.2)
    await output.until("ready at")
    run.interrupts.interrupt()
    assert await run.exit == Exit.STOPPED
    assert "killing shard" in output.getvalue()
    assert not children()


async def test_a_service_that_is_killed_stops_the_others_and_is_named(
    fake_service: MakeService, display: Display, output: Output, tmp_path: Path, children: Children
) -> None:
    run = Run((fake_service("shard"),), (fake_service("router"),), display=display)
    await output.until("ready at")
    (shard,) = (child for child in children() if "shard" in child.cmdline())
    shard.kill()
    assert await run.exit == Exit.SERVICE_ENDED
    printed = output.getvalue()
    explanation = printed[printed.index("shard was killed by SIGKILL") :]
    assert "shard was started" in explanation, "the last lines are missing"
    assert (tmp_path / "journal").read_text() == "router drained\n"
    assert not children()


async def test_a_service_that_ends_while_it_starts_is_explained_by_its_last_lines(
    fake_service: MakeService, display: Display, output: Output, children: Children
) -> None:
    run = Run((fake_service("grammar_service"), fake_service("shard", "broken")), display=display)
    assert await run.exit == Exit.SERVICE_ENDED
    printed = output.getvalue()
    assert "no such model" in printed[printed.index("shard ended with exit code 7") :]
    assert not children()


async def test_a_program_that_is_not_there_is_the_end_of_that_service(display: Display) -> None:
    missing = Service(name="shard", command=("/does/not/exist",), environment={}, healthy=lambda: False)
    run = Run((missing,), display=display)
    assert await run.exit == Exit.SERVICE_ENDED


@pytest.mark.parametrize("interrupts", [1, 2])
async def test_interrupts_while_starting_leave_nothing_behind(
    interrupts: int, fake_service: MakeService, display: Display, output: Output, children: Children
) -> None:
    run = Run((fake_service("shard", "slow"),), display=display)
    await output.until("shard was started")
    for _ in range(interrupts):
        run.interrupts.interrupt()
    assert await run.exit in (Exit.STOPPED, Exit.KILLED)
    assert not children()
