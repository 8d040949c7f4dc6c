"""A place in a pattern, and the reading of what stands there."""

from __future__ import annotations

from enum import Enum

from grammar_service.automata.columns import END_OF_UNICODE
from protos.errors import InvalidRequestError


class RegexError(InvalidRequestError):
    """A pattern that is wrong, or asks for what no automaton can do. Positions count characters from 0."""

    def __init__(self, why: str, position: int) -> None:
        super().__init__(f"{why} at position {position} of the pattern")
        self.position = position


class Dialect(Enum):
    """Whose syntax a pattern is in; where they agree it makes no difference."""

    ECMA = "ECMA-262"
    PYTHON = "Python"


class Cursor:
    """`position` is always that of the next character to read."""

    def __init__(self, pattern: str, dialect: Dialect) -> None:
        self.pattern = pattern
        self.dialect = dialect
        self.position = 0

    def peek(self) -> str:
        """The next character; none at the end."""
        return self.pattern[self.position : self.position + 1]

    def next(self) -> str:
        """Read one character, which must be there."""
        self.position += 1
        return self.pattern[self.position - 1]

    def take(self, text: str) -> bool:
        """Read `text` if it is next."""
        taken = self.pattern.startswith(text, self.position)
        self.position += len(text) * taken
        return taken

    def until(self, end: str) -> str | None:
        """Read up to `end`, and `end`; nothing if it does not come."""
        found = self.pattern.find(end, self.position)
        if found < 0:
            return None
        text = self.pattern[self.position : found]
        self.position = found + len(end)
        return text

    def hexadecimal(self, count: int, start: int) -> int:
        """Read a code point of `count` digits, for an escape that began at `start`."""
        digits = self.pattern[self.position : self.position + count]
        self.position += count
        if len(digits) != count:
            raise RegexError("bad hexadecimal escape", start)
        return self.code_point(digits, start)

    @staticmethod
    def code_point(digits: str, start: int) -> int:
        """The code point that hexadecimal digits write, in an escape that began at `start`."""
        if not digits or len(digits) > 8 or any(d not in "0123456789abcdefABCDEF" for d in digits):
            raise RegexError("bad hexadecimal escape", start)
        if int(digits, 16) >= END_OF_UNICODE:
            raise RegexError("the escape is beyond Unicode", start)
        return int(digits, 16)
