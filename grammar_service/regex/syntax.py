"""The syntax of regular expressions: ECMA-262's, which JSON Schema uses, and Python's."""

from __future__ import annotations

import re
from dataclasses import replace

from grammar_service.regex.characters import LINE_ENDS, WORD, CharacterReader
from grammar_service.regex.cursor import Dialect, RegexError
from grammar_service.regex.tree import (
    BEGIN,
    EMPTY,
    END,
    Alternation,
    Concatenation,
    LookAround,
    Node,
    Repetition,
    alternation,
    concatenation,
)

MAX_REPEAT = 100_000
MAX_NESTING = 70

_LOOK_AROUNDS = (("=", True, False), ("!", True, True), ("<=", False, False), ("<!", False, True))
_FLAGS = re.compile(r"([a-zA-Z]*)(?:-([a-zA-Z]+))?([:)])")
_FLAG_FIELDS = {"i": "ignore_case", "m": "multiline", "s": "dot_all", "a": "ascii_case"}


def parse(pattern: str, dialect: Dialect) -> Node:
    """The tree of a pattern.

    Flags for the whole expression, such as (?i) at its begin, are read in both dialects.

    Raises:
        RegexError: the pattern is malformed, or uses back-references, possessive repetition, verbose mode or
            other things that are not supported; the message names it and its position.
    """
    parser = _Parser(pattern, dialect)
    parser.global_flags()
    tree = parser.alternation(depth=0)
    if parser.position < len(pattern):
        raise RegexError("unmatched )", parser.position)
    return tree


class _Parser(CharacterReader):
    """Recursive descent."""

    def global_flags(self) -> None:
        while flags := _FLAGS.match(self.pattern, self.position + 2):
            if (
                not self.pattern.startswith("(?", self.position)
                or flags[3] == ":"
                or not flags[1]
                or flags[2]
            ):
                return
            self._set_flags(flags[1], "", self.position)
            self.position = flags.end()

    def alternation(self, *, depth: int) -> Node:
        if depth > MAX_NESTING:
            raise RegexError(f"groups nested deeper than {MAX_NESTING}", self.position)
        options = [self._concatenation(depth)]
        while self.take("|"):
            options.append(self._concatenation(depth))
        return options[0] if len(options) == 1 else alternation(options)

    def _concatenation(self, depth: int) -> Node:
        parts: list[Node] = []
        while self.position < len(self.pattern) and self.peek() not in "|)":
            start = self.position
            parts.append(self._repetition(self._atom(depth), start))
        return concatenation(parts)

    def _repetition(self, node: Node, node_start: int) -> Node:
        start = self.position
        bounds = self._bounds()
        if bounds is None:
            return node
        least, most = bounds
        if re.compile(r"[\^$]|\\[bBAZ]").match(self.pattern, node_start):
            raise RegexError("nothing to repeat before the repetition", start)
        if most is not None and most < least:
            raise RegexError(f"repetition {{{least},{most}}} is out of order", start)
        if max(least, most or 0) > MAX_REPEAT:
            raise RegexError(f"repetition of more than {MAX_REPEAT} times", start)
        if self.peek() == "+":
            raise RegexError("possessive repetition is not supported", self.position)
        self.take("?")  # lazy: the same language
        if self._bounds() is not None:
            raise RegexError("multiple repeat", start)
        return EMPTY if most == 0 else Repetition(node, least, most, start)

    def _bounds(self) -> tuple[int, int | None] | None:
        """Read *, +, ? or {n,m} if one is next."""
        for symbol, bounds in (("*", (0, None)), ("+", (1, None)), ("?", (0, 1))):
            if self.take(symbol):
                return bounds
        if self.peek() != "{":
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
        start, character = self.position, self.next()
        if character == "(":
            return self._group(start, depth)
        if character == "[":
            return self.set(start)
        if character == ".":
            return self.dot()
        if character in "^$":
            return self._anchor(at_end=character == "$")
        if character in "*+?":
            raise RegexError(f"nothing to repeat before {character}", start)
        if character != "\\":
            return self.literal(ord(character))
        if self.take("b"):
            return _word_boundary(start, negated=False)
        if self.take("B"):
            return _word_boundary(start, negated=True)
        if self.dialect is Dialect.PYTHON and self.peek() and self.peek() in "AZ":
            return END if self.next() == "Z" else BEGIN
        return self.escape(start)

    def _anchor(self, *, at_end: bool) -> Node:
        if not self.flags.multiline:
            return END if at_end else BEGIN
        return LookAround(LINE_ENDS[self.dialect].complement, ahead=at_end, negative=True)

    def _group(self, start: int, depth: int) -> Node:
        outside = self.flags
        kind = self._group_kind(start) if self.take("?") else None
        node = self.alternation(depth=depth + 1)
        self.flags = outside
        if not self.take(")"):
            raise RegexError("missing ) for the group", start)
        return replace(kind, node=node) if kind else node

    def _group_kind(self, start: int) -> LookAround | None:
        """Read what follows (? up to the expression inside; the look-around that the group is, if it is."""
        for symbol, ahead, negative in _LOOK_AROUNDS:
            if self.take(symbol):
                return LookAround(EMPTY, ahead=ahead, negative=negative, position=start)
        if self.take("P="):
            raise RegexError("back-references are not supported", start)
        if self.take("P<") or self.take("<"):
            if not (self.until(">") or "").isidentifier():
                raise RegexError("bad group name", start)
            return None
        if self.take(">"):
            raise RegexError("atomic groups are not supported", start)
        flags = _FLAGS.match(self.pattern, self.position)
        if flags is None:
            raise RegexError("unknown kind of group", start)
        if flags[3] == ")":
            raise RegexError("flags for the whole expression must stand at its begin, not", start)
        self._set_flags(flags[1], flags[2] or "", start)
        self.position = flags.end()
        return None

    def _set_flags(self, on: str, off: str, start: int) -> None:
        for flag in on + off:
            if flag not in _FLAG_FIELDS or (flag == "a" and self.dialect is Dialect.ECMA):
                raise RegexError(f"the flag {flag} is not supported", start)
        if "a" in off or set(on) & set(off):
            raise RegexError("bad flags", start)
        changes = {_FLAG_FIELDS[flag]: flag in on for flag in on + off}
        self.flags = replace(self.flags, **changes)


def _word_boundary(position: int, *, negated: bool) -> Node:
    """A place between a word character and something else; negated, any other place."""

    def at(*, after_word: bool, before_word: bool) -> Node:
        return Concatenation(
            (
                LookAround(WORD, ahead=False, negative=not after_word, position=position),
                LookAround(WORD, ahead=True, negative=not before_word, position=position),
            )
        )

    return Alternation(tuple(at(after_word=after, before_word=after is negated) for after in (True, False)))
