"""Where a text needs no walking: the characters that an automaton reads all alike, one after the other.

In a JSON string nearly every character leads back to the state it was read in; in a string of at most 100
characters, to the state with one character less to go. A token of such characters only is allowed, and so is
every token of a trie's subtree in which no other character begins: one comparison of sets replaces thousands
of steps. (llguidance's "slices" rest on the same observation, for sets of characters fixed beforehand.)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from protos.automaton import DEAD, Automaton
from shard.trie import WORDS, Index
from shard.utf8 import MALFORMED, UTF8, WHOLE

ByteSets = NDArray[np.uint64]

_LEADING = 3
"""The word of a byte set that holds all bytes which begin a character of several bytes."""


@dataclass(frozen=True, eq=False)
class Path:
    """The states that a text of alike characters visits, one a character; the last one repeats for ever."""

    states: Index
    """(positions,)"""
    leaving: ByteSets
    """(levels, positions, WORDS): the bytes that begin a character which would leave the path if it were one
    of the next 2**level characters from a position (a sparse table: two windows cover any other length)."""

    @classmethod
    def from_alike(cls, states: list[int], alike: ByteSets) -> Path:
        """The path whose states are left by all characters but those of `alike` [positions, WORDS]."""
        last = len(states) - 1
        positions = np.arange(len(states))
        leaving = [~alike]
        while 1 << len(leaving) - 1 < len(states):
            half = leaving[-1]
            leaving.append(half | half[np.minimum(positions + (1 << len(leaving) - 1), last)])
        return cls(np.array(states, dtype=np.intp), np.array(leaving))

    def leaving_within(self, positions: Index, lengths: Index) -> ByteSets:
        """[n, WORDS]: the bytes that begin a character which would leave among the next `lengths` > 0."""
        last = len(self.states) - 1
        if last == 0:
            return np.repeat(self.leaving[0], len(positions), axis=0)
        lengths = np.minimum(lengths, last + 1)
        level = np.frexp(lengths)[1].astype(np.intp) - 1
        second = np.minimum(positions + lengths - (1 << level), last)
        table = self.leaving.reshape(-1, WORDS)
        rows = level * (last + 1)
        found: ByteSets = table.take(rows + positions, axis=0) | table.take(rows + second, axis=0)
        return found


class Runs:
    """The paths of one automaton, found as they are asked for; what is learnt of a state is kept.

    The next state of a path is the one that `guide`, a byte, leads to: the commonest byte of the vocabulary
    is the best guess at where most characters lead. No path is longer than `longest` states.
    """

    def __init__(self, automaton: Automaton, *, guide: int, longest: int) -> None:
        self._automaton = automaton
        self._longest = longest
        self._num_states = automaton.num_states
        # Single elements are read several times as fast through a memoryview.
        self._transitions = automaton.transitions.data
        self._call_entries = automaton.call_entries.data
        self._call_rows = automaton.call_rows.data
        self._returns = automaton.returns.data
        self._guide = int(automaton.byte_classes[guide])
        self._alike: dict[int, bytes] = {}
        self._last: dict[tuple[int, int], int] = {}
        self._leading: dict[tuple[int, int], int] = {}
        for byte in np.flatnonzero((UTF8[WHOLE] != WHOLE) & (UTF8[WHOLE] != MALFORMED)).tolist():
            kind = (int(automaton.byte_classes[byte]), int(UTF8[WHOLE, byte]))
            self._leading[kind] = self._leading.get(kind, 0) | 1 << byte % 64
        self._continuing = [
            np.unique(automaton.byte_classes[UTF8[left] != MALFORMED]) for left in range(MALFORMED)
        ]

    def path(self, state: int, *, may_call: bool) -> Path | None:
        """The path from a state, or None if there is none; without calls where the stack is full."""
        states = [state]
        following = self._following(state)
        while following not in (DEAD, states[-1]) and len(states) < self._longest:
            states.append(following)
            following = self._following(following)
        if len(states) == 1 and following == DEAD:
            return None
        if unknown := [each for each in states if each not in self._alike]:
            self._learn(unknown)
        joined = bytearray().join([self._alike[each] for each in states])
        alike = np.frombuffer(joined, dtype=np.uint64).reshape(-1, WORDS)
        if following != states[-1]:
            alike[-1] = 0  # the path ends here, or is followed no further: every character leaves it
        if not may_call:
            alike[:, _LEADING] = 0
        return Path.from_alike(states, alike)

    def _following(self, state: int) -> int:
        target = self._transitions[state, self._guide]
        return target if DEAD < target < self._num_states else DEAD

    def _learn(self, states: list[int]) -> None:
        """Find the characters that lead where the guide leads, for states from which it leads anywhere."""
        automaton = self._automaton
        rows = automaton.transitions[states]
        targets = rows[:, self._guide]
        alike = np.zeros((len(states), WORDS), dtype=np.uint64)
        in_ascii = rows[:, automaton.byte_classes[:128]] == targets[:, None]
        packed = np.packbits(in_ascii, axis=1, bitorder="little")
        alike[:, :2] = np.ascontiguousarray(packed).view(np.uint64)
        classes = [byte_class for byte_class, _ in self._leading]
        for words, firsts, target in zip(alike, rows[:, classes].tolist(), targets.tolist(), strict=True):
            words[_LEADING] = sum(
                leading
                for first, ((_, left), leading) in zip(firsts, self._leading.items(), strict=True)
                if self._character(first, left) == target
            )
        self._alike.update((state, words.tobytes()) for state, words in zip(states, alike, strict=True))

    def _character(self, first: int, left: int) -> int:
        """Where all characters that begin with the transition `first` lead; DEAD if not all to one state."""
        num_states = self._num_states
        if first >= 0:
            last = self._remainder(first, left) if first < num_states else DEAD
            return last if last < num_states else DEAD
        last = self._remainder(self._call_entries[-first - 1], left)
        return self._returns[self._call_rows[-first - 1] + last - num_states] if last >= num_states else DEAD

    def _remainder(self, state: int, left: int) -> int:
        """The transition that ends every remainder of a character; DEAD if it is not the same in all."""
        known = self._last.get((state, left))
        if known is None:
            known = self._last[state, left] = self._common_last(state, left)
        return known

    def _common_last(self, state: int, left: int) -> int:
        following = set(self._automaton.transitions[state, self._continuing[left]].tolist())
        left_then = int(UTF8[left].min())
        if left_then != WHOLE:
            if not all(DEAD < each < self._num_states for each in following):
                return DEAD
            following = {self._remainder(each, left_then) for each in following}
        last = following.pop()
        return DEAD if following else max(last, DEAD)
