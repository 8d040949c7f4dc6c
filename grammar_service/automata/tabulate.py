"""From the states and moves of a deterministic automaton to its tables."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from grammar_service.automata.determinise import Block, BlockCall, Determinisation
from grammar_service.automata.dfa import DEAD, TooManyStatesError
from grammar_service.automata.program import MAX_WHITESPACE
from grammar_service.automata.speller import Speller
from protos.automaton import MAX_CELLS, Automaton

_WHITESPACE = np.array([0x09, 0x0A, 0x0D, 0x20])


def determinise(speller: Speller, start: int, final: int, *, max_depth: int) -> Automaton:
    """The deterministic automaton of a trimmed program that begins at `start` and may end at `final`.

    Raises:
        TooManyStatesError: it would have more states than the program may.
    """
    construction = Determinisation(speller, final)
    first = construction.run(start)
    tables = _Tables(construction)
    return Automaton(
        byte_classes=tables.byte_classes,
        transitions=tables.transitions,
        accepting=tables.accepting,
        start=first,
        call_entries=np.concatenate(tables.call_entries).astype(np.int32),
        call_rows=np.concatenate(tables.call_rows).astype(np.int32),
        returns=np.concatenate(tables.returns).astype(np.int32),
        max_depth=max_depth,
    )


class _Tables:
    """The arrays of an automaton, filled in from a construction, most general first.

    After its states come copies of those in which whitespace leads back to themselves, one for each
    character of it that may come: they count it.
    """

    def __init__(self, construction: Determinisation) -> None:
        self._construction = construction
        self._spaced = np.unique([after for _, after in construction.spaces]).astype(np.int64)
        self._count = construction.count
        total = self._count + len(self._spaced) * MAX_WHITESPACE
        if total > construction.program.max_states:
            raise TooManyStatesError(construction.program.max_states)
        self._cuts = self._byte_cuts()
        if total * len(self._cuts) > MAX_CELLS:
            raise TooManyStatesError(MAX_CELLS // len(self._cuts))
        self._table = np.zeros((total, len(self._cuts)), dtype=np.int32)
        self.accepting = np.zeros(total, dtype=np.bool_)
        self.call_entries: list[NDArray[np.int64]] = [np.zeros(0, dtype=np.int64)]
        self.call_rows: list[NDArray[np.int64]] = [np.zeros(0, dtype=np.int64)]
        self.returns: list[NDArray[np.int64]] = [np.zeros(0, dtype=np.int64)]
        self._calls = self._rows = 0
        self._fill_calls()
        self._fill_moves()
        for block in construction.blocks.values():
            self._fill_block(block)
        self._fill_borders()
        self._fill_copies()
        self._fill_padding()
        self.byte_classes, self.transitions = self._merged()

    def _byte_cuts(self) -> NDArray[np.int64]:
        moves = [(low, high) for _, low, high, _ in self._construction.moves + self._construction.ends]
        for block in self._construction.blocks.values():
            moves += [(low, high) for low, high, _ in block.plain]
            moves += [(call.low, call.high) for call in block.calls]
        ranges = np.array(list(dict.fromkeys(moves)), dtype=np.int64).reshape(-1, 2)
        cuts = np.unique(np.concatenate([[0], _WHITESPACE, _WHITESPACE + 1, ranges[:, 0], ranges[:, 1] + 1]))
        return cuts[cuts < 256]

    def _columns(self, low: int, high: int) -> slice:
        return slice(*np.searchsorted(self._cuts, (low, high + 1)).tolist())

    def _fill_calls(self) -> None:
        """The calls of the construction, in its numbering; equal rows are kept once."""
        offsets: dict[tuple[int, ...], int] = {}
        returns: list[int] = []
        for call in self._construction.calls:
            row = tuple(call.row)
            if row not in offsets:
                offsets[row] = len(returns)
                returns.extend(row)
        calls = self._construction.calls
        self.call_entries.append(np.array([call.entry for call in calls], dtype=np.int64))
        self.call_rows.append(np.array([offsets[tuple(call.row)] for call in calls], dtype=np.int64))
        self.returns.append(np.array(returns, dtype=np.int64))
        self._calls, self._rows = len(calls), len(returns)

    def _fill_moves(self) -> None:
        construction = self._construction
        total = len(self._table)
        ends = [(state, low, high, total + label) for state, low, high, label in construction.ends]
        moves = np.array(construction.moves + ends, dtype=np.int64).reshape(-1, 4)
        low, high = np.searchsorted(self._cuts, moves[:, 1]), np.searchsorted(self._cuts, moves[:, 2] + 1)
        for width in np.unique(high - low).tolist():
            chosen = high - low == width
            columns = low[chosen][:, None] + np.arange(width)
            self._table[moves[chosen, 0][:, None], columns] = moves[chosen, 3][:, None]
        first_copy = self._count + np.arange(len(self._spaced))
        space = np.isin(self._cuts, _WHITESPACE)
        for state, after in construction.spaces:
            self._table[state, space] = first_copy[np.searchsorted(self._spaced, after)]
        for (callee, members), number in construction.numbers.items():
            self.accepting[number] = callee is construction.root and construction.final in members

    def _fill_block(self, block: Block) -> None:
        states = slice(block.first, block.first + len(block.leaf.dfa.table) - 1)
        targets = _numbers(block)
        for low, high, column in block.plain:
            self._table[states, self._columns(low, high)] = targets[:, column][:, None]
        offsets: dict[tuple[int, int], NDArray[np.int64]] = {}  # rows depend on both
        for call in block.calls:
            key = (id(call.members), id(call.callee))
            if key not in offsets:
                offsets[key] = self._add_rows(call, targets)
            numbers = self._calls + np.arange(len(call.members))
            self.call_entries.append(np.full(len(call.members), call.entry))
            self.call_rows.append(offsets[key])
            self._calls += len(call.members)
            self._table[block.first + call.members, self._columns(call.low, call.high)] = (
                -1 - numbers[:, None]
            )

    def _add_rows(self, call: BlockCall, targets: NDArray[np.int64]) -> NDArray[np.int64]:
        """Add the rows that the members of a call push; return their offsets."""
        columns = [call.columns[procedure] for label in call.callee.labels for procedure in label]
        rows = targets[call.members][:, columns]
        offsets = self._rows + np.arange(len(rows)) * len(columns)
        self.returns.append(rows.reshape(-1))
        self._rows += rows.size
        return offsets

    def _fill_borders(self) -> None:
        """Let states that begin a block go on as it does, and its accepting states as what comes after it."""
        construction = self._construction
        for _ in range(2):  # what comes after a block may begin another
            for state, block in construction.beginnings:
                self._add(np.array([state]), block.first + block.leaf.dfa.start - 1)
            for block in construction.blocks.values():
                self._add(block.first + np.flatnonzero(block.leaf.dfa.accepting[1:]), block.after)

    def _add(self, states: NDArray[np.int64], other: int) -> None:
        rows = self._table[states]
        self._table[states] = np.where(rows == DEAD, self._table[other], rows)
        self.accepting[states] |= self.accepting[other]

    def _fill_copies(self) -> None:
        repeated = np.tile(self._spaced, MAX_WHITESPACE)
        copies = np.arange(self._count, len(self._table))
        self._table[copies] = self._table[repeated]
        self.accepting[copies] = self.accepting[repeated]
        following = copies + len(self._spaced)
        space = np.isin(self._cuts, _WHITESPACE)
        self._table[np.ix_(copies, space)] = np.where(following < len(self._table), following, DEAD)[:, None]

    def _fill_padding(self) -> None:
        """A reader checks every row for the largest label, so the last row needs that many entries."""
        widest = max((end[3] + 1 for end in self._construction.ends), default=0)
        self.returns.append(np.zeros(widest, dtype=np.int64))

    def _merged(self) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
        """Byte classes and transitions: equal columns become one class."""
        merged: dict[bytes, int] = {}
        columns = np.ascontiguousarray(self._table.T)
        classes = [merged.setdefault(column.tobytes(), len(merged)) for column in columns]
        kept = np.unique(classes, return_index=True)[1]
        byte_classes = np.array(classes)[np.searchsorted(self._cuts, np.arange(256), side="right") - 1]
        return byte_classes.astype(np.uint8), np.ascontiguousarray(self._table[:, kept])


def _numbers(block: Block) -> NDArray[np.int64]:
    """(states, columns): where the states of a block lead."""
    targets = block.leaf.dfa.table[1:]
    return np.where(targets == DEAD, DEAD, targets + (block.first - 1))
