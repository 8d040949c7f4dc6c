"""The nondeterministic form of a grammar: states joined by bytes, by calls of procedures, and by nothing."""

from __future__ import annotations

from collections import defaultdict, deque

from grammar_service.automata.dfa import TooManyStatesError

Procedure = int


class Program:
    """A nondeterministic automaton over bytes with calls.

    A call reads a byte, runs a procedure from an entry state of it, and goes on at its target when the
    procedure returns; a return reads a byte as well. `determinise` turns a program into an `Automaton`, for
    which it must be visibly pushdown: what has been read decides whether a byte is read plainly, calls or
    returns. All byte ranges are inclusive.
    """

    def __init__(self, *, max_states: int) -> None:
        self.max_states = max_states
        self.epsilon: list[list[int]] = []
        self.edges: list[list[tuple[int, int, int]]] = []
        """Per state: (first byte, last byte, target)."""
        self.calls: list[list[tuple[int, int, int, Procedure, int]]] = []
        """Per state: (first byte, last byte, entry state, procedure, target)."""
        self.returns: list[list[tuple[int, int, Procedure]]] = []
        """Per state: (first byte, last byte, the procedure that ends)."""
        self._procedures = 0

    def state(self) -> int:
        """A new state."""
        if len(self.edges) >= self.max_states:
            raise TooManyStatesError(self.max_states)
        self.epsilon.append([])
        self.edges.append([])
        self.calls.append([])
        self.returns.append([])
        return len(self.edges) - 1

    def procedure(self) -> Procedure:
        """A new procedure, without a body yet."""
        self._procedures += 1
        return self._procedures - 1

    def read(self, source: int, data: bytes, target: int) -> None:
        """Go from `source` to `target` by reading `data`, which may be empty."""
        if not data:
            self.epsilon[source].append(target)
            return
        for byte in data[:-1]:
            following = self.state()
            self.edges[source].append((byte, byte, following))
            source = following
        self.edges[source].append((data[-1], data[-1], target))

    def trimmed(self, start: int, final: int) -> bool:
        """Drop every move from which nothing can be completed; return whether `start` can reach `final`.

        A state is kept if it can reach `final` or a return; a call, if its entry and its target are kept.
        Afterwards no reading of the program runs into a dead end.
        """
        alive = self._productive(final)
        for state in range(len(self.edges)):
            self.epsilon[state] = [t for t in self.epsilon[state] if alive[t]]
            self.edges[state] = [edge for edge in self.edges[state] if alive[edge[2]]]
            self.calls[state] = [call for call in self.calls[state] if alive[call[2]] and alive[call[4]]]
        return alive[start]

    def _productive(self, final: int) -> list[bool]:
        sources: defaultdict[int, list[int]] = defaultdict(list)  # by target of a plain move
        callers: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)  # by entry or target of a call
        for state in range(len(self.edges)):
            for target in self.epsilon[state]:
                sources[target].append(state)
            for _, _, target in self.edges[state]:
                sources[target].append(state)
            for _, _, entry, _, target in self.calls[state]:
                callers[entry].append((state, target))
                callers[target].append((state, entry))
        alive = [bool(ends) for ends in self.returns]
        alive[final] = True
        queue = deque(state for state, living in enumerate(alive) if living)
        while queue:
            reached = queue.popleft()
            ready = [caller for caller, other in callers[reached] if alive[other]]
            for state in (*sources[reached], *ready):
                if not alive[state]:
                    alive[state] = True
                    queue.append(state)
        return alive
