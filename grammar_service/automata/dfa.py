"""Deterministic automata over characters, and their algebra."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from protos.errors import InvalidRequestError

DEAD = 0
SURROGATES = (0xD800, 0xE000)
"""Code points that are no characters: first, and one after the last."""
END_OF_UNICODE = 0x110000

_BASE_CUTS = np.array([0, *SURROGATES], dtype=np.int64)


class TooManyStatesError(InvalidRequestError):
    """An automaton would exceed the limit on its size."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"the grammar needs more than {limit} states")


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
        return cls(_BASE_CUTS, table, accepting, 1)

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
        cuts = np.unique(np.array([0, *SURROGATES, *points, *(p + 1 for p in points)], dtype=np.int64))
        cuts = cuts[cuts < END_OF_UNICODE]
        table = np.zeros((len(moves), len(cuts)), dtype=np.int64)
        column = {point: int(np.searchsorted(cuts, point)) for point in points}
        for state, row in enumerate(moves):
            for point, target in row.items():
                table[state, column[point]] = target
        accepting = np.zeros(len(moves), dtype=np.bool_)
        accepting[list(ends)] = True
        return cls(cuts, table, accepting, 1)._without_surrogates()

    def accepts(self, text: str) -> bool:
        """Whether the language contains `text`."""
        points = np.fromiter(map(ord, text), dtype=np.int64, count=len(text))
        state = self.start
        for column in np.searchsorted(self.cuts, points, side="right") - 1:
            state = int(self.table[state, column])
        return bool(self.accepting[state])

    def is_empty(self) -> bool:
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

    def minimised(self) -> Dfa:
        """The same language with the fewest states, by partition refinement (Moore, 1956)."""
        reachable = np.flatnonzero(self._reachable() | (np.arange(len(self.table)) == DEAD))
        renumber = np.zeros(len(self.table), dtype=np.int64)
        renumber[reachable] = np.arange(len(reachable))
        table, accepting = renumber[self.table[reachable]], self.accepting[reachable]
        block, count = accepting.astype(np.int64), 1 + int(accepting.any())
        while True:
            signature = np.column_stack([block, block[table]])
            refined = _row_numbers(signature)
            block, previous, count = refined, count, int(refined.max()) + 1
            if count == previous:
                break
        block = _with_dead_first(block, int(block[DEAD]))
        first = np.unique(block, return_index=True)[1]
        merged = Dfa(self.cuts, block[table[first]], accepting[first], int(block[renumber[self.start]]))
        return merged._with_fewest_intervals()

    def _product(self, other: Dfa, *, conjunction: bool, max_states: int) -> Dfa:
        cuts = np.union1d(self.cuts, other.cuts)
        mine = self.table[:, np.searchsorted(self.cuts, cuts, side="right") - 1]
        theirs = other.table[:, np.searchsorted(other.cuts, cuts, side="right") - 1]
        width = len(theirs)
        number = {DEAD: 0}  # of each pair a * width + b
        frontier = np.array([self.start * width + other.start])
        number.setdefault(int(frontier[0]), 1)
        pairs = [np.array([DEAD]), frontier]
        rows: list[NDArray[np.int64]] = [np.zeros((1, len(cuts)), dtype=np.int64)]
        while len(frontier):
            a, b = mine[frontier // width], theirs[frontier % width]
            if conjunction:
                a, b = np.where(b == DEAD, DEAD, a), np.where(a == DEAD, DEAD, b)
            reached = a * width + b
            rows.append(reached)
            fresh = [pair for pair in np.unique(reached).tolist() if pair not in number]
            for pair in fresh:
                number[pair] = len(number)
            if len(number) > max_states:
                raise TooManyStatesError(max_states)
            frontier = np.array(fresh, dtype=np.int64)
            pairs.append(frontier)
        keys = np.concatenate(pairs) if frontier.size or len(pairs) > 1 else pairs[0]
        if number.get(self.start * width + other.start) == 0:  # the start itself is dead
            return Dfa(cuts, np.zeros((1, len(cuts)), dtype=np.int64), np.array([False]), DEAD)
        order = np.argsort(keys)
        table = order[np.searchsorted(keys[order], np.concatenate(rows))]
        a, b = self.accepting[keys // width], other.accepting[keys % width]
        return Dfa(cuts, table, a & b if conjunction else a | b, 1)

    def _reachable(self) -> NDArray[np.bool_]:
        seen = np.zeros(len(self.table), dtype=np.bool_)
        frontier = np.array([self.start])
        while len(frontier):
            seen[frontier] = True
            following = np.unique(self.table[frontier])
            frontier = following[~seen[following]]
        return seen

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


def _row_numbers(matrix: NDArray[np.int64]) -> NDArray[np.int64]:
    """(rows,): equal rows get equal numbers from 0. As raw bytes, for numpy compares those much faster."""
    raw = np.ascontiguousarray(matrix).view(np.dtype((np.void, matrix.dtype.itemsize * matrix.shape[1])))
    return np.unique(raw.reshape(-1), return_inverse=True)[1].reshape(-1)


def _with_dead_first(block: NDArray[np.int64], dead: int) -> NDArray[np.int64]:
    """Renumber the blocks so that the one of the dead state is 0."""
    renumber = np.arange(int(block.max()) + 1)
    renumber[[0, dead]] = renumber[[dead, 0]]
    return renumber[block]
