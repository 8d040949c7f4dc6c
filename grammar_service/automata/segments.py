"""The byte ranges of moves: which bytes they read, and which of them read the same ones."""

from __future__ import annotations

from itertools import pairwise

from grammar_service.automata.program import NONE, Move

Segment = tuple[int, int, list[Move]]
"""First byte, last byte, and the moves that read all of these, sorted."""


def bytes_of(moves: list[Move]) -> int:
    """The bytes that moves read, as the bits of a number."""
    taken = 0
    for move in moves:
        taken |= (2 << move[1]) - (1 << move[0])
    return taken


def segments_of(moves: list[Move]) -> list[Segment]:
    """Cut moves into disjoint byte ranges, each with the moves that cover it; these must be of one kind."""
    if len(moves) < 2:
        return [(move[0], move[1], [move]) for move in moves]
    moves = sorted(moves)
    of_range: dict[tuple[int, int], list[Move]] = {}
    for move in moves:
        of_range.setdefault(move[:2], []).append(move)
    if all(before[1] < after[0] for before, after in pairwise(of_range)):
        segments = [(low, high, covering) for (low, high), covering in of_range.items()]
    else:
        segments = _cut(moves)
    for low, high, covering in segments:
        if (
            len(covering) > 1
            and len({(target == NONE, entry == NONE) for _, _, target, entry, _ in covering}) > 1
        ):
            raise AssertionError(f"the program is not visibly pushdown at bytes {low}-{high}")
    return segments


def _cut(moves: list[Move]) -> list[Segment]:
    """Cut sorted moves wherever one begins or ends."""
    cuts = sorted({bound for move in moves for bound in (move[0], move[1] + 1)})
    segments: list[Segment] = []
    covering: list[Move] = []
    begun = 0
    for low, after in pairwise(cuts):
        covering = [move for move in covering if move[1] >= low]
        while begun < len(moves) and moves[begun][0] == low:
            covering.append(moves[begun])
            begun += 1
        if covering:
            segments.append((low, after - 1, covering))
    return segments
