"""The parts of an expression."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from grammar_service.automata.columns import END_OF_UNICODE


@dataclass(frozen=True)
class CharacterSet:
    """One character out of inclusive, ascending, disjoint ranges of code points."""

    ranges: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, ranges: Iterable[tuple[int, int]]) -> CharacterSet:
        """Sort and join the ranges."""
        joined: list[tuple[int, int]] = []
        for low, high in sorted(ranges):
            if joined and low <= joined[-1][1] + 1:
                joined[-1] = (joined[-1][0], max(joined[-1][1], high))
            else:
                joined.append((low, high))
        return cls(tuple(joined))

    @cached_property
    def complement(self) -> CharacterSet:
        """All other characters."""
        edges = [-1, *(edge for low, high in self.ranges for edge in (low, high)), END_OF_UNICODE]
        gaps = zip(edges[::2], edges[1::2], strict=True)
        return CharacterSet(tuple((after + 1, before - 1) for after, before in gaps if after + 1 < before))


@dataclass(frozen=True)
class LookAround:
    """Nothing, where the text that follows (`ahead`) or precedes does, or does not, match `node`."""

    node: Node
    ahead: bool
    negative: bool
    position: int = field(default=0, compare=False)
    """Where in the pattern it stands."""


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
    position: int = field(default=0, compare=False)
    """Where in the pattern its bounds stand."""


Node = CharacterSet | LookAround | Concatenation | Alternation | Repetition

ANY = CharacterSet(((0, END_OF_UNICODE - 1),))
_MAX_FACTORED = 20
"""How deep alternatives are factored: outlines-core refuses expressions that are nested deeper than 250."""
EMPTY = Concatenation(())
ANYTHING = Repetition(ANY, 0, None)
# The edges of the text are where no character precedes, and none follows.
BEGIN = LookAround(ANY, ahead=False, negative=True)
END = LookAround(ANY, ahead=True, negative=True)


def concatenation(parts: Iterable[Node]) -> Node:
    """One part after the other, without needless nesting."""
    flat = [p for part in parts for p in (part.parts if isinstance(part, Concatenation) else (part,))]
    return flat[0] if len(flat) == 1 else Concatenation(tuple(flat))


def alternation(options: Sequence[Node], *, depth: int = 0) -> Node:
    """One of the options, with what several begin with written once: a list of words becomes a trie."""
    groups: dict[object, list[Node]] = {}
    for index, option in enumerate(options):
        first = _parts(option)[:1]
        shared = first and isinstance(first[0], CharacterSet) and depth < _MAX_FACTORED
        groups.setdefault(first[0] if shared else index, []).append(option)
    factored = []
    for group in groups.values():
        if len(group) > 1:
            length = _shared_length([_parts(option) for option in group])
            rests = [concatenation(_parts(option)[length:]) for option in group]
            factored.append(concatenation((*_parts(group[0])[:length], alternation(rests, depth=depth + 1))))
        else:
            factored.append(group[0])
    return factored[0] if len(factored) == 1 else Alternation(tuple(factored))


def _parts(node: Node) -> tuple[Node, ...]:
    return node.parts if isinstance(node, Concatenation) else (node,)


def _shared_length(words: list[tuple[Node, ...]]) -> int:
    """How many sets all of them begin with."""
    length = 0
    for column in zip(*words, strict=False):
        if not isinstance(column[0], CharacterSet) or any(part != column[0] for part in column):
            break
        length += 1
    return length


def children(node: Node) -> tuple[Node, ...]:
    """The nodes right below one, what a look-around looks for included."""
    if isinstance(node, Concatenation):
        return node.parts
    if isinstance(node, Alternation):
        return node.options
    return () if isinstance(node, CharacterSet) else (node.node,)


def character_sets(tree: Node) -> Iterator[CharacterSet]:
    """All sets of a tree."""
    stack = [tree]
    while stack:
        node = stack.pop()
        if isinstance(node, CharacterSet):
            yield node
        else:
            stack.extend(children(node))
