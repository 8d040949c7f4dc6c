"""The processes that rank 0 starts on its own machine: their start, their watch, their end."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from time import monotonic
from typing import NoReturn

GRACE_SECONDS = 5.0
"""What this process gets to end in when a follower is gone, and followers when this one ends."""

logger = logging.getLogger(__name__)


class Followers:
    """Ranks 1 to size - 1. They live no longer than this process: it alone holds their standard inputs open.

    When one ends by itself the model cannot go on, and what waits for it may wait for ever. So from then on
    this process has `GRACE_SECONDS` to tell its callers and end, before it is ended.
    """

    def __init__(self, *, size: int, port: int, environment: Mapping[str, str]) -> None:
        """Start them. They meet rank 0 at `port` on the loopback."""
        self.lost: Future[str] = Future()
        """Which rank ended by itself, and how. Not done for as long as none has."""
        self._size = size
        self._closing = threading.Event()
        self._processes = [self._start(rank, port, environment) for rank in range(1, size)]
        for rank, process in enumerate(self._processes, start=1):
            threading.Thread(target=self._watch, args=(rank, process), daemon=True).start()

    def close(self, *, told: bool) -> None:
        """Wait for their end, and make it if need be.

        Args:
            told: whether they know that it is over, and end by themselves.
        """
        self._closing.set()
        if told:
            self._wait()
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.close()
        self._wait()
        for rank, process in enumerate(self._processes, start=1):
            if told and process.returncode != 0:
                logger.warning("rank %d of %d did not end by itself", rank, self._size)
        self._kill()

    def _wait(self) -> None:
        """Wait until all have ended, but no longer than `GRACE_SECONDS`."""
        until = monotonic() + GRACE_SECONDS
        for process in self._processes:
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, until - monotonic()))

    def _start(self, rank: int, port: int, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
        place = {
            "RANK": str(rank),
            "WORLD_SIZE": str(self._size),
            "LOCAL_RANK": str(rank),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port),
            "SHARD_TETHERED": "1",
        }
        command = (sys.executable, *sys.orig_argv[1:])  # as this process itself
        return subprocess.Popen(command, env={**environment, **place}, stdin=subprocess.PIPE)

    def _watch(self, rank: int, process: subprocess.Popen[bytes]) -> None:
        code = process.wait()
        if self._closing.is_set():
            return
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        message = f"rank {rank} of {self._size} {how}"
        try:
            self.lost.set_result(message)
        except InvalidStateError:  # another one was lost before, and took this one along
            return
        logger.error("%s", message)
        if not self._closing.wait(GRACE_SECONDS):
            self._kill()
            leave(message)

    def _kill(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait()


def leave(message: str) -> NoReturn:
    """End this process at once, and say why: whatever else is to be done might wait for a lost rank."""
    sys.stderr.write(f"shard: {message}\n")
    sys.stderr.flush()
    os._exit(1)


def tether() -> None:
    """End this process when its standard input ends, as it does when the process that started it is gone."""

    def wait() -> None:
        os.read(0, 1)  # not by sys.stdin, whose lock must be free when the interpreter ends
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
