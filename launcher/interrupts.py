"""Ctrl-C and its relatives: the first asks to drain, the second to end at once."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """`kill` is never set before `drain`."""

    def __init__(self) -> None:
        self.drain = asyncio.Event()
        self.kill = asyncio.Event()

    def interrupt(self) -> None:
        """One more signal came."""
        (self.kill if self.drain.is_set() else self.drain).set()

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Within the block, signals set the events instead of ending this process."""
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            loop.add_signal_handler(number, self.interrupt)
        try:
            yield
        finally:
            for number in SIGNALS:
                loop.remove_signal_handler(number)
