"""The syntax of regular expressions: ECMA-262's, which JSON Schema uses, and Python's."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import cached_property

from grammar_service.automata.dfa import END_OF_UNICODE
from protos.errors import InvalidRequestError

MAX_REPEAT = 100_000
MAX_NESTING = 200


class RegexError(InvalidRequestError):
    """A pattern that is wrong, or asks for what no automaton can do. Positions count characters from 0."""

    def __init__(self, why: str, position: int) -> None:
        super().__init__(f"{why} at position {position} of the pattern")
        self.position = position


class Dialect(Enum):
    """Whose syntax a pattern is in; where they agree it makes no difference."""

    ECMA = "ECMA-262"
    PYTHON = "Python"


@dataclass(frozen=True)
class CharacterSet:
    """One character out of inclusive, ascending, disjoint ranges of code points."""

    ranges: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, ranges: list[tuple[int, int]]) -> CharacterSet:
        """Sort and join the ranges."""
        joined: list[tuple[int, int]] = []
        for low, high in sorted(ranges):
            if joined and low <= joined[-1][1] + 1:
                joined[-1] = (joined[-1][0], max(joined[-1][1], high))
            else:
                joined.append((low, high))
        return cls(tuple(joined))

    @property
    def only_member(self) -> int | None:
        """The character, if there is just one."""
        single = len(self.ranges) == 1 and self.ranges[0][0] == self.ranges[0][1]
        return self.ranges[0][0] if single else None

    @cached_property
    def complement(self) -> CharacterSet:
        """All other characters."""
        edges = [-1, *(edge for low, high in self.ranges for edge in (low, high)), END_OF_UNICODE]
        gaps = zip(edges[::2], edges[1::2], strict=True)
        return CharacterSet(tuple((after + 1, before - 1) for after, before in gaps if after + 1 < before))


@dataclass(frozen=True)
class Anchor:
    """The begin or the end of the text."""

    at_end: bool


@dataclass(frozen=True)
class Concatenation:
    """One part after the other."""

    parts: tuple[Node, ...]


@dataclass(frozen=True)
class Alternation:
    """One of the options."""

    options: tuple[Node, ...]


@dataclass(frozen=True)
class Repetition:
    """`least` to `most` times the same; without `most`, any number more."""

    node: Node
    least: int
    most: int | None


Node = CharacterSet | Anchor | Concatenation | Alternation | Repetition

_DIGIT = CharacterSet.of([(0x30, 0x39)])
_WORD = CharacterSet.of([(0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A)])
_SPACE = CharacterSet.of([(0x09, 0x0D), (0x20, 0x20)])
# ASCII in both dialects: what callers mean by them, and what JSON Schema's own test suite asks of \d and \w.
_CLASSES = {
    "d": _DIGIT,
    "D": _DIGIT.complement,
    "w": _WORD,
    "W": _WORD.complement,
    "s": _SPACE,
    "S": _SPACE.complement,
}
_CONTROLS = {"t": 0x09, "n": 0x0A, "v": 0x0B, "f": 0x0C, "r": 0x0D}
_LINE_ENDS = {
    Dialect.ECMA: CharacterSet.of([(0x0A, 0x0A), (0x0D, 0x0D), (0x2028, 0x2029)]),
    Dialect.PYTHON: CharacterSet.of([(0x0A, 0x0A)]),
}


def parse(pattern: str, dialect: Dialect) -> Node:
    """The tree of a pattern.

    Raises:
        RegexError: the pattern is malformed, or uses look-around, back-references, word boundaries, inline
            flags or other things that are not supported; the message names it and its position.
    """
    parser = _Parser(pattern, dialect)
    tree = parser.alternation(depth=0)
    if parser.position < len(pattern):
        raise RegexError("unmatched )", parser.position)
    return tree


class _Parser:
    """Recursive descent. `position` is always that of the next character to read."""

    def __init__(self, pattern: str, dialect: Dialect) -> None:
        self.pattern = pattern
        self.dialect = dialect
        self.position = 0

    def alternation(self, *, depth: int) -> Node:
        if depth > MAX_NESTING:
            raise RegexError(f"groups nested deeper than {MAX_NESTING}", self.position)
        options = [self._concatenation(depth)]
        while self._take("|"):
            options.append(self._concatenation(depth))
        return options[0] if len(options) == 1 else Alternation(tuple(options))

    def _concatenation(self, depth: int) -> Node:
        parts: list[Node] = []
        while self.position < len(self.pattern) and self._peek() not in "|)":
            parts.append(self._repetition(self._atom(depth)))
        return parts[0] if len(parts) == 1 else Concatenation(tuple(parts))

    def _repetition(self, node: Node) -> Node:
        start = self.position
        bounds = self._bounds()
        if bounds is None:
            return node
        least, most = bounds
        if most is not None and most < least:
            raise RegexError(f"repetition {{{least},{most}}} is out of order", start)
        if max(least, most or 0) > MAX_REPEAT:
            raise RegexError(f"repetition of more than {MAX_REPEAT} times", start)
        if self._peek() == "+":
            raise RegexError("possessive repetition is not supported", self.position)
        self._take("?")  # lazy: the same language
        if self._bounds() is not None:
            raise RegexError("multiple repeat", start)
        return Repetition(node, least, most)

    def _bounds(self) -> tuple[int, int | None] | None:
        """Read *, +, ? or {n,m} if one is next."""
        for symbol, bounds in (("*", (0, None)), ("+", (1, None)), ("?", (0, 1))):
            if self._take(symbol):
                return bounds
        if self._peek() != "{":
            return None
        end = self.pattern.find("}", self.position)
        body = self.pattern[self.position + 1 : end] if end > 0 else ""
        least, comma, most = body.partition(",")
        numbers = [part for part in (least, most) if part]
        well_formed = numbers and all(part.isascii() and part.isdigit() for part in numbers)
        if not well_formed or (not least and self.dialect is Dialect.ECMA):
            return None  # a literal brace, in both dialects
        if max(map(len, numbers)) > len(str(MAX_REPEAT)):
            raise RegexError(f"repetition of more than {MAX_REPEAT} times", self.position)
        self.position = end + 1
        low = int(least or 0)
        return low, (int(most) if most else None) if comma else low

    def _atom(self, depth: int) -> Node:
        start, character = self.position, self._next()
        if character == "(":
            return self._group(start, depth)
        if character == "[":
            return self._set(start)
        if character == ".":
            return _LINE_ENDS[self.dialect].complement
        if character in "^$":
            return Anchor(at_end=character == "$")
        if character == "\\":
            return self._escape(start)
        if character in "*+?":
            raise RegexError(f"nothing to repeat before {character}", start)
        return _single(ord(character))

    def _group(self, start: int, depth: int) -> Node:
        if self._take("?"):
            self._group_kind(start)
        node = self.alternation(depth=depth + 1)
        if not self._take(")"):
            raise RegexError("missing ) for the group", start)
        return node

    def _group_kind(self, start: int) -> None:
        rest = self.pattern[self.position :]
        if rest.startswith(":"):
            self.position += 1
        elif rest.startswith(("=", "!", "<=", "<!")):
            raise RegexError("look-around is not supported", start)
        elif rest.startswith(("<", "P<")):
            end = self.pattern.find(">", self.position)
            name = self.pattern[self.position :].split("<", 1)[1].split(">", 1)[0]
            if end < 0 or not name.isidentifier():
                raise RegexError("bad group name", start)
            self.position = end + 1
        elif rest.startswith("P="):
            raise RegexError("back-references are not supported", start)
        else:
            raise RegexError("inline flags and other (?...) groups are not supported", start)

    def _set(self, start: int) -> CharacterSet:
        negated = self._take("^")
        ranges: list[tuple[int, int]] = []
        first = self.position
        while not (self._peek() == "]" and (self.position > first or self.dialect is Dialect.ECMA)):
            low = self._set_member(start)
            if self._peek() == "-" and self.pattern[self.position + 1 : self.position + 2] not in ("]", ""):
                dash = self.position
                self.position += 1
                high = self._set_member(start)
                first_point, last_point = low.only_member, high.only_member
                if first_point is None or last_point is None:
                    raise RegexError("a range needs a character on both sides", dash)
                if first_point > last_point:
                    raise RegexError("the range is out of order", dash)
                ranges.append((first_point, last_point))
            else:
                ranges.extend(low.ranges)
        self.position += 1
        members = CharacterSet.of(ranges)
        return members.complement if negated else members

    def _set_member(self, start: int) -> CharacterSet:
        if self.position >= len(self.pattern):
            raise RegexError("missing ] for the set", start)
        position, character = self.position, self._next()
        if character != "\\":
            return _single(ord(character))
        if self._take("b"):
            return _single(0x08)  # in a set, \b is the backspace
        escaped = self._escape(position)
        if not isinstance(escaped, CharacterSet):
            raise RegexError("an anchor cannot stand in a set", position)
        return escaped

    def _escape(self, start: int) -> Node:
        if self.position >= len(self.pattern):
            raise RegexError("the pattern ends in a backslash", start)
        letter = self._next()
        if letter in _CLASSES:
            return _CLASSES[letter]
        if letter in _CONTROLS:
            return _single(_CONTROLS[letter])
        if letter == "x":
            return _single(self._hexadecimal(2, start))
        if letter == "u":
            return _single(self._code_point(start))
        if letter == "c" and self._peek().isascii() and self._peek().isalpha():
            return _single(ord(self._next().upper()) - 0x40)
        if self.dialect is Dialect.PYTHON and letter in "AZ":
            return Anchor(at_end=letter == "Z")
        return self._single_escape(letter, start)

    def _single_escape(self, letter: str, start: int) -> Node:
        if letter == "0" and not self._peek().isdigit():
            return _single(0)
        if letter.isdigit() or letter == "k":
            raise RegexError("back-references are not supported", start)
        if letter in "bB":
            raise RegexError(f"the word boundary \\{letter} is not supported", start)
        if letter in "pP":
            raise RegexError(f"the Unicode property \\{letter} is not supported", start)
        if letter.isascii() and letter.isalpha():
            raise RegexError(f"unknown escape \\{letter}", start)
        return _single(ord(letter))

    def _code_point(self, start: int) -> int:
        if self._take("{"):
            end = self.pattern.find("}", self.position)
            digits = self.pattern[self.position : end] if end > 0 else ""
            self.position = end + 1
            return self._number(digits, start)
        point = self._hexadecimal(4, start)
        if 0xD800 <= point < 0xDC00 and self.pattern.startswith("\\u", self.position):
            resume = self.position
            self.position += 2
            low = self._hexadecimal(4, start)
            if 0xDC00 <= low < 0xE000:
                return 0x10000 + ((point - 0xD800) << 10) + (low - 0xDC00)
            self.position = resume
        return point

    def _hexadecimal(self, count: int, start: int) -> int:
        digits = self.pattern[self.position : self.position + count]
        self.position += count
        if len(digits) != count:
            raise RegexError("bad hexadecimal escape", start)
        return self._number(digits, start)

    def _number(self, digits: str, start: int) -> int:
        if not digits or len(digits) > 6 or any(d not in "0123456789abcdefABCDEF" for d in digits):
            raise RegexError("bad hexadecimal escape", start)
        if int(digits, 16) >= END_OF_UNICODE:
            raise RegexError("the escape is beyond Unicode", start)
        return int(digits, 16)

    def _peek(self) -> str:
        return self.pattern[self.position : self.position + 1]

    def _next(self) -> str:
        self.position += 1
        return self.pattern[self.position - 1]

    def _take(self, symbol: str) -> bool:
        taken = self._peek() == symbol
        self.position += taken
        return taken


def _single(point: int) -> CharacterSet:
    return CharacterSet(((point, point),))
