"""The tables of a deterministic automaton while it is made."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from grammar_service.automata.determinise import RETURNS
from grammar_service.automata.dfa import TooManyStatesError
from grammar_service.automata.program import MAX_WHITESPACE
from protos.automaton import Automaton
from protos.repetition import Repetition

WHITESPACE = np.array([0x09, 0x0A, 0x0D, 0x20])
SPACES = -RETURNS
_CHUNK = 1 << 12
"""So many rows at a time are turned: they fit into a core's cache."""


@dataclass(frozen=True, eq=False)
class Tables:
    """The arrays of a deterministic automaton, whitespace not yet counted and columns not yet merged."""

    cuts: NDArray[np.int64]
    """(columns,): the first byte of each."""
    transitions: NDArray[np.int32]
    """(states, columns): as in an `Automaton`, but that returns are RETURNS and the label, and whitespace
    that may be repeated is SPACES less the state after it."""
    accepting: NDArray[np.bool_]
    """(states,)"""
    call_entries: NDArray[np.int32]
    call_rows: NDArray[np.int32]
    returns: NDArray[np.int32]
    labels: int
    """The most labels that a procedure ends with."""
    basis: Tables | None
    """The tables that these go on from, if any: their states, calls and rows come first."""

    def automaton(self, start: int, *, max_states: int, max_depth: int) -> Automaton:
        """The automaton that begins in `start`.

        The states in which whitespace leads back to themselves are repeated, once for each character of it
        that may come: the copies count it.

        Raises:
            TooManyStatesError: it would have more than `max_states`.
        """
        byte_classes, kept = self._merged()
        table = self.transitions.take(kept, axis=1)  # passes over the cells are what takes time
        # A class of whitespace is one of nothing else, if there are copies at all.
        white = {*np.searchsorted(self.cuts, WHITESPACE).tolist()}
        spaces = np.array([number for number, column in enumerate(kept) if column in white], dtype=np.uint8)
        spaced = self._count_spaces(table, spaces)
        total = len(table) + len(spaced) * MAX_WHITESPACE
        if total > max_states:
            raise TooManyStatesError(max_states)
        table[table >= RETURNS] -= np.int32(RETURNS - total)
        return Automaton(
            byte_classes=byte_classes,
            transitions=table,
            accepting=self.accepting,
            start=start,
            call_entries=self.call_entries,
            call_rows=self.call_rows,
            # A reader checks every row for the largest label, so the last row needs that many entries.
            returns=np.concatenate([self.returns, np.zeros(self.labels, dtype=np.int32)]),
            max_depth=max_depth,
            repetition=Repetition(
                states=spaced.astype(np.int32),
                classes=spaces,
                times=MAX_WHITESPACE if len(spaced) else 0,
            ),
        )

    def _count_spaces(self, table: NDArray[np.int32], spaces: NDArray[np.uint8]) -> NDArray[np.int32]:
        """Let whitespace lead to the first copies of the states after it, in place; return these states."""
        cells = table[:, spaces]
        counted = cells <= SPACES
        spaced = np.unique(SPACES - cells[counted])
        cells[counted] = len(table) + np.searchsorted(spaced, SPACES - cells[counted])
        table[:, spaces] = cells
        return spaced

    def _merged(self) -> tuple[NDArray[np.uint8], list[int]]:
        """Byte classes, and the column of each: equal columns become one class."""
        classes = [0] * len(self.cuts)
        for chunk in range(0, len(self.transitions), _CHUNK):
            columns = np.ascontiguousarray(self.transitions[chunk : chunk + _CHUNK].T)
            numbers: dict[tuple[int, bytes], int] = {}
            classes = [
                numbers.setdefault((before, column.tobytes()), len(numbers))
                for before, column in zip(classes, columns, strict=True)
            ]
        kept = [classes.index(number) for number in range(len(numbers))]
        widths = np.diff(self.cuts, append=256)
        return np.repeat(np.array(classes, dtype=np.uint8), widths), kept
