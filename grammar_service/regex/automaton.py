"""Regular expressions compiled by outlines-core, read back as automata over characters.

outlines-core is used over the 256 single bytes, where its index is a byte automaton; every way in which
that differs from the language of the expression (0.2.14) is put right here.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from outlines_core import Index, Vocabulary

from grammar_service.automata.dfa import DEAD, END_OF_UNICODE, SURROGATES, Dfa
from grammar_service.regex.syntax import (
    Alternation,
    Anchor,
    CharacterSet,
    Concatenation,
    Dialect,
    Node,
    RegexError,
    Repetition,
    parse,
)
from protos.errors import InvalidRequestError

# Noncharacters stand for what is not text: the anchors, and the end of the whole expression. The automaton
# treats each of them, as text, like the noncharacter beside it.
_BEGIN, _END, _LIKE_ANCHORS = 0xFDD0, 0xFDD1, 0xFDD2
_SENTINEL, _LIKE_SENTINEL = 0x10FFFE, 0x10FFFF
_ANY = CharacterSet(((0, 0x10FFFF),))
_TEXT = CharacterSet.of(
    [(SURROGATES[0], SURROGATES[1] - 1), (_BEGIN, _END), (_SENTINEL, _SENTINEL)]
).complement

Interval = tuple[int, int, int]
"""First code point, last code point, next state."""


@lru_cache(maxsize=256)
def fullmatch(pattern: str) -> Dfa:
    """The strings that a whole expression matches, in Python's syntax.

    Raises:
        RegexError: see `parse`.
    """
    return _compile(parse(pattern, Dialect.PYTHON))


@lru_cache(maxsize=1024)
def search(pattern: str) -> Dfa:
    """The strings in which an expression matches somewhere, in ECMA-262's syntax, as JSON Schema's `pattern`.

    Raises:
        RegexError: see `parse`.
    """
    tree = parse(pattern, Dialect.ECMA)
    # What comes before and after the match may include the begin and the end of the text themselves.
    before = Repetition(Alternation((_ANY, Anchor(at_end=False))), 0, None)
    after = Repetition(Alternation((_ANY, Anchor(at_end=True))), 0, None)
    return _compile(Concatenation((before, tree, after)))


def _compile(tree: Node) -> Dfa:
    rendered = f"(?:{_render(tree)})\\x{{{_SENTINEL:X}}}"
    try:
        index = Index(rendered, _bytes_vocabulary())
    except ValueError as error:  # how outlines-core reports everything it cannot compile
        raise InvalidRequestError(f"the pattern cannot be compiled: {error}") from error
    return _without_markers(_over_characters(index)).minimised()


@lru_cache(maxsize=1)
def _bytes_vocabulary() -> Any:
    return Vocabulary(256, {bytes([byte]): [byte] for byte in range(256)})


def _render(node: Node) -> str:
    """The expression in the syntax of Rust's regex crate, with every set and anchor spelled out."""
    if isinstance(node, CharacterSet):
        return _render_set(node)
    if isinstance(node, Anchor):
        return f"\\x{{{_END if node.at_end else _BEGIN:X}}}"
    if isinstance(node, Concatenation):
        return "".join(map(_render, node.parts))
    if isinstance(node, Alternation):
        return f"(?:{'|'.join(map(_render, node.options))})"
    most = "" if node.most is None else node.most
    return f"(?:{_render(node.node)}){{{node.least},{most}}}"


def _render_set(members: CharacterSet) -> str:
    def contains(point: int) -> bool:
        return any(low <= point <= high for low, high in members.ranges)

    if len({contains(p) for p in (_BEGIN, _END, _LIKE_ANCHORS)}) > 1 or contains(_SENTINEL) != contains(
        _LIKE_SENTINEL
    ):
        raise RegexError("a set that tells noncharacters such as U+FDD0 apart is not supported", 0)
    kept = [
        f"\\x{{{max(low, first):X}}}-\\x{{{min(high, last):X}}}"
        for low, high in members.ranges
        for first, last in _TEXT.ranges
        if max(low, first) <= min(high, last)
    ]
    return f"[{''.join(kept)}]" if kept else r"[^\x{0}-\x{10FFFF}]"


