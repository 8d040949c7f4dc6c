"""Subset construction: from a program to the states and moves of a deterministic automaton."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from grammar_service.automata.dfa import DEAD, TooManyStatesError
from grammar_service.automata.program import NONE, Leaf, Move, Procedure
from grammar_service.automata.speller import Speller

States = tuple[int, ...]
"""A sorted set of program states."""

_TARGET, _ENTRY, _PROCEDURE = 2, 3, 4


@dataclass(eq=False)
class Callee:
    """A set of procedures that run as one, and what the ways it can end in mean.

    Its labels number the sets of procedures that can end at the same byte; every call of it has one target
    a label.
    """

    labels: dict[frozenset[Procedure], int] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)


@dataclass(eq=False)
class Call:
    """A call, and where it returns to."""

    caller: Callee
    entry: int
    targets: tuple[tuple[Procedure, States], ...]
    """Where each of the callee's procedures returns to."""
    row: list[int] = field(default_factory=list)
    """The state that each label returns to."""


@dataclass(eq=False)
class BlockCall:
    """The calls that a byte range makes from some states of a block."""

    members: NDArray[np.int64]
    """The states, counted from the first of the block."""
    low: int
    high: int
    callee: Callee
    entry: int
    columns: dict[Procedure, int]
    """For each of the callee's procedures, the column of the leaf's table that says where it returns to."""


@dataclass(eq=False)
class Block:
    """A leaf taken over whole. State s of its DFA, but the dead one, is number `first` + s - 1."""

    leaf: Leaf
    first: int
    after: int
    """The state whose moves its accepting states have as well."""
    plain: list[tuple[int, int, int]] = field(default_factory=list)
    """(first byte, last byte, column of the leaf's table)"""
    calls: list[BlockCall] = field(default_factory=list)


