"""What the states of all automata have in common."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from protos.errors import InvalidRequestError

DEAD = 0
"""The state from which nothing is accepted any more."""


def reached(rows: Sequence[Sequence[int]], starts: Iterable[int]) -> list[int]:
    """The states that `starts` lead to, by (states, letters) next states, in the order in which they are met.

    The first are the starts themselves.
    """
    order = list(dict.fromkeys(starts))
    met = set(order)
    for state in order:  # grows as it is read
        for target in rows[state]:
            if target not in met:
                met.add(target)
                order.append(target)
    return order


class TooManyStatesError(InvalidRequestError):
    """An automaton would exceed the limit on its size."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"the grammar needs more than {limit} states")
