"""How `guiderail serve` ends, and that nothing of it is left."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import httpx
import psutil

ENDLESS = {
    "type": "json",
    "value": {"type": "array", "items": {"enum": ["red", "green", "blue"]}, "minItems": 400},
}
"""An answer that takes more tokens than any test asks for."""


def processes_of(server: Any) -> list[psutil.Process]:
    """All that it started, and what those started."""
    return psutil.Process(server.process.pid).children(recursive=True)


def named(processes: list[psutil.Process], name: str) -> psutil.Process:
    """The process of the service `name`."""
    (process,) = (process for process in processes if process.cmdline()[-2:] == ["-m", name])
    return process


def left(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Those that do not end within half a minute."""
    return [process for process in processes if not ends(process)]


def ends(process: psutil.Process) -> bool:
    """One that nobody reaps has ended all the same."""
    with suppress(psutil.NoSuchProcess):
        for _ in range(300):
            if process.status() == psutil.STATUS_ZOMBIE:
                return True
            with suppress(psutil.TimeoutExpired):
                process.wait(timeout=0.1)
        return False
    return True


def test_a_shard_that_is_killed_stops_the_others_with_its_last_lines(serve: Callable[[], Any]) -> None:
    server = serve()
    processes = processes_of(server)
    named(processes, "shard").kill()
    assert server.wait() == 1
    printed = "\n".join(server.lines)
    explanation = printed[printed.index("shard was killed by SIGKILL") :]
    assert "INFO shard" in explanation, "its last lines are missing"
    assert not left(processes)


def test_an_interrupt_lets_a_running_request_finish_and_leaves_nothing(serve: Callable[[], Any]) -> None:
    server = serve()
    processes = processes_of(server)
    tokens, started = 100, threading.Event()
    body = {
        "inputs": "Once upon a time",
        "parameters": {
            "max_new_tokens": tokens,
            "details": True,
            "grammar": ENDLESS,
        },
    }
    events: list[str] = []

    def read() -> None:
        with httpx.stream("POST", f"{server.url}/generate_stream", json=body, timeout=120) as response:
            for line in response.iter_lines():
                if line:
                    events.append(line)
                    started.set()

    reader = threading.Thread(target=read)
    reader.start()
    assert started.wait(timeout=60)
    server.process.send_signal(signal.SIGINT)
    assert server.wait() == 0
    reader.join(timeout=60)
    assert len(events) == tokens
    assert '"finish_reason":"length"' in events[-1]
    assert not [process for process in processes if process.is_running()], "not even for a moment"


def test_a_launcher_that_is_killed_leaves_nothing(serve: Callable[[], Any]) -> None:
    server = serve()
    processes = processes_of(server)
    server.process.kill()
    assert not left(processes)