class Determinisation:
    """Subset construction for visibly pushdown automata (Alur and Madhusudan, STOC 2004).

    The states reached together in one callee form one state, numbered from 1. A call collects all the
    procedures that the byte may begin; when the callee ends, the label says which of them could end there,
    and so which of the caller's states go on. Of a trimmed program, every state made here can reach
    acceptance.

    A leaf that is read alone is not constructed but taken over as a block: its states become consecutive
    numbers, for `tabulate` to fill in all at once.
    """

    def __init__(self, speller: Speller, final: int) -> None:
        self.program = speller.program
        self.speller = speller
        self.final = final
        self.root = Callee()
        self.count = 1
        """States so far, the dead one included."""
        self.numbers: dict[tuple[Callee, States], int] = {}
        self.moves: list[tuple[int, int, int, int]] = []
        """(state, first byte, last byte, target), with calls as targets below 0."""
        self.ends: list[tuple[int, int, int, int]] = []
        """(state, first byte, last byte, label)."""
        self.spaces: list[tuple[int, int]] = []
        """(state, where one character of whitespace leads). The latter leads to itself."""
        self.calls: list[Call] = []
        self.blocks: dict[tuple[Callee, Leaf], Block] = {}
        self.beginnings: list[tuple[int, Block]] = []
        """States that go on as the start of a block does, besides what moves they have."""
        self._closures: dict[int, States] = {}
        self._callees: dict[frozenset[Procedure], Callee] = {}
        self._queue: list[tuple[Callee, States, int]] = []
        self._call_numbers: dict[tuple[Callee, Callee, int, tuple[tuple[Procedure, States], ...]], int] = {}
        self._expanded: dict[int, int] = {}

    def run(self, start: int) -> int:
        """Make all states reachable from `start`, and return its number."""
        first = self._number(self.root, self._closure((start,)))
        while self._queue:
            callee, states, number = self._queue.pop()
            self._expand(callee, states, number)
        return first

    def _closure(self, states: Iterable[int]) -> States:
        """Everything reachable by reading nothing, less what has no moves of its own."""
        closures = [self._closures.get(state) or self._closure_of(state) for state in states]
        return closures[0] if len(closures) == 1 else tuple(sorted(set().union(*closures)))

    def _closure_of(self, start: int) -> States:
        program, seen, stack = self.program, {start}, [start]
        while stack:
            for target in program.epsilon[stack.pop()]:
                if target not in seen:
                    seen.add(target)
                    stack.append(target)
        closure = self._closures[start] = tuple(
            sorted(
                s
                for s in seen
                if program.moves[s] or s == self.final or s in program.spaced or s in program.leaves
            )
        )
        return closure

    def _number(self, callee: Callee, states: States) -> int:
        number = self.numbers.get((callee, states))
        if number is None:
            number = self.numbers[callee, states] = self._new_states(1)
            self._queue.append((callee, states, number))
        return number

    def _new_states(self, count: int) -> int:
        """The first of `count` new numbers."""
        self.count += count
        if self.count > self.program.max_states:
            raise TooManyStatesError(self.program.max_states)
        return self.count - count

    def _expand(self, callee: Callee, states: States, number: int) -> None:
        moves = self.program.moves
        if not self.program.leaves.keys().isdisjoint(states):
            states = self._without_leaves(callee, states, number)
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

    def _call(self, caller: Callee, calls: list[Move]) -> int:
        targets: dict[Procedure, list[int]] = {}
        for _, _, target, _, procedure in calls:
            targets.setdefault(procedure, []).append(target)
        returning = tuple([(procedure, self._closure(targets[procedure])) for procedure in sorted(targets)])
        procedures = frozenset(targets)
        callee = self._callee(procedures)
        entry = self._number(callee, self._closure({call[_ENTRY] for call in calls}))
        key = (caller, callee, entry, returning)
        index = self._call_numbers.get(key)
        if index is None:
            index = self._call_numbers[key] = len(self.calls)
            call = Call(caller, entry, returning)
            self.calls.append(call)
            callee.calls.append(call)
            for ended in callee.labels:
                self._return(call, ended)
        return index

    def _callee(self, procedures: frozenset[Procedure]) -> Callee:
        callee = self._callees.get(procedures)
        if callee is None:
            callee = self._callees[procedures] = Callee()
        return callee

    def _label(self, callee: Callee, ended: frozenset[Procedure]) -> int:
        label = callee.labels.get(ended)
        if label is None:
            label = callee.labels[ended] = len(callee.labels)
            for call in callee.calls:
                self._return(call, ended)
        return label

    def _return(self, call: Call, ended: frozenset[Procedure]) -> None:
        states = {state for procedure, to in call.targets if procedure in ended for state in to}
        call.row.append(self._number(call.caller, tuple(sorted(states))))

    def _without_leaves(self, callee: Callee, states: States, number: int) -> States:
        """Make blocks of the leaves among `states`; return the states that are left.

        Where something else may be read beside a leaf, all are written out instead.
        """
        leaves = [state for state in states if state in self.program.leaves]
        others = tuple(state for state in states if state not in self.program.leaves)
        taken = 0
        for low, high, *_ in (move for state in others for move in self.program.moves[state]):
            taken |= (2 << high) - (1 << low)
        blocks = []
        for state in leaves:
            leaf = self.program.leaves[state]
            first = self.speller.first_bytes(leaf)
            ends_here = leaf.dfa.accepting[leaf.dfa.start]
            if first & taken or (ends_here and len(states) > 1):
                written = [self._written_out(leaf_state) for leaf_state in leaves]
                return self._closure((*others, *written))
            taken |= first
            blocks.append(leaf)
        self.beginnings.extend((number, self._block(callee, leaf)) for leaf in blocks)
        return others

    def _written_out(self, state: int) -> int:
        if state not in self._expanded:
            self._expanded[state] = self.speller.expand(self.program.leaves[state])
        return self._expanded[state]

    def _block(self, callee: Callee, leaf: Leaf) -> Block:
        block = self.blocks.get((callee, leaf))
        if block is None:
            after = self._number(callee, self._closure((leaf.target,)))
            block = Block(leaf, self._new_states(len(leaf.dfa.table) - 1), after)
            self.blocks[callee, leaf] = block
            self._connect(block)
        return block

    def _connect(self, block: Block) -> None:
        """Tell what is read plainly in a block, and what its states call."""
        ways = self.speller.classes(block.leaf)
        block.plain = [(low, high, column) for column, spelled in ways for low, high in spelled.single]
        longer = [(column, spelled) for column, spelled in ways if spelled.calls]
        if not longer:
            return
        # States that allow the same characters call the same procedures.
        alive = block.leaf.dfa.table[1:, [column for column, _ in longer]] != DEAD
        kinds, kind_of = np.unique(alive, axis=0, return_inverse=True)
        for kind, allowed in enumerate(kinds):
            members = np.flatnonzero(kind_of.reshape(-1) == kind)
            calls = [
                (low, high, column, entry, procedure)
                for (column, spelled), here in zip(longer, allowed, strict=True)
                if here
                for low, high, entry, procedure in spelled.calls
            ]
            for low, high, covering in _segments(calls):
                columns = {procedure: column for _, _, column, _, procedure in covering}
                called = self._callee(frozenset(columns))
                entry = self._number(called, self._closure({call[_ENTRY] for call in covering}))
                block.calls.append(BlockCall(members, low, high, called, entry, columns))


def _segments(moves: list[Move]) -> list[tuple[int, int, list[Move]]]:
    """Cut moves into disjoint byte ranges, each with the moves that cover it; these must be of one kind."""
    if len(moves) == 1:
        return [(moves[0][0], moves[0][1], moves)]
    moves = sorted(moves)
    if all(before[1] < after[0] for before, after in pairwise(moves)):
        return [(move[0], move[1], [move]) for move in moves]
    cuts = sorted({bound for move in moves for bound in (move[0], move[1] + 1)})
    segments: list[tuple[int, int, list[Move]]] = []
    covering: list[Move] = []
    begun = 0
    for low, after in pairwise(cuts):
        covering = [move for move in covering if move[1] >= low]
        while begun < len(moves) and moves[begun][0] == low:
            covering.append(moves[begun])
            begun += 1
        if len(covering) > 1 and len({(m[_TARGET] == NONE, m[_ENTRY] == NONE) for m in covering}) > 1:
            raise AssertionError(f"the program is not visibly pushdown at bytes {low}-{after - 1}")
        if covering:
            segments.append((low, after - 1, covering))
    return segments
