"""From a program to the deterministic automaton that the shard follows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from grammar_service.automata.dfa import TooManyStatesError
from grammar_service.automata.program import MAX_WHITESPACE, NONE, Move, Procedure, Program
from protos.automaton import MAX_CELLS, Automaton

States = tuple[int, ...]
"""A sorted set of program states."""

_TARGET, _ENTRY, _PROCEDURE = 2, 3, 4
_WHITESPACE = np.array([0x09, 0x0A, 0x0D, 0x20])
_WHITESPACE_CUTS = np.concatenate([_WHITESPACE, _WHITESPACE + 1])


@dataclass(eq=False)
class _Callee:
    """A set of procedures that run as one, and what the ways it can end in mean.

    Its labels number the sets of procedures that can end at the same byte; every call of it has one target
    a label.
    """

    labels: dict[frozenset[Procedure], int] = field(default_factory=dict)
    calls: list[_Call] = field(default_factory=list)


@dataclass(eq=False)
class _Call:
    caller: _Callee
    entry: int
    targets: tuple[tuple[Procedure, States], ...]
    """Where each of the callee's procedures returns to."""
    row: list[int] = field(default_factory=list)
    """The state that each label returns to."""


class _Determinisation:
    """Subset construction for visibly pushdown automata (Alur and Madhusudan, STOC 2004).

    The states reached together in one callee form one state. A call collects all the procedures that the
    byte may begin; when the callee ends, the label says which of them could end there, and so which of
    the caller's states go on. Of a trimmed program, every state made here can reach acceptance.
    """

    def __init__(self, program: Program, final: int) -> None:
        self.program = program
        self.final = final
        self.closures: dict[int, States] = {}
        self.root = _Callee()
        self.callees: dict[frozenset[Procedure], _Callee] = {}
        self.numbers: dict[tuple[_Callee, States], int] = {}
        self.queue: list[tuple[_Callee, States, int]] = []
        self.calls: dict[tuple[_Callee, _Callee, int, tuple[tuple[Procedure, States], ...]], int] = {}
        self.call_list: list[_Call] = []
        self.moves: list[tuple[int, int, int, int]] = []
        """(state, first byte, last byte, target), with calls as targets below 0."""
        self.ends: list[tuple[int, int, int, int]] = []
        """(state, first byte, last byte, label)."""
        self.spaces: list[tuple[int, int]] = []
        """(state, where one character of whitespace leads). The latter leads to itself."""

    def run(self, start: int) -> int:
        """Make all states reachable from `start`, and return its number."""
        first = self._number(self.root, self._closure((start,)))
        while self.queue:
            callee, states, number = self.queue.pop()
            self._expand(callee, states, number)
        return first

    def _closure(self, states: Iterable[int]) -> States:
        """Everything reachable by reading nothing, less what has no moves of its own."""
        closures = [self.closures.get(state) or self._closure_of(state) for state in states]
        return closures[0] if len(closures) == 1 else tuple(sorted(set().union(*closures)))

    def _closure_of(self, start: int) -> States:
        program, seen, stack = self.program, {start}, [start]
        while stack:
            for target in program.epsilon[stack.pop()]:
                if target not in seen:
                    seen.add(target)
                    stack.append(target)
        closure = self.closures[start] = tuple(
            sorted(s for s in seen if program.moves[s] or s == self.final or s in program.spaced)
        )
        return closure

    def _number(self, callee: _Callee, states: States) -> int:
        number = self.numbers.get((callee, states))
        if number is None:
            number = self.numbers[callee, states] = len(self.numbers) + 1
            if number >= self.program.max_states:
                raise TooManyStatesError(self.program.max_states)
            self.queue.append((callee, states, number))
        return number

    def _expand(self, callee: _Callee, states: States, number: int) -> None:
        moves = self.program.moves
        together = moves[states[0]] if len(states) == 1 else [m for state in states for m in moves[state]]
        for low, high, covering in _segments(together):
            if covering[0][_TARGET] == NONE:
                ended = frozenset([move[_PROCEDURE] for move in covering])
                self.ends.append((number, low, high, self._label(callee, ended)))
            elif covering[0][_ENTRY] == NONE:
                target = self._closure([move[_TARGET] for move in covering])
                self.moves.append((number, low, high, self._number(callee, target)))
            else:
                self.moves.append((number, low, high, -1 - self._call(callee, covering)))
        if not self.program.spaced.isdisjoint(states):
            after = self._closure([state for state in states if state in self.program.spaced])
            self.spaces.append((number, self._number(callee, after)))

    def _call(self, caller: _Callee, calls: list[Move]) -> int:
        targets: dict[Procedure, list[int]] = {}
        for _, _, target, _, procedure in calls:
            targets.setdefault(procedure, []).append(target)
        returning = tuple([(procedure, self._closure(targets[procedure])) for procedure in sorted(targets)])
        procedures = frozenset(targets)
        callee = self.callees.get(procedures)
        if callee is None:
            callee = self.callees[procedures] = _Callee()
        entry = self._number(callee, self._closure({call[_ENTRY] for call in calls}))
        key = (caller, callee, entry, returning)
        index = self.calls.get(key)
        if index is None:
            index = self.calls[key] = len(self.call_list)
            call = _Call(caller, entry, returning)
            self.call_list.append(call)
            callee.calls.append(call)
            for ended in callee.labels:
                self._return(call, ended)
        return index

    def _label(self, callee: _Callee, ended: frozenset[Procedure]) -> int:
        label = callee.labels.get(ended)
        if label is None:
            label = callee.labels[ended] = len(callee.labels)
            for call in callee.calls:
                self._return(call, ended)
        return label

    def _return(self, call: _Call, ended: frozenset[Procedure]) -> None:
        states = {state for procedure, to in call.targets if procedure in ended for state in to}
        call.row.append(self._number(call.caller, tuple(sorted(states))))


