"""What the states of all automata have in common."""

from __future__ import annotations

from protos.errors import InvalidRequestError

DEAD = 0
"""The state from which nothing is accepted any more."""


class TooManyStatesError(InvalidRequestError):
    """An automaton would exceed the limit on its size."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"the grammar needs more than {limit} states")
