"""Subset construction: from a program to the states and moves of a deterministic automaton."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from grammar_service.automata.construction import Block, BlockCall, Call, Callee, States
from grammar_service.automata.dfa import DEAD, TooManyStatesError
from grammar_service.automata.letters import row_numbers
from grammar_service.automata.program import NONE, Entry, Leaf, Move, Procedure
from grammar_service.automata.segments import bytes_of, segments_of
from grammar_service.automata.speller import Speller, Ways
from grammar_service.automata.union import Union

RETURNS = 1 << 30
"""Targets from here on are returns: this and the label."""
_TARGET, _ENTRY, _PROCEDURE = 2, 3, 4


class Determinisation:
    """Subset construction for visibly pushdown automata (Alur and Madhusudan, STOC 2004).

    The states reached together in one callee form one state, numbered from 1. A call collects all the
    procedures that the byte may begin; when the callee ends, the label says which of them could end there,
    and so which of the caller's states go on. Of a trimmed program, every state made here can reach
    acceptance.

    A leaf is not constructed but taken over as a block: its states become consecutive numbers, for `tabulate`
    to fill in all at once. Leaves that are read together are explored together first.

    One that goes on from another has the states and calls of that one first, and adds to them: the program
    must be a copy of the other's. What was constructed before never reaches anything new.
    """

    def __init__(self, speller: Speller, basis: Determinisation | None = None, *, calls: int = 0) -> None:
        self.program = speller.program
        self.speller = speller
        self.count: int = basis.count if basis else 1
        """States so far, the dead one included."""
        self.call_count = calls
        """Calls so far, the first `calls` of which were constructed before."""
        self.callees: list[Callee] = (
            [Callee(c.number, dict(c.labels)) for c in basis.callees] if basis else []
        )
        self.moves: list[tuple[int, int, int, int]] = []
        """(state, first byte, last byte, target), calls as targets below 0, labels from RETURNS on."""
        self.spaces: list[tuple[int, int]] = []
        """(state, where one character of whitespace leads). The latter leads to itself."""
        self.calls: list[Call] = []
        self.blocks: list[Block] = []
        self.beginnings: list[tuple[int, int]] = []
        """(state, the state of a block whose moves it has besides its own)"""
        self.accepting: list[int] = []
        self._final = NONE
        self._numbers: dict[tuple[int, States], int] = dict(basis._numbers) if basis else {}
        self._closures: dict[int, States] = dict(basis._closures) if basis else {}
        self._callee_numbers: dict[frozenset[Procedure], int] = dict(basis._callee_numbers) if basis else {}
        self._queue: list[tuple[Callee, States, int]] = []
        self._call_numbers: dict[tuple[int, int, int, tuple[tuple[Procedure, States], ...]], int] = {}
        self._expanded: dict[Leaf, list[int]] = {}
        self._whole: dict[tuple[int, Leaf], int] = {}
        """The number of the first state of leaves that are read alone."""
        self._unions: dict[tuple[int, tuple[Leaf, ...]], Union] = {}

    def run(self, start: int, final: int) -> int:
        """Make all states reachable from `start`, of which those with `final` accept; return its number."""
        self._final = final
        root = self._callee(frozenset())
        first = self._number(root, self._closure((start,)))
        self._expand_all()
        return first

    def settle(self, entry: int, procedure: Procedure) -> None:
        """Make all states that a call of `procedure` reaches."""
        self._number(self._callee(frozenset([procedure])), self._closure((entry,)))
        self._expand_all()

    def _expand_all(self) -> None:
        while self._queue:
            self._expand(*self._queue.pop())

    def _closure(self, states: Sequence[int]) -> States:
        """Everything reachable by reading nothing, less what has no moves of its own."""
        known = self._closures
        if len(states) == 1:
            return known.get(states[0]) or self._closure_of(states[0])
        return tuple(sorted(set().union(*[known.get(state) or self._closure_of(state) for state in states])))

    def _closure_of(self, start: int) -> States:
        program = self.program
        if not program.epsilon[start] and program.moves[start]:
            self._closures[start] = (start,)
            return (start,)
        seen, stack = {start}, [start]
        while stack:
            for target in program.epsilon[stack.pop()]:
                if target not in seen:
                    seen.add(target)
                    stack.append(target)
        moves, leaves, spaced, final = program.moves, program.leaves, program.spaced, self._final
        closure = self._closures[start] = tuple(
            [s for s in sorted(seen) if moves[s] or s in leaves or s in spaced or s == final]
        )
        return closure

    def _number(self, callee: Callee, states: States) -> int:
        key = (callee.number, states)
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = self._new_states(1)
            self._queue.append((callee, states, number))
            if self._final in states:
                self.accepting.append(number)
        return number

    def _new_states(self, count: int) -> int:
        """The first of `count` new numbers."""
        self.count += count
        if self.count > self.program.max_states:
            raise TooManyStatesError(self.program.max_states)
        return self.count - count

    def _expand(self, callee: Callee, states: States, number: int) -> None:
        program, moves = self.program, self.program.moves
        if not program.leaves.keys().isdisjoint(states):
            states = self._without_leaves(callee, states, number)
        together = moves[states[0]] if len(states) == 1 else [m for state in states for m in moves[state]]
        for low, high, covering in segments_of(together):
            self.moves.append((number, low, high, self._target(callee, covering)))
        if not program.spaced.isdisjoint(states):
            after = self._closure([state for state in states if state in program.spaced])
            self.spaces.append((number, self._number(callee, after)))

    def _target(self, callee: Callee, covering: list[Move]) -> int:
        """Where moves lead that are read together."""
        _, _, target, entry, _ = covering[0]
        if target == NONE:
            return RETURNS + self._label(callee, frozenset([move[_PROCEDURE] for move in covering]))
        if entry == NONE:
            return self._number(callee, self._closure([move[_TARGET] for move in covering]))
        return -1 - self._call(callee, covering)

    def _call(self, caller: Callee, calls: list[Move]) -> int:
        targets: dict[Procedure, list[int]] = {}
        for _, _, target, _, procedure in calls:
            targets.setdefault(procedure, []).append(target)
        returning = tuple([(procedure, self._closure(targets[procedure])) for procedure in sorted(targets)])
        callee = self._callee(frozenset(targets))
        entry = self._number(callee, self._closure(list({call[_ENTRY] for call in calls})))
        key = (caller.number, callee.number, entry, returning)
        index = self._call_numbers.get(key)
        if index is None:
            index = self._call_numbers[key] = self.call_count
            self.call_count += 1
            call = Call(caller, entry, returning)
            self.calls.append(call)
            callee.calls.append(call)
            for ended in callee.labels:
                self._return(call, ended)
        return index

    def _callee(self, procedures: frozenset[Procedure]) -> Callee:
        number = self._callee_numbers.get(procedures)
        if number is None:
            number = self._callee_numbers[procedures] = len(self.callees)
            self.callees.append(Callee(number))
        return self.callees[number]

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
        leaves = self.program.leaves
        entries = [leaves[state] for state in states if state in leaves]
        if len(states) == 1:
            self.beginnings.append((number, self._begin(callee, entries)))
            return ()
        others = tuple([state for state in states if state not in leaves])
        moves = [move for state in others for move in self.program.moves[state]]
        if others and not self._disjoint(entries, moves):
            return self._closure([*others, *map(self._written_out, entries)])
        alone = len(entries) == 1 or self._disjoint(entries, [])
        apart = [[entry] for entry in entries] if alone else [entries]
        self.beginnings.extend((number, self._begin(callee, together)) for together in apart)
        return others

    def _disjoint(self, entries: list[Entry], moves: list[Move]) -> bool:
        """Whether a byte tells which of the leaves is read, or of the moves."""
        taken = bytes_of(moves)
        for entry in entries:
            first = self.speller.first_bytes(entry)
            if first & taken or entry.leaf.dfa.accepting[entry.start]:
                return False
            taken |= first
        return True

    def _written_out(self, entry: Entry) -> int:
        if entry.leaf not in self._expanded:
            self._expanded[entry.leaf] = self.speller.expand(entry.leaf)
        return self._expanded[entry.leaf][entry.start]

    def _begin(self, callee: Callee, entries: list[Entry]) -> int:
        """The state in which leaves begin that are read together."""
        if len(entries) == 1:
            return self._alone(callee, entries[0].leaf) + entries[0].start - 1
        leaves = tuple(entry.leaf for entry in entries)
        union = self._unions.get((callee.number, leaves))
        if union is None:
            union = self._unions[callee.number, leaves] = Union(leaves)
        start = tuple(entry.start for entry in entries)
        number, explored = union.explore(start, lambda: self._new_states(1))
        if explored is not None:
            ways = self.speller.spell(union.classes, union.spelling)
            self._add_block(callee, explored.first, explored.table, explored.ends, ways)
        return number

    def _alone(self, callee: Callee, leaf: Leaf) -> int:
        first = self._whole.get((callee.number, leaf))
        if first is None:
            table = leaf.dfa.table
            first = self._whole[callee.number, leaf] = self._new_states(len(table) - 1)
            ends = [(states - 1, (target,)) for states, target in leaf.ends]
            numbers = np.arange(first - 1, first - 1 + len(table))
            numbers[DEAD] = DEAD
            self._add_block(callee, first, numbers[table[1:]], ends, self.speller.ways(leaf))
        return first

    def _add_block(
        self,
        callee: Callee,
        first: int,
        targets: NDArray[np.int64],
        ends: Sequence[tuple[NDArray[np.int64], tuple[int, ...]]],
        ways: Ways,
    ) -> None:
        """Add a block, with what is read plainly in it and what its states call."""
        after = [(states, self._number(callee, self._closure(targets))) for states, targets in ends]
        block = Block(first, targets, after, ways.plain)
        self.blocks.append(block)
        if not ways.longer:
            return
        # States that allow the same characters call the same procedures.
        alive = targets[:, [column for column, _ in ways.longer]] != DEAD
        for members in _equal_rows(alive):
            allowed = alive[members[0]].tolist()
            calls = [
                (low, high, column, entry, procedure)
                for (column, its_calls), here in zip(ways.longer, allowed, strict=True)
                if here
                for low, high, entry, procedure in its_calls
            ]
            for low, high, covering in segments_of(calls):
                columns = {procedure: column for _, _, column, _, procedure in covering}
                called = self._callee(frozenset(columns))
                entry = self._number(called, self._closure(list({call[_ENTRY] for call in covering})))
                block.calls.append(BlockCall(members, low, high, called, entry, columns))


def _equal_rows(alive: NDArray[np.bool_]) -> list[NDArray[np.int64]]:
    """The rows of a matrix, each with those that are equal."""
    if alive.all():
        return [np.arange(len(alive))]
    numbers = row_numbers(np.packbits(alive, axis=1).astype(np.int64))
    return [np.flatnonzero(numbers == number) for number in range(int(numbers.max()) + 1)]
