"""Automata that count their characters: how many of them a string may have."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from grammar_service.automata.letters import Table
from grammar_service.automata.states import DEAD, TooManyStatesError

Sets = NDArray[np.bool_]
"""(counts, states): a set of states for each number of characters."""


def counted(
    table: Table, accepting: NDArray[np.bool_], start: int, *, least: int, most: int | None, max_states: int
) -> tuple[Table, NDArray[np.bool_], int]:
    """The automaton that follows another and accepts with `least` to `most` characters, or any more.

    Its states are the pairs of a state and the number of characters so far that can be reached, and from
    which something can be completed; so a bound costs no more than it must.

    Returns:
        (pairs, letters) the next pair, of which the first is dead; which accept; and the start.

    Raises:
        TooManyStatesError: there are more than `max_states` pairs.
    """
    last = least if most is None else most
    if last > max_states:
        raise TooManyStatesError(max_states)
    kept = _reached(table, start, last, endless=most is None)
    kept &= _completed(table, accepting, least, last, endless=most is None)
    counts, states = np.nonzero(kept)
    if len(states) >= max_states:
        raise TooManyStatesError(max_states)
    numbers = np.zeros((last + 2, len(table)), dtype=np.int64)  # the last count is one too many
    numbers[counts, states] = np.arange(1, len(states) + 1)
    following = np.minimum(counts + 1, last) if most is None else counts + 1
    rows = np.zeros((len(states) + 1, table.shape[1]), dtype=np.int64)
    rows[1:] = numbers[following[:, None], table[states]]
    return rows, np.append(False, accepting[states] & (counts >= least)), int(numbers[0, start])


def _reached(table: Table, start: int, last: int, *, endless: bool) -> Sets:
    """What can be reached with so many characters; if `endless`, with the last number or more."""
    reached = np.zeros((last + 1, len(table)), dtype=np.bool_)
    reached[0, start] = start != DEAD
    for count in range(1, last + 1):
        reached[count] = _after(table, reached[count - 1])
        if (reached[count] == reached[count - 1]).all():
            reached[count:] = reached[count]
            break
    while endless:
        more = reached[last] | _after(table, reached[last])
        endless = bool((more != reached[last]).any())
        reached[last] = more
    return reached


def _completed(table: Table, accepting: NDArray[np.bool_], least: int, last: int, *, endless: bool) -> Sets:
    """From what so many characters can be completed."""
    completed = np.zeros((last + 1, len(table)), dtype=np.bool_)
    completed[last] = accepting & (last >= least)
    while endless:
        more = completed[last] | _before(table, completed[last])
        endless = bool((more != completed[last]).any())
        completed[last] = more
    count = last
    while count:
        count -= 1
        completed[count] = _before(table, completed[count + 1]) | (accepting & (count >= least))
        if (completed[count] == completed[count + 1]).all():  # and so it goes on while acceptance does
            lowest = least if count >= least else 0
            completed[lowest:count] = completed[count]
            count = lowest
    return completed


def _after(table: Table, states: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(states,): where some lead."""
    after = np.zeros_like(states)
    after[table[states]] = True
    after[DEAD] = False
    return after


def _before(table: Table, states: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(states,): what leads to some."""
    return np.asarray(states[table].any(axis=1))
