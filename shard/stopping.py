"""When an answer ends."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from enum import Enum, auto


class FinishReason(Enum):
    """Why an answer ended."""

    LENGTH = auto()
    EOS_TOKEN = auto()
    STOP_SEQUENCE = auto()


class StopStrings:
    """Finds the end of the first stop string in a text that arrives in pieces.

    Keeps only as much of the text as a stop string that is not complete yet could begin in.
    """

    def __init__(self, strings: Iterable[str], *, exclude: bool = False) -> None:
        """Empty strings are refused before this: every text contains them.

        With `exclude`, no character of the stop string that ends the text is given out: what could be the
        beginning of one is held back until that is decided.
        """
        self._strings = tuple(strings)
        self._exclude = exclude
        self._kept = max((len(string) for string in self._strings), default=1) - 1
        self._tail = ""
        self._held = 0
        """Characters at the end of the tail that have not been given out."""

    def cut(self, piece: str, *, stopping: bool = True) -> tuple[str, bool]:
        """What may be given out now, and whether the piece completes a stop string, which ends the text.

        Stop strings that are completed while not `stopping` are text like any other.
        """
        read = len(self._tail)
        text = self._tail + piece
        begin = read - self._held
        matches = self._matches(text, read) if stopping else []
        if matches:
            end, start = min(matches)
            self._held = 0
            return text[begin : start if self._exclude else end], True
        self._held = self._undecided(text) if self._exclude else 0
        given = text[begin : len(text) - self._held]
        self._tail = text[-self._kept :] if self._kept else ""
        return given, False

    def flush(self) -> str:
        """What is held back when the text ends without a stop string."""
        held = self._tail[len(self._tail) - self._held :]
        self._held = 0
        return held

    def _matches(self, text: str, read: int) -> list[tuple[int, int]]:
        """(end, start) of each stop string where it first ends after the first `read` characters."""
        found = [(string, text.find(string, max(0, read - len(string) + 1))) for string in self._strings]
        return [(start + len(string), start) for string, start in found if start >= 0]

    def _undecided(self, text: str) -> int:
        """The length of the longest end of the text that is the beginning of a stop string."""
        longest = 0
        for string in self._strings:
            start = text.find(string[0], max(0, len(text) - len(string) + 1))
            while start >= 0 and not string.startswith(text[start:]):
                start = text.find(string[0], start + 1)
            if start >= 0:
                longest = max(longest, len(text) - start)
        return longest


def finished(
    token_id: int,
    *,
    generated: int,
    max_new_tokens: int,
    eos_ids: Collection[int],
    stop_ids: Collection[int] = (),
) -> FinishReason | None:
    """Whether the answer ends with this token, the `generated`-th, whatever its text is.

    A model that ends its answer with the last token it may use has ended it by itself.
    """
    if token_id in eos_ids:
        return FinishReason.EOS_TOKEN
    if token_id in stop_ids:
        return FinishReason.STOP_SEQUENCE
    return FinishReason.LENGTH if generated >= max_new_tokens else None