def _over_characters(index: Any) -> Dfa:
    """Read an index over bytes as an automaton over characters.

    A state accepts if the sentinel leads from it to one that is final: outlines' own marks follow its
    leftmost-first search, and would lose `ab` in `a|ab`.
    """
    transitions: dict[int, dict[int, int]] = index.get_transitions()
    finals = index.get_final_states()
    continuations: dict[tuple[int, int], list[Interval]] = {}
    numbers = {index.get_initial_state(): 1}
    rows: list[list[Interval]] = [[]]
    queue = [index.get_initial_state()]
    accepting = [False]
    for state in queue:  # grows as it is read
        row = list(_characters_from(transitions.get(state, {}), transitions, continuations))
        rows.append([])
        accepting.append(any(low <= _SENTINEL <= high and target in finals for low, high, target in row))
        for low, high, target in row:
            if target not in numbers:
                numbers[target] = len(numbers) + 1
                queue.append(target)
            rows[-1].append((low, high, numbers[target]))
    return Dfa(*_tabulated(rows), np.array(accepting), 1)


def _characters_from(
    moves: dict[int, int],
    transitions: dict[int, dict[int, int]],
    continuations: dict[tuple[int, int], list[Interval]],
) -> Iterator[Interval]:
    for byte, target in sorted(moves.items()):
        if byte < 0x80:
            yield byte, byte, target
        elif 0xC2 <= byte < 0xF5:
            count = 1 if byte < 0xE0 else 2 if byte < 0xF0 else 3
            base = (byte & (0x3F >> count)) << (6 * count)
            for low, high, reached in _continued(target, count, transitions, continuations):
                yield base + low, base + high, reached


def _continued(
    state: int,
    count: int,
    transitions: dict[int, dict[int, int]],
    continuations: dict[tuple[int, int], list[Interval]],
) -> list[Interval]:
    """Where `count` continuation bytes lead, as intervals of the number they write; remembered."""
    if count == 0:
        return [(0, 0, state)]
    intervals = continuations.get((state, count))
    if intervals is None:
        intervals = []
        for byte, target in sorted(transitions.get(state, {}).items()):
            if not 0x80 <= byte < 0xC0:
                continue
            base = (byte & 0x3F) << (6 * (count - 1))
            for low, high, reached in _continued(target, count - 1, transitions, continuations):
                if intervals and intervals[-1][1] == base + low - 1 and intervals[-1][2] == reached:
                    intervals[-1] = (intervals[-1][0], base + high, reached)
                else:
                    intervals.append((base + low, base + high, reached))
        continuations[state, count] = intervals
    return intervals


def _tabulated(rows: list[list[Interval]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Cuts and table of the intervals of each state; the markers have columns of their own."""
    points = {0, *SURROGATES, _BEGIN, _END, _LIKE_ANCHORS, _LIKE_ANCHORS + 1, _SENTINEL, _LIKE_SENTINEL}
    for row in rows:
        for low, high, _ in row:
            points.update((low, high + 1))
    cuts = np.array(sorted(points - {END_OF_UNICODE}), dtype=np.int64)
    table = np.full((len(rows), len(cuts)), DEAD, dtype=np.int64)
    for state, row in enumerate(rows):
        for low, high, target in row:
            first, after = np.searchsorted(cuts, (low, high + 1))
            table[state, first:after] = target
    return cuts, table


def _without_markers(marked: Dfa) -> Dfa:
    """The texts t for which some begin markers, t, and some end markers are in the language."""
    begin, end, like_anchors, sentinel, like_sentinel = np.searchsorted(
        marked.cuts, (_BEGIN, _END, _LIKE_ANCHORS, _SENTINEL, _LIKE_SENTINEL)
    )
    accepting = marked.accepting.copy()
    while True:
        wider = accepting | accepting[marked.table[:, end]]
        if (wider == accepting).all():
            break
        accepting = wider
    starts = {marked.start}
    state = marked.start
    while (state := int(marked.table[state, begin])) not in starts:
        starts.add(state)
    table = marked.table.copy()
    table[:, [begin, end]] = table[:, [like_anchors, like_anchors]]
    table[:, sentinel] = table[:, like_sentinel]
    return _from_any(starts - {DEAD}, Dfa(marked.cuts, table, accepting, marked.start))


def _from_any(starts: set[int], dfa: Dfa) -> Dfa:
    """The strings accepted from any of the states `starts` (subset construction)."""
    if len(starts) == 1:
        return Dfa(dfa.cuts, dfa.table, dfa.accepting, starts.pop())
    numbers: dict[frozenset[int], int] = {frozenset(): DEAD, frozenset(starts): 1}
    sets = list(numbers)
    rows = []
    for states in sets:  # grows as it is read
        row = []
        for column in dfa.table[sorted(states)].T if states else np.zeros((len(dfa.cuts), 0), dtype=np.int64):
            following = frozenset(column.tolist()) - {DEAD}
            if following not in numbers:
                numbers[following] = len(numbers)
                sets.append(following)
            row.append(numbers[following])
        rows.append(row)
    accepting = np.array([any(dfa.accepting[state] for state in states) for states in sets])
    return Dfa(dfa.cuts, np.array(rows, dtype=np.int64), accepting, 1)
