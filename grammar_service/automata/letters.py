"""The intervals of characters that automata tell apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Cuts = NDArray[np.int64]
"""(intervals,): where each interval of code points begins, ascending from 0."""
Table = NDArray[np.int64]
"""(states, intervals or letters): the next state."""
_LARGE = 1 << 16
"""Cells."""
_FEW = 64
"""Fewer rows than these are told apart faster without numpy."""


@dataclass(frozen=True)
class Letters:
    """The intervals of one or more automata, joined into letters as far as none of them tells them apart.

    Automata have hundreds of intervals, and a handful of letters: what explores states works on letters.
    """

    cuts: Cuts
    of_interval: NDArray[np.int64]
    """(intervals,): the letter of each, counted from 0."""
    tables: tuple[Table, ...]
    """Those of the automata, over letters."""

    @classmethod
    def of(cls, *automata: tuple[Cuts, Table]) -> Letters:
        """The letters of automata, each given by its cuts and its table over intervals."""
        cuts = automata[0][0]
        for other, _ in automata[1:]:
            cuts = np.union1d(cuts, other)
        of_interval = np.zeros(len(cuts), dtype=np.int64)
        columns = []
        for its_cuts, table in automata:
            columns.append(np.searchsorted(its_cuts, cuts, side="right") - 1)
            alike = row_numbers(table.T)[columns[-1]]
            of_interval = np.unique(of_interval * (int(alike.max()) + 1) + alike, return_inverse=True)[1]
        first = np.unique(of_interval, return_index=True)[1]
        tables = tuple(table[:, column[first]] for (_, table), column in zip(automata, columns, strict=True))
        return cls(cuts, of_interval, tables)

    def intervals(self, rows: list[list[int]]) -> Table:
        """A table over intervals, of `rows` over letters."""
        return np.array(rows, dtype=np.int64)[:, self.of_interval]


def row_numbers(matrix: NDArray[np.int64]) -> NDArray[np.int64]:
    """(rows,): equal rows get equal numbers from 0."""
    return distinct_rows(matrix)[1]


def distinct_rows(matrix: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(kinds,) the first of the rows that are equal, and (rows,) which of these each is equal to."""
    if len(matrix) < _FEW:
        rows = matrix[:, 0].tolist() if matrix.shape[1] == 1 else [row.tobytes() for row in matrix]
        of_row = {row: number for number, row in enumerate(sorted(set(rows)))}
        first = np.array([rows.index(row) for row in of_row], dtype=np.int64)
        return first, np.array([of_row[row] for row in rows], dtype=np.int64)
    if matrix.shape[1] == 1:
        _, first, numbers = np.unique(matrix[:, 0], return_index=True, return_inverse=True)
        return first, numbers
    if matrix.size > _LARGE:  # numpy sorts numbers much faster than rows, so sort a hash of each
        weights = np.random.default_rng(0).integers(1 << 63, size=matrix.shape[1], dtype=np.int64)
        _, first, numbers = np.unique(matrix @ weights, return_index=True, return_inverse=True)
        if (matrix == matrix[first[numbers]]).all():
            return first, numbers
    # As raw bytes, for numpy compares those faster than what it makes of axis=0.
    raw = np.ascontiguousarray(matrix).view(np.dtype((np.void, matrix.dtype.itemsize * matrix.shape[1])))
    _, first, numbers = np.unique(raw.reshape(-1), return_index=True, return_inverse=True)
    return first, numbers.reshape(-1)
