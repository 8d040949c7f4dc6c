"""From the states and moves of a deterministic automaton to its tables."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from grammar_service.automata.construction import Block
from grammar_service.automata.determinise import RETURNS, Determinisation
from grammar_service.automata.dfa import DEAD, TooManyStatesError
from grammar_service.automata.letters import distinct_rows
from grammar_service.automata.tables import SPACES, WHITESPACE, Tables
from protos.automaton import MAX_CELLS

_MANY = 4
"""More rows than these are changed faster at once than one by one."""


def tabulate(construction: Determinisation, basis: Tables | None = None, *, trimmed: bool = False) -> Tables:
    """The tables of a construction, which goes on from the one that `basis` is of.

    Args:
        trimmed: leave out the states of the bases that nothing reaches; those after them move down.

    Raises:
        TooManyStatesError: they would be too large.
    """
    kept = _reached(construction, basis) if basis and trimmed else basis
    filling = _Filling(construction, basis, kept)
    return Tables(
        cuts=filling.cuts,
        transitions=filling.table,
        accepting=filling.accepting,
        call_entries=np.concatenate(filling.call_entries).astype(np.int32),
        call_rows=np.concatenate(filling.call_rows).astype(np.int32),
        returns=np.concatenate(filling.returns).astype(np.int32),
        labels=max((len(callee.labels) for callee in construction.callees), default=0),
        basis=kept,
    )


def _reached(construction: Determinisation, basis: Tables) -> Tables | None:
    """The smallest of the bases that has all states of `basis` that the construction leads to."""
    # Only calls lead there: the states of a procedure lead to one another.
    entries = {call.entry for call in construction.calls}
    entries.update(call.entry for block in construction.blocks for call in block.calls)
    reached = max((entry for entry in entries if entry < len(basis.transitions)), default=DEAD)
    kept: Tables | None = basis
    while kept is not None and reached < (len(kept.basis.transitions) if kept.basis else 1):
        kept = kept.basis
    return kept


class _Returns(NamedTuple):
    """Where the calls of some states of a block return to."""

    same: NDArray[np.int64]
    """(states,): the number of each one's row, counted from the first."""
    rows: NDArray[np.int64]
    """(rows,): where the rows are."""


