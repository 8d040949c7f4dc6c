"""Deterministic automata over characters, and their algebra."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from grammar_service.automata.columns import (
    SURROGATES,
    Classes,
    character_classes,
    columns_of,
)
from grammar_service.automata.counting import counted
from grammar_service.automata.letters import Letters
from grammar_service.automata.minimisation import minimised
from grammar_service.automata.states import DEAD, TooManyStatesError, reached
from grammar_service.automata.subsets import determinised, product

__all__ = [
    "DEAD",
    "Dfa",
    "TooManyStatesError",
]

_NEAR = 8
"""After so many steps away from the start or from acceptance, states are looked at one by one."""
_BASE_CUTS = np.array([0, *SURROGATES], dtype=np.int64)


@dataclass(frozen=True, eq=False)
class Dfa:
    """A complete DFA over Unicode characters. State 0 is dead; the surrogates always lead there.

    Its alphabet is cut into intervals: column i stands for the code points cuts[i] .. cuts[i + 1] - 1.
    """

    cuts: NDArray[np.int64]
    """(intervals,): where each interval begins, ascending from 0; contains `SURROGATES`."""
    table: NDArray[np.int64]
    """(states, intervals): the next state."""
    accepting: NDArray[np.bool_]
    """(states,)"""
    start: int

    @classmethod
    def everything(cls) -> Dfa:
        """All strings."""
        return cls.lengths(0, None)

    @classmethod
    def lengths(cls, least: int, most: int | None) -> Dfa:
        """The strings of `least` to `most` characters; without `most`, of any greater length."""
        last = least if most is None else most
        targets = np.arange(2, last + 3)
        targets[-1] = last + 1 if most is None else DEAD
        table = np.zeros((last + 2, 3), dtype=np.int64)
        table[1:, 0] = table[1:, 2] = targets
        accepting = np.zeros(last + 2, dtype=np.bool_)
        accepting[1 + least :] = True
        lengths = cls(_BASE_CUTS, table, accepting, 1)
        return lengths._known_as_trimmed() if least <= last else lengths

    @classmethod
    def words(cls, words: Iterable[str]) -> Dfa:
        """Exactly these strings, as a trie."""
        moves: list[dict[int, int]] = [{}, {}]
        ends: set[int] = set()
        for word in words:
            state = 1
            for character in word:
                following = moves[state].get(ord(character))
                if following is None:
                    following = moves[state][ord(character)] = len(moves)
                    moves.append({})
                state = following
            ends.add(state)
        points = {point for row in moves for point in row}
        surrogates = any(SURROGATES[0] <= point < SURROGATES[1] for point in points)
        column = columns_of(points)
        cuts = np.array([*column], dtype=np.int64)
        table = np.zeros((len(moves), len(cuts)), dtype=np.int64)
        for state, row in enumerate(moves):
            for point, target in row.items():
                table[state, column[point]] = target
        accepting = np.zeros(len(moves), dtype=np.bool_)
        accepting[list(ends)] = True
        language = cls(cuts, table, accepting, 1)
        if surrogates:
            return language._without_surrogates()
        return language._known_as_trimmed() if ends else language

    def accepts(self, text: str) -> bool:
        """Whether the language contains `text`."""
        points = np.fromiter(map(ord, text), dtype=np.int64, count=len(text))
        state = self.start
        for column in np.searchsorted(self.cuts, points, side="right") - 1:
            state = int(self.table[state, column])
        return bool(self.accepting[state])

    @cached_property
    def empty(self) -> bool:
        """Whether the language has no string at all."""
        return not self._reachable()[self.accepting].any()

    def complement(self) -> Dfa:
        """The strings that this one does not contain."""
        # The dead state becomes a living one, so a new dead state takes number 0.
        table = np.zeros((len(self.table) + 1, len(self.cuts)), dtype=np.int64)
        table[1:] = self.table + 1
        accepting = np.concatenate([[False], ~self.accepting])
        return Dfa(self.cuts, table, accepting, self.start + 1)._without_surrogates()

    def intersection(self, other: Dfa, *, max_states: int) -> Dfa:
        """The strings that both contain."""
        return self._product(other, conjunction=True, max_states=max_states)

    def union(self, other: Dfa, *, max_states: int) -> Dfa:
        """The strings that either contains."""
        return self._product(other, conjunction=False, max_states=max_states)

    def difference(self, other: Dfa, *, max_states: int) -> Dfa:
        """The strings of this one that the other does not contain."""
        return self.intersection(other.complement(), max_states=max_states)

    def bounded(self, least: int, most: int | None, *, max_states: int) -> Dfa:
        """The strings of `least` to `most` characters; without `most`, of any greater length."""
        letters = Letters.of((self.cuts, self.table))
        rows, accepting, start = counted(
            letters.tables[0], self.accepting, self.start, least=least, most=most, max_states=max_states
        )
        return Dfa(letters.cuts, rows[:, letters.of_interval], accepting, start)._known_as_trimmed()

    @cached_property
    def classes(self) -> Classes:
        """The sets of characters that lead anywhere and are not told apart."""
        return character_classes(self.cuts, self.table)

    @cached_property
    def ascii(self) -> list[tuple[int, int, int]] | None:
        """(first, last, column) of all characters that lead anywhere; None if some are not ASCII."""
        if any(ranges[-1][1] > 0x7F for _, ranges in self.classes):
            return None
        return [(low, high, column) for column, ranges in self.classes for low, high in ranges]

    @cached_property
    def ends(self) -> NDArray[np.int64]:
        """(accepting states,): which they are."""
        return np.flatnonzero(self.accepting)

    @cached_property
    def trimmed(self) -> Dfa:
        """The same language without the states that nothing reaches, or that cannot reach acceptance."""
        kept = self.living & self._reachable()
        if kept[1:].all():
            return self
        renumber = np.where(kept, np.cumsum(kept), DEAD)
        rows = np.concatenate([[DEAD], np.flatnonzero(kept)])
        return Dfa(self.cuts, renumber[self.table[rows]], self.accepting[rows], int(renumber[self.start]))

    def _known_as_trimmed(self) -> Dfa:
        """This one, which has no states but those that `trimmed` keeps: so it need not look for others."""
        vars(self)["trimmed"] = self
        return self

    @cached_property
    def living(self) -> NDArray[np.bool_]:
        """(states,): whether each can reach acceptance."""
        table = Letters.of((self.cuts, self.table)).tables[0]
        living = self.accepting.copy()
        for _ in range(_NEAR):
            before = living
            living = living | living[table].any(axis=1)
            if (living == before).all():
                return living
        sources: list[list[int]] = [[] for _ in table]
        waiting = np.flatnonzero(~living)
        for state, row in zip(waiting.tolist(), table[waiting].tolist(), strict=True):
            for target in set(row):
                sources[target].append(state)
        queue = np.flatnonzero(living).tolist()
        for state in queue:  # grows as it is read
            fresh = [source for source in sources[state] if not living[source]]
            living[fresh] = True
            queue.extend(fresh)
        return living

    def concatenation(self, other: Dfa, *, max_states: int) -> Dfa:
        """The strings of this one, each followed by one of the other."""
        letters = Letters.of((self.cuts, self.table), (other.cuts, other.table))
        shift = len(self.table)  # the other's states are numbered after this one's
        mine, theirs = letters.tables
        rows = [*mine.tolist(), *np.where(theirs == DEAD, DEAD, theirs + shift).tolist()]
        ends = self._ends()

        def entered(state: int) -> tuple[int, ...]:
            return (state, other.start + shift) if state in ends else (state,)

        return self._determinised(
            letters,
            lambda state, letter: entered(rows[state][letter]),
            entered(self.start),
            {state + shift for state in other._ends()},
            max_states=max_states,
        )

    def star(self, *, max_states: int) -> Dfa:
        """The strings of this one, any number of them one after the other."""
        letters = Letters.of((self.cuts, self.table))
        rows, ends = letters.tables[0].tolist(), self._ends()
        # A start of its own accepts the empty string, where this one's need not.
        begin = len(rows)
        rows.append(rows[self.start])

        def entered(state: int) -> tuple[int, ...]:
            return (state, self.start) if state in ends else (state,)

        return self._determinised(
            letters,
            lambda state, letter: entered(rows[state][letter]),
            (begin,),
            {*ends, begin},
            max_states=max_states,
        )

    def reversal(self, *, max_states: int) -> Dfa:
        """The strings of this one, read from the end."""
        letters = Letters.of((self.cuts, self.table))
        sources: dict[tuple[int, int], list[int]] = {}
        for state, row in enumerate(letters.tables[0].tolist()):
            for letter, target in enumerate(row):
                if target != DEAD:
                    sources.setdefault((target, letter), []).append(state)
        return self._determinised(
            letters,
            lambda state, letter: sources.get((state, letter), ()),
            self._ends(),
            {self.start},
            max_states=max_states,
        )

    def minimised(self) -> Dfa:
        """The same language with the fewest states, and the fewest intervals."""
        letters = Letters.of((self.cuts, self.table))
        rows, accepting, start = minimised(letters.tables[0], self.accepting, self.start)
        table = letters.intervals(rows)
        return Dfa(self.cuts, table, np.array(accepting, dtype=np.bool_), start)._with_fewest_intervals()

    def _product(self, other: Dfa, *, conjunction: bool, max_states: int) -> Dfa:
        letters = Letters.of((self.cuts, self.table), (other.cuts, other.table))
        (mine, theirs), starts = letters.tables, (self.start, other.start)
        rows, pairs = product(mine, theirs, starts, conjunction=conjunction, max_states=max_states)
        a, b = self.accepting[pairs[:, 0]], other.accepting[pairs[:, 1]]
        accepting = a & b if conjunction else a | b
        return Dfa(letters.cuts, letters.intervals(rows), accepting, min(1, len(rows) - 1))

    @staticmethod
    def _determinised(
        letters: Letters,
        moves: Callable[[int, int], Iterable[int]],
        starts: Iterable[int],
        ends: set[int],
        *,
        max_states: int,
    ) -> Dfa:
        count = letters.tables[0].shape[1]
        rows, sets, start = determinised(moves, starts, letters=count, max_states=max_states)
        accepting = np.array([not ends.isdisjoint(states) for states in sets], dtype=np.bool_)
        return Dfa(letters.cuts, letters.intervals(rows), accepting, start)

    def _ends(self) -> set[int]:
        return set(self.ends.tolist())

    def _reachable(self) -> NDArray[np.bool_]:
        """(states,): whether the start can reach each."""
        table = Letters.of((self.cuts, self.table)).tables[0]
        reachable = np.zeros(len(table), dtype=np.bool_)
        reachable[self.start] = True
        for _ in range(_NEAR):
            before = np.count_nonzero(reachable)
            reachable[table[reachable]] = True
            if np.count_nonzero(reachable) == before:
                return reachable
        reachable[reached(table.tolist(), np.flatnonzero(reachable).tolist())] = True
        return reachable

    def _without_surrogates(self) -> Dfa:
        first, after = np.searchsorted(self.cuts, SURROGATES)
        table = self.table.copy()
        table[:, first:after] = DEAD
        return Dfa(self.cuts, table, self.accepting, self.start)

    def _with_fewest_intervals(self) -> Dfa:
        kept = np.ones(len(self.cuts), dtype=np.bool_)
        kept[1:] = (self.table[:, 1:] != self.table[:, :-1]).any(axis=0)
        kept |= np.isin(self.cuts, _BASE_CUTS)
        return Dfa(self.cuts[kept], self.table[:, kept], self.accepting, self.start)
