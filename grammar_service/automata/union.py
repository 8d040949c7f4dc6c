"""Leaves that are read together: the union of their languages, which tells where it ends which of them do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from grammar_service.automata.columns import Classes, character_classes
from grammar_service.automata.letters import Letters
from grammar_service.automata.program import Leaf
from grammar_service.automata.spelling import Spelling
from grammar_service.automata.states import DEAD

Together = tuple[int, ...]
"""A state of each leaf."""


class Explored(NamedTuple):
    """States that have not been met before, their numbers consecutive."""

    first: int
    table: NDArray[np.int64]
    """(states, letters): the numbers that they lead to."""
    ends: list[tuple[NDArray[np.int64], tuple[int, ...]]]
    """Accepting states, counted from the first, and the states of the program that they go on as."""


class Union:
    """The states that leaves reach together, explored as far as anyone has asked."""

    def __init__(self, leaves: Sequence[Leaf]) -> None:
        letters = Letters.of(*((leaf.dfa.cuts, leaf.dfa.table) for leaf in leaves))
        self.classes: Classes = character_classes(
            letters.cuts, np.vstack(letters.tables)[:, letters.of_interval]
        )
        """Letters, with the characters of each."""
        self.classes = [(int(letters.of_interval[column]), ranges) for column, ranges in self.classes]
        # What is read together with something else need not be canonical: nothing of it would be forced.
        spellings = {leaf.spelling for leaf in leaves}
        self.spelling = spellings.pop() if len(spellings) == 1 else Spelling.JSON
        self._rows = [table.tolist() for table in letters.tables]
        self._targets = [
            {state: target for states, target in leaf.ends for state in states.tolist()} for leaf in leaves
        ]
        self._numbers: dict[Together, int] = {(DEAD,) * len(leaves): DEAD}

    def explore(self, start: Together, new_state: Callable[[], int]) -> tuple[int, Explored | None]:
        """The number of a state; and what had to be explored for it, if it was not known yet.

        Args:
            new_state: gives consecutive numbers.
        """
        if start in self._numbers:
            return self._numbers[start], None
        numbers = self._numbers
        first = numbers[start] = new_state()
        queue = [start]
        table = []
        for together in queue:  # grows as it is read
            reached = list(
                zip(*[rows[state] for rows, state in zip(self._rows, together, strict=True)], strict=True)
            )
            for target in reached:
                if target not in numbers:
                    numbers[target] = new_state()
                    queue.append(target)
            table.append([numbers[target] for target in reached])
        return first, Explored(first, np.array(table, dtype=np.int64), self._ends(queue))

    def _ends(self, states: list[Together]) -> list[tuple[NDArray[np.int64], tuple[int, ...]]]:
        ends: dict[tuple[int, ...], list[int]] = {}
        for index, together in enumerate(states):
            targets = {
                of_leaf[state]
                for of_leaf, state in zip(self._targets, together, strict=True)
                if state in of_leaf
            }
            if targets:
                ends.setdefault(tuple(sorted(targets)), []).append(index)
        return [(np.array(of_end), targets) for targets, of_end in ends.items()]