def _segments(moves: list[Move]) -> list[tuple[int, int, list[Move]]]:
    """Cut moves into disjoint byte ranges, each with the moves that cover it; these must be of one kind."""
    if len(moves) == 1:
        return [(moves[0][0], moves[0][1], moves)]
    moves = sorted(moves)
    if all(before[1] < after[0] for before, after in pairwise(moves)):
        return [(move[0], move[1], [move]) for move in moves]
    cuts = sorted({move[0] for move in moves} | {move[1] + 1 for move in moves})
    segments = []
    for low, after in pairwise(cuts):
        covering = [move for move in moves if move[0] <= low <= move[1]]
        if covering:
            if len({(move[_TARGET] == NONE, move[_ENTRY] == NONE) for move in covering}) > 1:
                raise AssertionError(f"the program is not visibly pushdown at bytes {low}-{after - 1}")
            segments.append((low, after - 1, covering))
    return segments


def determinise(program: Program, start: int, final: int, *, max_depth: int) -> Automaton:
    """The deterministic automaton of a trimmed program that begins at `start` and may end at `final`.

    Raises:
        TooManyStatesError: it would have more than `program.max_states` states.
    """
    construction = _Determinisation(program, final)
    first = construction.run(start)
    byte_classes, transitions, repeated = _table(construction)
    accepting = np.zeros(len(transitions), dtype=np.bool_)
    for (callee, members), number in construction.numbers.items():
        accepting[number] = callee is construction.root and final in members
    accepting[len(accepting) - len(repeated) :] = accepting[repeated]
    rows, returns = _rows(construction)
    return Automaton(
        byte_classes=byte_classes,
        transitions=transitions,
        accepting=accepting,
        start=first,
        call_entries=np.array([call.entry for call in construction.call_list], dtype=np.int32),
        call_rows=rows,
        returns=returns,
        max_depth=max_depth,
    )


def _table(
    construction: _Determinisation,
) -> tuple[NDArray[np.uint8], NDArray[np.int32], NDArray[np.int64]]:
    """Byte classes, transitions, and the states whose copies count whitespace, which come after all others.

    A state in which whitespace leads back to itself is copied once for each character of it that may come.
    """
    states = len(construction.numbers) + 1
    spaced = np.unique([after for _, after in construction.spaces]).astype(np.int64)
    repeated = np.tile(spaced, MAX_WHITESPACE)
    total = states + len(repeated)
    if total > construction.program.max_states:
        raise TooManyStatesError(construction.program.max_states)
    ends = [(state, low, high, total + label) for state, low, high, label in construction.ends]
    moves = np.array(construction.moves + ends, dtype=np.int64).reshape(-1, 4)
    cuts = np.unique(np.concatenate([[0], _WHITESPACE_CUTS, moves[:, 1], moves[:, 2] + 1]))
    cuts = cuts[cuts < 256]
    if total * len(cuts) > MAX_CELLS:
        raise TooManyStatesError(MAX_CELLS // len(cuts))
    table = np.zeros((total, len(cuts)), dtype=np.int32)
    low, high = np.searchsorted(cuts, moves[:, 1]), np.searchsorted(cuts, moves[:, 2] + 1)
    for width in np.unique(high - low).tolist():
        chosen = high - low == width
        columns = low[chosen][:, None] + np.arange(width)
        table[moves[chosen, 0][:, None], columns] = moves[chosen, 3][:, None]
    table[states:] = table[repeated]
    space = np.isin(cuts, _WHITESPACE)
    first_copy = states + np.arange(len(spaced))
    for state, after in construction.spaces:
        table[state, space] = first_copy[np.searchsorted(spaced, after)]
    copies = np.arange(states, total)
    if len(copies):
        following = np.where(copies + len(spaced) < total, copies + len(spaced), 0)
        table[states:, space] = following[:, None]
    merged: dict[bytes, int] = {}  # equal columns become one class
    classes = [merged.setdefault(column.tobytes(), len(merged)) for column in np.ascontiguousarray(table.T)]
    kept = np.unique(classes, return_index=True)[1]
    byte_classes = np.array(classes)[np.searchsorted(cuts, np.arange(256), side="right") - 1]
    return byte_classes.astype(np.uint8), np.ascontiguousarray(table[:, kept]), repeated


def _rows(construction: _Determinisation) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """The offset of each call's row, and all rows in one array; equal rows are kept once."""
    offsets: dict[tuple[int, ...], int] = {}
    returns: list[int] = []
    rows = np.zeros(len(construction.call_list), dtype=np.int32)
    for index, call in enumerate(construction.call_list):
        row = tuple(call.row)
        if row not in offsets:
            offsets[row] = len(returns)
            returns.extend(row)
        rows[index] = offsets[row]
    # A reader checks every row for the largest label there is, so the last row needs that many entries.
    widest = max((len(call.row) for call in construction.call_list), default=0)
    returns.extend([0] * widest)
    return rows, np.array(returns, dtype=np.int32)
