"""Characters, escapes and sets: what a pattern writes for one character."""

from __future__ import annotations

from dataclasses import dataclass

from grammar_service.regex.case import without_case
from grammar_service.regex.cursor import Cursor, Dialect, RegexError
from grammar_service.regex.properties import with_property
from grammar_service.regex.tree import ANY, CharacterSet

_DIGIT = CharacterSet.of([(0x30, 0x39)])
WORD = CharacterSet.of([(0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A)])
_SPACE = CharacterSet.of([(0x09, 0x0D), (0x20, 0x20)])
_ECMA_SPACE = CharacterSet.of(
    [(p, p) for p in (0xA0, 0x1680, 0x202F, 0x205F, 0x3000, 0xFEFF)]
    + [(0x2000, 0x200A), (0x2028, 0x2029), *_SPACE.ranges]
)
# \d and \w are ASCII in both dialects: in ECMA-262 by its letter, in Python because callers mean that. \s is
# that only in Python; in ECMA-262 it is all white space and line terminators that it knows.
_SHARED = {"d": _DIGIT, "D": _DIGIT.complement, "w": WORD, "W": WORD.complement}
_CLASSES = {
    Dialect.ECMA: {**_SHARED, "s": _ECMA_SPACE, "S": _ECMA_SPACE.complement},
    Dialect.PYTHON: {**_SHARED, "s": _SPACE, "S": _SPACE.complement},
}
_CONTROLS = {"t": 0x09, "n": 0x0A, "v": 0x0B, "f": 0x0C, "r": 0x0D}
LINE_ENDS = {
    Dialect.ECMA: CharacterSet.of([(0x0A, 0x0A), (0x0D, 0x0D), (0x2028, 0x2029)]),
    Dialect.PYTHON: CharacterSet.of([(0x0A, 0x0A)]),
}


@dataclass(frozen=True)
class Flags:
    """What inline flags have changed, where the cursor is."""

    ignore_case: bool = False
    multiline: bool = False
    dot_all: bool = False
    ascii_case: bool = False
    """Only ASCII letters have a case."""


class CharacterReader(Cursor):
    """Reads what stands for one character, as `flags` say."""

    def __init__(self, pattern: str, dialect: Dialect) -> None:
        super().__init__(pattern, dialect)
        self.flags = Flags()

    def dot(self) -> CharacterSet:
        """What a dot stands for."""
        return ANY if self.flags.dot_all else LINE_ENDS[self.dialect].complement

    def literal(self, point: int) -> CharacterSet:
        """The character itself, and its other case where that makes no difference."""
        return self._folded(CharacterSet(((point, point),)))

    def set(self, start: int) -> CharacterSet:
        """Read a set up to its ]; its [ stood at `start`."""
        negated = self.take("^")
        ranges: list[tuple[int, int]] = []
        first = self.position
        while not (self.peek() == "]" and (self.position > first or self.dialect is Dialect.ECMA)):
            ranges.extend(self._set_member(start))
        self.position += 1
        members = CharacterSet.of(ranges)
        return members.complement if negated else members

    def escape(self, start: int) -> CharacterSet:
        """Read an escape that stands for a character; its backslash stood at `start`."""
        if self.position >= len(self.pattern):
            raise RegexError("the pattern ends in a backslash", start)
        letter = self.next()
        classes = _CLASSES[self.dialect]
        if letter in classes:
            return classes[letter]
        if letter in "pP":
            return self._property(letter == "P", start)
        return self.literal(self._escaped_point(letter, start))

    def _folded(self, members: CharacterSet) -> CharacterSet:
        if not self.flags.ignore_case:
            return members
        return without_case(members, ascii_only=self.flags.ascii_case)

    def _set_member(self, start: int) -> tuple[tuple[int, int], ...]:
        low, is_class = self._single_member(start)
        dash = self.position
        if self.peek() != "-" or self.pattern[dash + 1 : dash + 2] in ("]", ""):
            return low.ranges if is_class else self._folded(low).ranges
        self.position += 1
        high, is_other_class = self._single_member(start)
        if is_class or is_other_class:
            if self.dialect is Dialect.PYTHON:
                raise RegexError("a range needs a character on both sides", dash)
            # In ECMA-262 (annex B) the dash is then a character like another, as in [\w-.].
            sides = [(low, is_class), (high, is_other_class)]
            both = [side if known else self._folded(side) for side, known in sides]
            return (*both[0].ranges, *both[1].ranges, (0x2D, 0x2D))
        first_point, last_point = low.ranges[0][0], high.ranges[0][0]
        if first_point > last_point:
            raise RegexError("the range is out of order", dash)
        return self._folded(CharacterSet(((first_point, last_point),))).ranges

    def _single_member(self, start: int) -> tuple[CharacterSet, bool]:
        """One character as it is written, or a class."""
        if self.position >= len(self.pattern):
            raise RegexError("missing ] for the set", start)
        position, character = self.position, self.next()
        if character != "\\":
            return _single(ord(character)), False
        letter = self.peek()
        if letter and letter in "dDwWsSpP":
            return self.escape(position), True
        if not letter:
            raise RegexError("missing ] for the set", start)
        self.position += 1
        if letter == "b":
            return _single(0x08), False  # in a set, \b is the backspace
        return _single(self._escaped_point(letter, position)), False

    def _property(self, negated: bool, start: int) -> CharacterSet:
        name = self.until("}") if self.take("{") else None
        members = with_property(name) if name else None
        if members is None:
            raise RegexError(f"unknown Unicode property {name or ''}".rstrip(), start)
        if self._folded(members) != members:
            # Standards differ in whether the property or the character loses its case first.
            raise RegexError(f"the Unicode property {name} without regard to case is not supported", start)
        return members.complement if negated else members

    def _escaped_point(self, letter: str, start: int) -> int:
        if letter in _CONTROLS:
            return _CONTROLS[letter]
        if letter == "x":
            return self.hexadecimal(2, start)
        if letter == "u":
            return self._unicode_escape(start)
        if self.dialect is Dialect.PYTHON and letter in "Ua":
            return 0x07 if letter == "a" else self.hexadecimal(8, start)
        if letter == "c" and self.peek().isascii() and self.peek().isalpha():
            return ord(self.next().upper()) - 0x40
        if letter == "0" and not self.peek().isdigit():
            return 0
        if letter == "0":
            raise RegexError("octal escapes are not supported", start)
        if letter.isdigit() or letter == "k":
            raise RegexError("back-references are not supported", start)
        if letter.isascii() and letter.isalpha():
            raise RegexError(f"unknown escape \\{letter}", start)
        return ord(letter)

    def _unicode_escape(self, start: int) -> int:
        if self.take("{"):
            return self.code_point(self.until("}") or "", start)
        point = self.hexadecimal(4, start)
        if 0xD800 <= point < 0xDC00 and self.pattern.startswith("\\u", self.position):
            resume = self.position
            self.position += 2
            low = self.hexadecimal(4, start)
            if 0xDC00 <= low < 0xE000:
                return 0x10000 + ((point - 0xD800) << 10) + (low - 0xDC00)
            self.position = resume
        return point


def _single(point: int) -> CharacterSet:
    return CharacterSet(((point, point),))
