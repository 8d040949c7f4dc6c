"""The outcomes that this process remembers: the most recently used ones."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from grammar_service.outcome import Outcome, Refused


@dataclass(frozen=True)
class _Entry:
    outcome: Outcome
    size: int
    expires: float


class MemoryCache:
    """A least-recently-used cache, never over `max_entries` entries or `max_bytes` bytes of outcomes."""

    def __init__(
        self,
        *,
        max_entries: int,
        max_bytes: int,
        passing_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`passing_seconds`: how long a refusal that is not lasting is remembered."""
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._passing_seconds = passing_seconds
        self._clock = clock
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: str) -> Outcome | None:
        """What is remembered under `key`, which becomes the most recently used."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry.expires <= self._clock():
            self._forget(key)
            return None
        self._entries.move_to_end(key)
        return entry.outcome

    def put(self, key: str, outcome: Outcome) -> None:
        """Remember `outcome`, and forget the least recently used ones that there is no more room for."""
        if key in self._entries:
            self._forget(key)
        passing = isinstance(outcome, Refused) and not outcome.lasting
        expires = self._clock() + self._passing_seconds if passing else float("inf")
        entry = _Entry(outcome, len(key) + len(outcome.payload), expires)
        self._entries[key] = entry
        self._bytes += entry.size
        while len(self._entries) > self._max_entries or self._bytes > self._max_bytes:
            self._forget(next(iter(self._entries)))

    def _forget(self, key: str) -> None:
        self._bytes -= self._entries.pop(key).size
