"""What compiles in the background helps when it works, and harms nothing when it does not."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from pathlib import Path

import psutil
import pytest

from shard.compilation import Compilation


def python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", code)


async def test_what_has_been_made_is_installed(tmp_path: Path) -> None:
    library = tmp_path / "library"
    installed: list[bytes] = []
    making = python(f"open({str(library)!r}, 'wb').write(b'code')")
    await Compilation(library, lambda: installed.append(library.read_bytes()), command=making).run()
    assert installed == [b"code"]


@pytest.mark.parametrize("code", ["raise SystemExit(3)", "pass", "import os; os.kill(os.getpid(), 9)"])
async def test_nothing_is_installed_when_nothing_was_made(
    tmp_path: Path, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    def install() -> None:
        raise AssertionError

    with caplog.at_level(logging.WARNING):
        await Compilation(tmp_path / "library", install, command=python(code)).run()
    assert "steps are not compiled: the compiler ended with exit code" in caplog.text


async def test_what_proves_wrong_is_told_and_not_raised(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def install() -> None:
        raise ArithmeticError("its outputs differ")

    with caplog.at_level(logging.WARNING):
        await Compilation(tmp_path, install, command=python("pass")).run()
    assert "steps are not compiled: its outputs differ" in caplog.text


async def test_the_end_of_the_shard_ends_the_compiler_and_what_it_started(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    code = f"""
import pathlib, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
pathlib.Path({str(pipe)!r}).write_text(str(child.pid))
child.wait()
"""
    running = asyncio.create_task(Compilation(tmp_path / "no", lambda: None, command=python(code)).run())
    started = psutil.Process(int(await asyncio.to_thread(pipe.read_text)))
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await asyncio.to_thread(started.wait, 30)
