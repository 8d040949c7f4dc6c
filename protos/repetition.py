"""Copies of an automaton's states that count how often something has been read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False, kw_only=True)
class Repetition:
    """States that have copies, numbered after all others; `automaton.proto` defines how."""

    states: NDArray[np.int32]
    """(repeated,): the originals."""
    classes: NDArray[np.uint8]
    """(classes,): those that lead from a copy to the next one."""
    times: int

    @classmethod
    def none(cls) -> Repetition:
        """No copies of anything."""
        return cls(states=np.zeros(0, dtype=np.int32), classes=np.zeros(0, dtype=np.uint8), times=0)

    @property
    def count(self) -> int:
        """The number of copies."""
        return len(self.states) * self.times

    def originals(self, states: int) -> NDArray[np.int32]:
        """(states + copies,): of every state the one that it is a copy of, or itself."""
        return np.concatenate([np.arange(states, dtype=np.int32), np.tile(self.states, self.times)])

    def written_out(self, transitions: NDArray[np.int32]) -> NDArray[np.int32]:
        """(states + copies, classes): the transitions of all, of those of (states, classes)."""
        states = len(transitions)
        table = transitions[self.originals(states)]
        following = np.arange(states, states + self.count, dtype=np.int32) + len(self.states)
        table[states:, self.classes] = np.where(following < len(table), following, 0)[:, None]
        return table
