"""The output and the end of one child process."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable

import psutil
import pytest

from launcher.process import LAST_LINES, running


class Recorder:
    """Keeps what it was given."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.passing: list[str] = []

    def __call__(self, text: str, *, passing: bool) -> None:
        (self.passing if passing else self.lines).append(text)


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


async def test_both_streams_are_relayed_line_by_line(recorder: Recorder) -> None:
    code = "import sys; print('out', flush=True); print('err', file=sys.stderr); print('end', end='')"
    async with running("shard", python(code), os.environ, relay=recorder) as process:
        assert await process.wait() == 0
    assert recorder.lines == ["out", "err", "end"]


async def test_a_progress_bar_passes_and_is_no_last_line(recorder: Recorder) -> None:
    code = r"print('  10 %\r  20 %\rdone', flush=True)"
    async with running("shard", python(code), os.environ, relay=recorder) as process:
        await process.wait()
    assert recorder.passing == ["  10 %", "  20 %"]
    assert list(process.last_lines) == ["done"]


async def test_a_line_longer_than_any_buffer_is_relayed_whole(recorder: Recorder) -> None:
    async with running("shard", python("print('x' * 1_000_000)"), os.environ, relay=recorder) as process:
        await process.wait()
    assert recorder.lines == ["x" * 1_000_000]


async def test_bytes_that_are_no_text_do_not_end_the_relay(recorder: Recorder) -> None:
    code = r"import sys; sys.stdout.buffer.write(b'\xff\xfe\nnext\n')"
    async with running("shard", python(code), os.environ, relay=recorder) as process:
        await process.wait()
    assert recorder.lines[-1] == "next"


async def test_only_the_last_lines_are_kept(recorder: Recorder) -> None:
    code = f"print(*range({LAST_LINES} + 5), sep='\\n')"
    async with running("shard", python(code), os.environ, relay=recorder) as process:
        await process.wait()
    assert list(process.last_lines) == [str(n) for n in range(5, LAST_LINES + 5)]


async def test_the_exit_code_tells_the_signal(recorder: Recorder) -> None:
    code = "import signal; print('up', flush=True); signal.pause()"
    async with running("shard", python(code), os.environ, relay=recorder) as process:
        process.terminate()
        assert await process.wait() == -signal.SIGTERM


async def test_what_a_child_started_is_gone_with_it(
    recorder: Recorder, ends: Callable[[psutil.Process], bool]
) -> None:
    code = (
        "import os, subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import signal; signal.pause()'])\n"
        "print(child.pid, flush=True)\n"
        "os._exit(3)\n"
    )
    async with running("grammar_service", python(code), os.environ, relay=recorder) as process:
        assert await process.wait() == 3
    grandchild = int(recorder.lines[0])
    assert not psutil.pid_exists(grandchild) or ends(psutil.Process(grandchild))


async def test_leaving_the_block_ends_a_child_that_ignores_signals(recorder: Recorder) -> None:
    code = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile True: signal.pause()"
    async with running("router", python(code), os.environ, relay=recorder) as process:
        process.terminate()
    assert not process.running


async def test_a_child_is_in_a_session_of_its_own(recorder: Recorder) -> None:
    code = "import os; print(os.getsid(0) == os.getpid())"
    async with running("router", python(code), os.environ, relay=recorder) as process:
        await process.wait()
    assert recorder.lines == ["True"]
