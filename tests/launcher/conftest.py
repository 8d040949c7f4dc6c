"""Services small enough to be read at a glance, and a display that can be read back."""

from __future__ import annotations

import asyncio
import io
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from rich.console import Console

from launcher.display import Display, Endpoints
from launcher.service import Service

FAKE_SERVICE = """
import signal, sys
from pathlib import Path

name, folder, mode = sys.argv[1], Path(sys.argv[2]), sys.argv[3]

def drain(*_):
    with (folder / "journal").open("a") as journal:
        journal.write(f"{name} drained\\n")
    sys.exit(0)

signal.signal(signal.SIGTERM, signal.SIG_IGN if mode == "deaf" else drain)
print(f"{name} was started", flush=True)
if mode == "broken":
    print("no such model", file=sys.stderr, flush=True)
    sys.exit(7)
if mode != "slow":
    (folder / name).touch()
while True:
    signal.pause()
"""
"""Modes: plain (healthy once its file is there), deaf (to SIGTERM), broken (ends), slow (never healthy)."""


class Output(io.StringIO):
    """What the display printed, and a way to wait for more."""

    def __init__(self) -> None:
        super().__init__()
        self._written = asyncio.Event()

    def write(self, text: str) -> int:
        self._written.set()
        return super().write(text)

    async def until(self, text: str) -> None:
        """Wait until `text` has been printed."""
        async with asyncio.timeout(30):
            while text not in self.getvalue():
                self._written.clear()
                await self._written.wait()


@pytest.fixture
def output() -> Output:
    return Output()


@pytest.fixture
def display(output: Output) -> Display:
    return Display(
        Console(file=output, width=200),
        Endpoints("http://127.0.0.1:3000", "127.0.0.1:50051", "127.0.0.1:50052"),
    )


@pytest.fixture
def fake_service(tmp_path: Path) -> Callable[..., Service]:
    """Makes a service that is one tiny process; `tmp_path / "journal"` tells in which order they drained."""

    def make(name: str, mode: str = "plain") -> Service:
        return Service(
            name=name,
            command=(sys.executable, "-c", FAKE_SERVICE, name, str(tmp_path), mode),
            environment=dict(os.environ),
            healthy=(tmp_path / name).exists,
        )

    return make


@pytest.fixture
def ends() -> Callable[[psutil.Process], bool]:
    """Whether a process ends within half a minute. One that nobody reaps has ended all the same."""

    def ends(process: psutil.Process) -> bool:
        with suppress(psutil.NoSuchProcess):
            for _ in range(300):
                if process.status() == psutil.STATUS_ZOMBIE:
                    return True
                with suppress(psutil.TimeoutExpired):
                    process.wait(timeout=0.1)
            return False
        return True

    return ends
