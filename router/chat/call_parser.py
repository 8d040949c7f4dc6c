"""Reads tool calls out of an answer while it comes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from router.chat.formats.syntax import CallSyntax
from router.chat.json_end import JsonEnd
from router.chat.undecided import undecided


@dataclass(frozen=True)
class Text:
    """Text outside of calls."""

    text: str


@dataclass(frozen=True)
class CallBegins:
    """A call of this tool; its arguments follow."""

    name: str


@dataclass(frozen=True)
class Arguments:
    """A piece of the arguments of the call that began last."""

    text: str


Piece: TypeAlias = Text | CallBegins | Arguments


class CallParser:
    """Holds back only what it cannot tell yet: what may begin a call, and white space that may stand before
    one.

    The answer matches the grammar of its syntax. One that does not is text from where it stops matching.
    """

    def __init__(self, syntax: CallSyntax, names: Sequence[str], *, text_first: bool) -> None:
        """`names` are those of the tools that may be called; `text_first` says whether text may precede."""
        self._syntax = syntax
        self._begins = {syntax.begin(name): name for name in names}
        self._held = ""
        self._arguments = JsonEnd()
        self._pieces: list[Piece] = []
        self._step: Callable[[], bool] = self._text if text_first else self._open
        """Reads from what is held; says whether the next step can read, too."""

    def add(self, text: str) -> list[Piece]:
        """What `text`, the next piece of the answer, tells."""
        self._held += text
        while self._held and self._step():
            pass
        return self._told()

    def end(self) -> list[Piece]:
        """What the end of the answer tells: text that might have become a call. A call that was cut off
        before its arguments is not told at all.
        """
        if self._step == self._text:
            self._tell(Text(self._held))
        return self._told()

    def _told(self) -> list[Piece]:
        told, self._pieces = self._pieces, []
        return told

    def _tell(self, piece: Text | Arguments) -> None:
        if piece.text:
            self._pieces.append(piece)

    def _text(self) -> bool:
        first = self._syntax.first
        text, found, _ = self._held.partition(first)
        certain = len(text) if found else len(text) - undecided(text, first)
        told = text[:certain].rstrip()
        self._tell(Text(told))
        if found:
            self._held = self._held[len(text) :]
            self._step = self._open
            return True
        self._held = self._held[len(told) :]
        return False

    def _open(self) -> bool:
        return self._literal(self._syntax.open, then=self._begin)

    def _begin(self) -> bool:
        for begin, name in self._begins.items():
            if self._held.startswith(begin):
                self._held = self._held[len(begin) :]
                self._pieces.append(CallBegins(name))
                self._arguments = JsonEnd()
                self._step = self._in_arguments
                return True
        return not any(begin.startswith(self._held) for begin in self._begins) and self._give_up()

    def _in_arguments(self) -> bool:
        end = self._arguments.find(self._held)
        self._tell(Arguments(self._held[:end]))
        if end is None:
            self._held = ""
            return False
        self._held = self._held[end:]
        self._step = self._end
        return True

    def _end(self) -> bool:
        return self._literal(self._syntax.end, then=self._between)

    def _between(self) -> bool:
        close = self._syntax.close
        if close and (self._held.startswith(close) or close.startswith(self._held)):
            return self._literal(close, then=self._rest)
        return self._literal(self._syntax.separator, then=self._begin)

    def _rest(self) -> bool:
        self._tell(Text(self._held))
        self._held = ""
        return False

    def _literal(self, expected: str, *, then: Callable[[], bool]) -> bool:
        if self._held.startswith(expected):
            self._held = self._held[len(expected) :]
            self._step = then
            return True
        return not expected.startswith(self._held) and self._give_up()

    def _give_up(self) -> bool:
        self._step = self._rest
        return True
