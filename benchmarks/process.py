"""Servers in processes of their own, ready for as long as a block is open."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def running(
    command: Sequence[str],
    environment: Mapping[str, str],
    *,
    healthy: Callable[[], bool],
    seconds: float,
    ending: signal.Signals = signal.SIGTERM,
) -> Iterator[None]:
    """Start a command and wait until it is `healthy`; it gets the signal `ending` when the block is left.

    Args:
        environment: set besides what is set here.
        seconds: how long it may take to start.

    Raises:
        RuntimeError: it does not start; the message has the end of what it said.
    """
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                command, env={**os.environ, **environment}, stdout=output, stderr=output
            )
        try:
            started = time.monotonic()
            while not healthy():
                if process.poll() is not None or time.monotonic() - started > seconds:
                    raise RuntimeError(f"{process.args!r} does not start:\n{log.read_text()[-4000:]}")
                time.sleep(0.5)
            yield
        finally:
            process.send_signal(ending)
            process.wait()