class _Filling:
    """Fills the tables, most general first."""

    def __init__(self, construction: Determinisation, basis: Tables | None, kept: Tables | None) -> None:
        """The construction goes on from `basis`; of that, the tables have what is `kept`."""
        self._construction = construction
        self._begun = len(basis.transitions) if basis else 1
        """The first state that is not of the basis, in the construction's numbering."""
        self._dropped = self._begun - (len(kept.transitions) if kept else 1)
        """States of the basis that are left out; and calls of it."""
        self._dropped_calls = (len(basis.call_entries) if basis else 0) - (
            len(kept.call_entries) if kept else 0
        )
        self.cuts = self._byte_cuts(kept)
        self._column = {cut: column for column, cut in enumerate([*self.cuts.tolist(), 256])}
        count = construction.count - self._dropped
        if count * len(self.cuts) > MAX_CELLS:
            raise TooManyStatesError(MAX_CELLS // len(self.cuts))
        self.table = np.zeros((count, len(self.cuts)), dtype=np.int32)
        self.accepting = np.zeros(count, dtype=np.bool_)
        self.accepting[self._moved(np.array(construction.accepting, dtype=np.int64))] = True
        self.call_entries: list[NDArray[np.int32 | np.int64]] = [np.zeros(0, dtype=np.int32)]
        self.call_rows: list[NDArray[np.int32 | np.int64]] = [np.zeros(0, dtype=np.int32)]
        self.returns: list[NDArray[np.int32 | np.int64]] = [np.zeros(0, dtype=np.int32)]
        self._calls, self._rows = construction.call_count - self._dropped_calls, 0
        if kept is not None:
            self._fill_basis(kept)
        self._fill_calls()
        self._fill_moves()
        for block in construction.blocks:
            self._fill_block(block)
        self._fill_borders()

    def _byte_cuts(self, basis: Tables | None) -> NDArray[np.int64]:
        ranges = {(low, high) for _, low, high, _ in self._construction.moves}
        for block in self._construction.blocks:
            ranges.update((low, high) for low, high, _ in block.plain)
            ranges.update((call.low, call.high) for call in block.calls)
        cuts = {0, *WHITESPACE.tolist(), *(WHITESPACE + 1).tolist()}
        cuts.update(low for low, _ in ranges)
        cuts.update(high + 1 for _, high in ranges)
        if basis is not None:
            cuts.update(basis.cuts.tolist())
        return np.array(sorted(cuts - {256}), dtype=np.int64)

    def _moved(self, states: NDArray[np.int64]) -> NDArray[np.int64]:
        """The numbers that states of the construction have in the tables."""
        if not self._dropped:
            return states
        return np.where(states < self._begun, states, states - self._dropped)

    def _columns(self, low: int, high: int) -> slice:
        return slice(self._column[low], self._column[high + 1])

    def _fill_basis(self, basis: Tables) -> None:
        columns = np.searchsorted(basis.cuts, self.cuts, side="right") - 1
        basis.transitions.take(columns, axis=1, out=self.table[: len(basis.transitions)], mode="clip")
        self.call_entries.append(basis.call_entries)
        self.call_rows.append(basis.call_rows)
        self.returns.append(basis.returns)
        self._rows = len(basis.returns)

    def _fill_calls(self) -> None:
        """The calls of the construction, in its numbering; equal rows are kept once."""
        offsets: dict[tuple[int, ...], int] = {}
        returns: list[int] = []
        rows = []
        for call in self._construction.calls:
            row = tuple(call.row)
            if row not in offsets:
                offsets[row] = self._rows + len(returns)
                returns.extend(row)
            rows.append(offsets[row])
        entries = np.array([call.entry for call in self._construction.calls], dtype=np.int64)
        self.call_entries.append(self._moved(entries))
        self.call_rows.append(np.array(rows, dtype=np.int32))
        self.returns.append(self._moved(np.array(returns, dtype=np.int64)))
        self._rows += len(returns)

    def _fill_moves(self) -> None:
        moves = np.array(self._construction.moves, dtype=np.int64).reshape(-1, 4)
        low, high = np.searchsorted(self.cuts, moves[:, 1]), np.searchsorted(self.cuts, moves[:, 2] + 1)
        widths = high - low
        begins = np.cumsum(widths) - widths
        columns = np.arange(widths.sum()) + np.repeat(low - begins, widths)
        sources, targets = self._moved(moves[:, 0]), moves[:, 3]
        targets = np.where(targets < RETURNS, self._moved(targets), targets)
        targets[targets < DEAD] += self._dropped_calls
        self.table[np.repeat(sources, widths), columns] = np.repeat(targets, widths)
        spaces = self._moved(np.array(self._construction.spaces, dtype=np.int64).reshape(-1, 2))
        columns = np.searchsorted(self.cuts, WHITESPACE)
        self.table[spaces[:, :1], columns] = SPACES - spaces[:, 1:]

    def _fill_block(self, block: Block) -> None:
        first, targets = block.first - self._dropped, self._moved(block.targets)
        states = slice(first, first + len(targets))
        if block.plain:
            # One letter more, of what is not read plainly.
            letters = [targets.shape[1]] * len(self.cuts)
            for low, high, letter in block.plain:
                begin, end = self._column[low], self._column[high + 1]
                letters[begin:end] = [letter] * (end - begin)
            padded = np.full((len(targets), targets.shape[1] + 1), DEAD, dtype=np.int32)
            padded[:, :-1] = targets
            padded.take(letters, axis=1, out=self.table[states], mode="clip")  # "raise" would copy
        alike: dict[tuple[int, tuple[int, ...]], _Returns] = {}
        numbers: dict[tuple[int, int], NDArray[np.int64]] = {}
        for call in block.calls:
            columns = tuple([call.columns[procedure] for label in call.callee.labels for procedure in label])
            kind = (id(call.members), columns)
            if kind not in alike:
                alike[kind] = self._returns(targets[call.members][:, columns])
            returns = alike[kind]
            of_call = (id(returns), call.entry)
            if of_call not in numbers:
                self.call_entries.append(np.full(len(returns.rows), self._moved(np.array(call.entry))))
                self.call_rows.append(returns.rows)
                numbers[of_call] = -1 - (self._calls + returns.same)[:, None]
                self._calls += len(returns.rows)
            self.table[first + call.members, self._columns(call.low, call.high)] = numbers[of_call]

    def _returns(self, targets: NDArray[np.int64]) -> _Returns:
        """The rows of calls that return to (members, labels) targets: members that return alike share one."""
        first, same = distinct_rows(targets)
        rows = self._rows + np.arange(len(first)) * targets.shape[1]
        self.returns.append(targets[first].reshape(-1))
        self._rows += targets[first].size
        return _Returns(same, rows)

    def _fill_borders(self) -> None:
        """Let states that begin a block go on as it does, and its accepting states as what comes after it."""
        construction, dropped = self._construction, self._dropped
        borders = [([state - dropped], begun - dropped) for state, begun in construction.beginnings]
        borders += [
            ((block.first - dropped + ending).tolist(), after - dropped)
            for block in construction.blocks
            for ending, after in block.after
        ]
        changed: set[int] = set()
        for states, other in borders:
            self._go_on(states, other)
            changed.update(states)
        for states, other in borders:  # what comes after a block may begin another
            if other in changed:
                self._go_on(states, other)

    def _go_on(self, states: list[int], other: int) -> None:
        """Let states have the moves of another besides their own."""
        moves, accepts = self.table[other], self.accepting[other]
        if len(states) > _MANY:
            columns = moves.nonzero()[0]
            cells = (np.array(states)[:, None], columns)
            own = self.table[cells]
            self.table[cells] = np.where(own == DEAD, moves[columns], own)
        else:
            for state in states:
                row = self.table[state]
                np.copyto(row, moves, where=row == DEAD)
        if accepts:
            self.accepting[states] = True
