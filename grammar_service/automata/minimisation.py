"""The fewest states that tell the same strings apart."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from grammar_service.automata.letters import row_numbers
from grammar_service.automata.states import DEAD, reached

_WIDE = 256
"""From so many states on, the first rounds go to numpy: they part many at a time."""


def minimised(
    rows: NDArray[np.int64] | Sequence[Sequence[int]],
    accepting: NDArray[np.bool_] | Sequence[bool],
    start: int,
) -> tuple[list[list[int]], list[bool], int]:
    """The same language with the fewest states, of (states, letters) next states. State 0 is dead in both.

    Partition refinement that looks again only at states whose successors have moved, and lets the largest
    part of a block keep its number (Jacobs and Wißmann, "Fast Coalgebraic Bisimilarity Minimization", 2023):
    O(k n log n) steps for n states and k letters, where Moore's algorithm takes n rounds for a chain.
    """
    table = np.asarray(rows, dtype=np.int64)
    order = reached(table.tolist(), (DEAD, start))
    number = np.zeros(len(table), dtype=np.int64)
    number[order] = np.arange(len(order))
    moves = number[table[order]]
    accepts = np.asarray(accepting, dtype=np.bool_)[order]
    block = _coarsest(moves.tolist(), _parted(moves, accepts))
    kept: dict[int, int] = {}  # the first state of each block, in the order of `order`
    for state, its_block in enumerate(block):
        kept.setdefault(its_block, state)
    renumber = {its_block: index for index, its_block in enumerate(kept)}
    first = list(kept.values())
    merged = [[renumber[block[target]] for target in row] for row in moves[first].tolist()]
    return merged, accepts[first].tolist(), renumber[block[int(number[start])]]


def _parted(moves: NDArray[np.int64], accepts: NDArray[np.bool_]) -> list[int]:
    """Blocks after some rounds of Moore's algorithm (1956), as long as a round parts many states."""
    block = accepts.astype(np.int64)
    count, grown = 1, len(block)
    while len(block) >= _WIDE and grown > len(block) // 16:
        block = row_numbers(np.column_stack([block, block[moves]]))
        grown, count = int(block.max()) + 1 - count, int(block.max()) + 1
    return [int(number) for number in block]


def _coarsest(moves: list[list[int]], block: list[int]) -> list[int]:
    """The coarsest partition into blocks that is as fine as the given one, and that moves respect."""
    predecessors: list[list[int]] = [[] for _ in moves]
    for state, row in enumerate(moves):
        for target in set(row):
            predecessors[target].append(state)
    members: defaultdict[int, set[int]] = defaultdict(set)
    for state, its_block in enumerate(block):
        members[its_block].add(state)
    count = max(block) + 1
    dirty = set(range(len(moves)))
    while dirty:
        parts = [
            (old, part)
            for old, whole in _by_block(dirty, block)
            for part in _split(members[old], whole, moves, block)
        ]
        dirty = set()
        for old, part in parts:
            for state in part:
                block[state] = count
                dirty.update(predecessors[state])
            members[old] -= part
            members[count] = part
            count += 1
    return block


def _by_block(states: set[int], block: list[int]) -> list[tuple[int, set[int]]]:
    grouped: defaultdict[int, set[int]] = defaultdict(set)
    for state in states:
        grouped[block[state]].add(state)
    return list(grouped.items())


def _split(whole: set[int], dirty: set[int], moves: list[list[int]], block: list[int]) -> list[set[int]]:
    """The parts that leave a block. States that are not dirty still move alike; the largest part stays."""
    parts: defaultdict[tuple[int, ...], set[int]] = defaultdict(set)
    for state in dirty:
        parts[tuple([block[target] for target in moves[state]])].add(state)
    if len(whole) > len(dirty):
        untouched = next(state for state in whole if state not in dirty)
        signature = tuple([block[target] for target in moves[untouched]])
        if len(parts) == 1 and signature in parts:
            return []
        # Counted, not gathered: where they stay, which is the rule, their number does not matter.
        sizes = {moved: len(part) for moved, part in parts.items()}
        sizes[signature] = sizes.get(signature, 0) + len(whole) - len(dirty)
        staying = max(sizes, key=sizes.__getitem__)
        if staying != signature:
            parts[signature] |= whole - dirty
    elif len(parts) == 1:
        return []
    else:
        staying = max(parts, key=lambda moved: len(parts[moved]))
    return [part for moved, part in parts.items() if moved != staying]
