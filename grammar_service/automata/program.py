"""The nondeterministic form of a grammar: states joined by bytes, by calls of procedures, and by nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from grammar_service.automata.dfa import DEAD, Dfa, TooManyStatesError
from grammar_service.automata.spelling import Spelling

NONE = -1
MAX_WHITESPACE = 20
"""The longest run of flexible whitespace: models get lost in longer ones."""

Procedure = int
Move = tuple[int, int, int, int, Procedure]
"""First byte, last byte, target, entry, procedure. A plain move has only a target; a call has all; a return
has only a procedure. What it has not is NONE. (A plain tuple, for there are hundreds of thousands.)"""


@dataclass(frozen=True, eq=False)
class Leaf:
    """A language over characters, read somewhere in a program."""

    dfa: Dfa
    """Every state but the dead one can reach acceptance. Where it starts is for its entries to say."""
    spelling: Spelling
    ends: tuple[tuple[NDArray[np.int64], int], ...]
    """Accepting states of the language, none twice, and the state of the program that they go on as."""

    def without(self, dead: Callable[[int], bool]) -> Leaf:
        """The leaf without the ends that nothing can follow, its states numbered as they are."""
        ends = tuple((states, target) for states, target in self.ends if not dead(target))
        if len(ends) == len(self.ends):
            return self
        accepting = np.zeros_like(self.dfa.accepting)
        for states, _ in ends:
            accepting[states] = True
        dfa = replace(self.dfa, accepting=accepting)
        return replace(
            self, dfa=replace(dfa, table=np.where(dfa.living[dfa.table], dfa.table, DEAD)), ends=ends
        )


class Entry(NamedTuple):
    """A leaf that stands for a state of the program: read it from `start`, and go on where it ends."""

    leaf: Leaf
    start: int
    goals: tuple[int, ...]
    """States of the program: the leaf can be followed by a valid rest exactly if one of them can."""


class Program:
    """A nondeterministic automaton over bytes with calls.

    A call reads a byte, runs a procedure from an entry state of it, and goes on at its target when the
    procedure returns; a return reads a byte as well. `determinise` turns a program into an `Automaton`, for
    which it must be visibly pushdown: what has been read decides whether a byte is read plainly, calls or
    returns.
    """

    def __init__(self, *, max_states: int) -> None:
        self.max_states = max_states
        self.moves: list[list[Move]] = []
        """Per state."""
        self.epsilon: list[list[int]] = []
        """Per state: where it goes on without reading."""
        self.spaced: set[int] = set()
        """The states at which JSON whitespace may be read, up to MAX_WHITESPACE in a row. It must be read in
        no other way there."""
        self.leaves: dict[int, Entry] = {}
        """The states that stand for a whole language; they have no moves of their own."""
        self.settled = 0
        """The first states, whose moves are known to be complete and never change."""
        self._procedures = 0

    def copy(self, *, max_states: int) -> Program:
        """A program that goes on from this one, in which all states are settled."""
        program = Program(max_states=max_states)
        program.moves, program.epsilon = self.moves.copy(), self.epsilon.copy()
        program.spaced, program.leaves = self.spaced.copy(), self.leaves.copy()
        program.settled, program._procedures = len(self.moves), self._procedures
        return program

    def state(self) -> int:
        """A new state."""
        if len(self.moves) >= self.max_states:
            raise TooManyStatesError(self.max_states)
        self.moves.append([])
        self.epsilon.append([])
        return len(self.moves) - 1

    def procedure(self) -> Procedure:
        """A new procedure, without a body yet."""
        self._procedures += 1
        return self._procedures - 1

    def read(self, source: int, data: bytes, target: int) -> None:
        """Go from `source` to `target` by reading `data`, at least one byte."""
        for byte in data[:-1]:
            following = self.state()
            self.moves[source].append((byte, byte, following, NONE, NONE))
            source = following
        self.moves[source].append((data[-1], data[-1], target, NONE, NONE))

    def call(self, source: int, byte: int, entry: int, procedure: Procedure, target: int) -> None:
        """Run `procedure` from `entry` on reading `byte`, and then go on at `target`."""
        self.moves[source].append((byte, byte, target, entry, procedure))

    def end(self, source: int, byte: int, procedure: Procedure) -> None:
        """Return from `procedure` on reading `byte`."""
        self.moves[source].append((byte, byte, NONE, NONE, procedure))

    def trimmed(self, start: int, final: int) -> bool:
        """Drop every move from which nothing can be completed; return whether `start` can reach `final`.

        A state is kept if it can reach `final` or a return; a call, if its entry and its target are kept.
        Afterwards no reading of the program runs into a dead end.
        """
        alive = self._productive(final)
        if not all(alive):
            alive.append(True)  # for NONE
            for state in range(self.settled, len(self.moves)):
                self.epsilon[state] = [target for target in self.epsilon[state] if alive[target]]
                self.moves[state] = [move for move in self.moves[state] if alive[move[2]] and alive[move[3]]]
            self._trim_leaves(alive)
        return alive[start]

    def _trim_leaves(self, alive: list[bool]) -> None:
        trimmed: dict[Leaf, Leaf] = {}
        for state, entry in self.leaves.items():
            if state >= self.settled:
                leaf = trimmed.get(entry.leaf) or entry.leaf.without(lambda target: not alive[target])
                trimmed[entry.leaf] = leaf
                self.leaves[state] = entry._replace(leaf=leaf)

    def _productive(self, final: int) -> list[bool]:
        """Whether each state can reach `final` or a return."""
        alive = [True] * self.settled + [False] * (len(self.moves) - self.settled)
        sources, callers, queue = self._sources()
        queue += [final, *(state for state in {*sources, *callers} if state < self.settled)]
        for state in queue:
            alive[state] = True
        while queue:
            reached = queue.pop()
            ready = [state for state, other in callers.get(reached, ()) if alive[other]]
            for state in (*sources.get(reached, ()), *ready):
                if not alive[state]:
                    alive[state] = True
                    queue.append(state)
        return alive

    def _sources(self) -> tuple[dict[int, list[int]], dict[int, list[tuple[int, int]]], list[int]]:
        """Per state, the states with a move to it; the calls that it is the entry or the target of, each
        with what else the call needs; and the states that return."""
        sources: defaultdict[int, list[int]] = defaultdict(list)
        callers: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
        ready = []
        for state in range(self.settled, len(self.moves)):
            for target in self.epsilon[state]:
                sources[target].append(state)
            for _, _, target, entry, _ in self.moves[state]:
                if target == NONE:
                    ready.append(state)
                elif entry == NONE:
                    sources[target].append(state)
                else:
                    callers[entry].append((state, target))
                    callers[target].append((state, entry))
        for state, leaf in self.leaves.items():
            for goal in leaf.goals:
                sources[goal].append(state)
        return sources, callers, ready
