"""From a program to the deterministic automaton that the shard follows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from grammar_service.automata.dfa import TooManyStatesError
from grammar_service.automata.program import Procedure, Program
from protos.automaton import MAX_CELLS, Automaton

States = tuple[int, ...]
"""A sorted set of program states."""


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
        self.closures: dict[int, frozenset[int]] = {}
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

    def run(self, start: int) -> int:
        """Make all states reachable from `start`, and return its number."""
        first = self._number(self.root, self._closure((start,)))
        while self.queue:
            callee, states, number = self.queue.pop()
            self._expand(callee, states, number)
        return first

    def _closure(self, states: Iterable[int]) -> States:
        """Everything reachable by reading nothing, less what has no moves of its own."""
        result: set[int] = set()
        for state in states:
            closure = self.closures.get(state)
            if closure is None:
                closure = self.closures[state] = self._closure_of(state)
            result |= closure
        return tuple(sorted(result))

    def _closure_of(self, state: int) -> frozenset[int]:
        program, seen, stack = self.program, {state}, [state]
        while stack:
            for target in program.epsilon[stack.pop()]:
                if target not in seen:
                    seen.add(target)
                    stack.append(target)
        return frozenset(
            s for s in seen if program.edges[s] or program.calls[s] or program.returns[s] or s == self.final
        )

    def _number(self, callee: _Callee, states: States) -> int:
        number = self.numbers.get((callee, states))
        if number is None:
            number = self.numbers[callee, states] = len(self.numbers) + 1
            if number >= self.program.max_states:
                raise TooManyStatesError(self.program.max_states)
            self.queue.append((callee, states, number))
        return number

    def _expand(self, callee: _Callee, states: States, number: int) -> None:
        program = self.program
        for low, high, moves in _segments(
            [edge for state in states for edge in program.edges[state]],
            [call for state in states for call in program.calls[state]],
            [end for state in states for end in program.returns[state]],
        ):
            targets = [move[2] for move in moves if len(move) == 3 and move[2] >= 0]
            calls = [move for move in moves if len(move) == 5]
            ends = [-move[2] - 1 for move in moves if len(move) == 3 and move[2] < 0]
            if bool(targets) + bool(calls) + bool(ends) != 1:
                raise AssertionError(f"the program is not visibly pushdown at bytes {low}-{high}")
            if targets:
                self.moves.append((number, low, high, self._number(callee, self._closure(targets))))
            elif calls:
                self.moves.append((number, low, high, -1 - self._call(callee, calls)))
            else:
                self.ends.append((number, low, high, self._label(callee, frozenset(ends))))

    def _call(self, caller: _Callee, calls: Iterable[tuple[int, ...]]) -> int:
        targets: dict[Procedure, set[int]] = {}
        for _, _, _, procedure, target in calls:
            targets.setdefault(procedure, set()).add(target)
        returning = tuple(sorted((procedure, self._closure(to)) for procedure, to in targets.items()))
        callee = self.callees.setdefault(frozenset(targets), _Callee())
        entry = self._number(callee, self._closure(call[2] for call in calls))
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


def _segments(
    edges: list[tuple[int, int, int]],
    calls: list[tuple[int, int, int, int, int]],
    ends: list[tuple[int, int, int]],
) -> list[tuple[int, int, list[tuple[int, ...]]]]:
    """Cut the moves of several states into disjoint byte ranges, each with its moves.

    A return of procedure p stands as (low, high, -p - 1) among them.
    """
    moves: list[tuple[int, ...]] = [*edges, *calls, *((low, high, -p - 1) for low, high, p in ends)]
    moves.sort()
    if all(before[1] < after[0] for before, after in pairwise(moves)):
        return [(move[0], move[1], [move]) for move in moves]
    cuts = sorted({move[0] for move in moves} | {move[1] + 1 for move in moves})
    segments = []
    for low, after in pairwise(cuts):
        covering = [move for move in moves if move[0] <= low <= move[1]]
        if covering:
            segments.append((low, after - 1, covering))
    return segments


def determinise(program: Program, start: int, final: int, *, max_depth: int) -> Automaton:
    """The deterministic automaton of a trimmed program that begins at `start` and may end at `final`.

    Raises:
        TooManyStatesError: it would have more than `program.max_states` states.
    """
    construction = _Determinisation(program, final)
    first = construction.run(start)
    states = len(construction.numbers) + 1
    byte_classes, transitions = _table(construction, states)
    accepting = np.zeros(states, dtype=np.bool_)
    for (callee, members), number in construction.numbers.items():
        accepting[number] = callee is construction.root and final in members
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


def _table(construction: _Determinisation, states: int) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    ends = [(state, low, high, states + label) for state, low, high, label in construction.ends]
    moves = np.array(construction.moves + ends, dtype=np.int64).reshape(-1, 4)
    cuts = np.unique(np.concatenate([[0], moves[:, 1], moves[:, 2] + 1]))
    cuts = cuts[cuts < 256]
    if states * len(cuts) > MAX_CELLS:
        raise TooManyStatesError(MAX_CELLS // len(cuts))
    table = np.zeros((states, len(cuts)), dtype=np.int32)
    low, high = np.searchsorted(cuts, moves[:, 1]), np.searchsorted(cuts, moves[:, 2], side="right")
    for width in np.unique(high - low).tolist():
        chosen = high - low == width
        columns = low[chosen][:, None] + np.arange(width)
        table[moves[chosen, 0][:, None], columns] = moves[chosen, 3][:, None]
    merged: dict[bytes, int] = {}  # equal columns become one class
    classes = [merged.setdefault(column.tobytes(), len(merged)) for column in np.ascontiguousarray(table.T)]
    kept = np.unique(classes, return_index=True)[1]
    byte_classes = np.array(classes)[np.searchsorted(cuts, np.arange(256), side="right") - 1]
    return byte_classes.astype(np.uint8), np.ascontiguousarray(table[:, kept])


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
