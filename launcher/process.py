"""One child process with everything it starts itself: its output line by line, its end, its ending."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Protocol

LAST_LINES = 20
"""How many lines of output are kept to explain an end."""

_LINE_END = re.compile(rb"\r\n|[\r\n]")
_DRAIN_OUTPUT_SECONDS = 2.0
_REAP_SECONDS = 5.0
_REAP_INTERVAL_SECONDS = 0.01


class Relay(Protocol):
    """Where the output of a process goes, line by line."""

    def __call__(self, text: str, *, passing: bool) -> None:
        """Take one line; a `passing` one, such as a state of a progress bar, is overwritten by the next."""


class Process:
    """A running child in a session of its own, so that a terminal's Ctrl-C reaches only the launcher.

    Its process group dies with it: whatever it started and left behind is killed.
    """

    def __init__(
        self, name: str, child: asyncio.subprocess.Process, output: asyncio.StreamReader, *, relay: Relay
    ) -> None:
        self.name = name
        self.last_lines: deque[str] = deque(maxlen=LAST_LINES)
        self._child = child
        self._output = output
        self._relay = relay
        self._reading = asyncio.create_task(self._read())
        self._gone = False

    @property
    def pid(self) -> int:
        """The child's process id, which is its process group's too."""
        return self._child.pid

    @property
    def running(self) -> bool:
        """Whether the child has not ended yet."""
        return self._child.returncode is None

    def terminate(self) -> None:
        """Ask the child to drain and end; what it started is for it to end."""
        if self.running:
            self._child.terminate()

    def kill(self) -> None:
        """End the child and all it started, at once."""
        if not self._gone:  # afterwards the number may belong to somebody else
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)

    async def wait(self) -> int:
        """Wait for the child's end, end what it left behind, read all it printed.

        Once it returns, none of these is left; but where this process does not adopt orphans, those may take
        another moment.

        Returns its exit code, or -N if signal N ended it.
        """
        code = await self._child.wait()
        self.kill()  # what is left behind would hold the output open
        self._gone = True
        await _reaped(self.pid)
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(self._reading), _DRAIN_OUTPUT_SECONDS)
        return code

    async def _read(self) -> None:
        pending = b""
        while chunk := await self._output.read(65536):
            pending += chunk
            begin = 0
            for end in _LINE_END.finditer(pending):
                self._hand_on(pending[begin : end.start()], passing=end[0] == b"\r")
                begin = end.end()
            pending = pending[begin:]
        self._hand_on(pending, passing=False)

    def _hand_on(self, line: bytes, *, passing: bool) -> None:
        text = line.decode(errors="replace").rstrip()
        if not text:
            return
        if not passing:
            self.last_lines.append(text)
        self._relay(text, passing=passing)


async def _reaped(group: int) -> None:
    """Wait until none of `group` is left that this process has adopted (see `kinship.adopt_orphans`)."""
    with suppress(ChildProcessError, TimeoutError):  # there is none, or not any more
        async with asyncio.timeout(_REAP_SECONDS):
            while True:
                if os.waitpid(-group, os.WNOHANG) == (0, 0):  # noqa: ASYNC222 # it does not wait
                    await asyncio.sleep(_REAP_INTERVAL_SECONDS)


@asynccontextmanager
async def running(
    name: str, command: Sequence[str], environment: Mapping[str, str], *, relay: Relay
) -> AsyncIterator[Process]:
    """Start `command`, tethered to this process (see `launcher.tether`); when the block is left, it is gone.

    What it prints, on either stream, goes to `relay`.
    """
    async with _pipe() as (output, write_end):
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "launcher.tether", str(os.getpid()), *command),
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=write_end,
            stderr=write_end,
            start_new_session=True,
        )
        os.close(write_end)
        process = Process(name, child, output, relay=relay)
        try:
            yield process
        finally:
            process.kill()
            await process.wait()


@asynccontextmanager
async def _pipe() -> AsyncIterator[tuple[asyncio.StreamReader, int]]:
    """A pipe whose write end, a file descriptor, is the caller's to close.

    With `asyncio.subprocess.PIPE`, waiting for a child may also wait for whatever else holds its output open.
    """
    read_end, write_end = os.pipe()
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(read_end, "rb", buffering=0)
    )
    try:
        yield reader, write_end
    finally:
        transport.close()
