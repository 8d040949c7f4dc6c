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

    def __init__(self, strings: Iterable[str]) -> None:
        """Empty strings are refused before this: every text contains them."""
        self._strings = tuple(strings)
        self._kept = max((len(string) for string in self._strings), default=1) - 1
        self._tail = ""

    def cut(self, piece: str) -> tuple[str, bool]:
        """The piece up to and including the stop string that it completes, and whether it completes one."""
        text = self._tail + piece
        ends = [text.find(string) + len(string) for string in self._strings if string in text]
        if ends:
            return text[len(self._tail) : min(ends)], True
        self._tail = text[-self._kept :] if self._kept else ""
        return piece, False


def finished(
    token_id: int, *, generated: int, max_new_tokens: int, eos_ids: Collection[int]
) -> FinishReason | None:
    """Whether the answer ends with this token, the `generated`-th, whatever its text is.

    A model that ends its answer with the last token it may use has ended it by itself.
    """
    if token_id in eos_ids:
        return FinishReason.EOS_TOKEN
    return FinishReason.LENGTH if generated >= max_new_tokens else None
