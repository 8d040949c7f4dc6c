"""Automata that follow others: two at once, or one in several states at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from grammar_service.automata.letters import Table
from grammar_service.automata.states import DEAD, TooManyStatesError

_WIDE = 64
"""From so many new pairs at a time on, numpy is faster than lists."""


def product(
    mine: Table, theirs: Table, starts: tuple[int, int], *, conjunction: bool, max_states: int
) -> tuple[list[list[int]], NDArray[np.int64]]:
    """The pairs of states that two automata over the same letters reach together.

    Args:
        conjunction: a pair is dead where either state is, not where both are.

    Returns:
        (pairs, letters) the next pair; and (pairs, 2) the states. Pair 0 is dead, pair 1 the start, if that
        is not dead.

    Raises:
        TooManyStatesError: there are more than `max_states` pairs.
    """
    width = len(theirs)
    mine = mine * width
    my_rows, their_rows = mine.tolist(), theirs.tolist()
    start = starts[0] * width + starts[1]
    numbers = {DEAD: DEAD}  # of each pair a * width + b
    if not (conjunction and DEAD in starts):
        numbers.setdefault(start, len(numbers))
    queue = list(numbers)
    rows: list[list[int]] = []
    while len(rows) < len(queue):
        if len(queue) > max_states:
            raise TooManyStatesError(max_states)
        pairs = queue[len(rows) :]
        if len(pairs) < _WIDE:
            reached = [
                [
                    DEAD if conjunction and not (a and b) else a + b
                    for a, b in zip(my_rows[pair // width], their_rows[pair % width], strict=True)
                ]
                for pair in pairs
            ]
            fresh = [target for row in reached for target in row if target not in numbers]
        else:
            a, b = mine[np.array(pairs) // width], theirs[np.array(pairs) % width]
            targets = np.where((a == DEAD) | (b == DEAD), DEAD, a + b) if conjunction else a + b
            reached = targets.tolist()
            fresh = [target for target in np.unique(targets).tolist() if target not in numbers]
        for target in fresh:
            if target not in numbers:
                numbers[target] = len(queue)
                queue.append(target)
        rows += [[numbers[target] for target in row] for row in reached]
    return rows, np.column_stack(np.divmod(np.array(queue), width))


def determinised(
    moves: Callable[[int, int], Iterable[int]], starts: Iterable[int], *, letters: int, max_states: int
) -> tuple[list[list[int]], list[frozenset[int]], int]:
    """Subset construction (Rabin and Scott, 1959).

    Args:
        moves: the states after a state and a letter; DEAD may be among them.

    Returns:
        (sets, letters) the next set; the sets, of which the first is empty; and the number of the start.

    Raises:
        TooManyStatesError: there are more than `max_states` sets.
    """
    start = frozenset(starts) - {DEAD}
    numbers: dict[frozenset[int], int] = {frozenset(): DEAD}
    numbers.setdefault(start, len(numbers))
    queue = list(numbers)
    rows = []
    for states in queue:  # grows as it is read
        row = []
        for letter in range(letters):
            reached = frozenset([target for state in states for target in moves(state, letter)]) - {DEAD}
            if reached not in numbers:
                numbers[reached] = len(numbers)
                queue.append(reached)
            row.append(numbers[reached])
        if len(queue) > max_states:
            raise TooManyStatesError(max_states)
        rows.append(row)
    return rows, queue, numbers[start]
