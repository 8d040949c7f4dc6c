"""The nondeterministic form of a grammar: states joined by bytes, by calls of procedures, and by nothing."""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass

from grammar_service.automata.dfa import Dfa, TooManyStatesError
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
    """A language over characters that stands for one state: read it there, and go on at `target`."""

    dfa: Dfa
    """Trimmed: every state but the dead one can reach acceptance."""
    spelling: Spelling
    target: int


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
        self.leaves: dict[int, Leaf] = {}
        """The states that stand for a whole language; they have no moves of their own."""
        self._procedures = 0

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
            self.epsilon = [[target for target in targets if alive[target]] for targets in self.epsilon]
            self.moves = [
                [move for move in moves if alive[move[2]] and alive[move[3]]] for moves in self.moves
            ]
        return alive[start]

    def _productive(self, final: int) -> list[bool]:
        """Whether each state can reach `final` or a return."""
        sources, callers = self._sources()
        alive = [any(move[2] == NONE for move in moves) for moves in self.moves]
        alive[final] = True
        queue = deque(state for state, living in enumerate(alive) if living)
        while queue:
            reached = queue.popleft()
            ready = [state for state, other in callers.get(reached, ()) if alive[other]]
            for state in (*sources[reached], *ready):
                if not alive[state]:
                    alive[state] = True
                    queue.append(state)
        return alive

    def _sources(self) -> tuple[list[list[int]], dict[int, list[tuple[int, int]]]]:
        """Per state, the states with a move to it; and the calls that it is the entry or the target of, each
        with what else the call needs."""
        sources: list[list[int]] = [[] for _ in self.moves]
        callers: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
        for state, moves in enumerate(self.moves):
            for target in self.epsilon[state]:
                sources[target].append(state)
            for _, _, target, entry, _ in moves:
                if entry != NONE:
                    callers[entry].append((state, target))
                    callers[target].append((state, entry))
                elif target != NONE:
                    sources[target].append(state)
        for state, leaf in self.leaves.items():
            if not leaf.dfa.is_empty():
                sources[leaf.target].append(state)
        return sources, callers
