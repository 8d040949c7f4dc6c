"""The fewest bytes in which each state of an automaton can end."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from protos.automaton import DEAD, Automaton
from protos.endings import Endings

_MANY = 64
"""From so many calls at a time on, numpy sorts out those that are of no use."""
_CHUNK = 1 << 16
"""So many endings at a time are compared with the transitions of their states."""
_READABLE = sorted(range(256), key=lambda byte: (not chr(byte).isalnum() or byte > 127, not 32 <= byte < 127))
"""The bytes, those first that people like best to read."""


def with_endings(automaton: Automaton) -> Automaton:
    """The automaton with its endings filled in, for all ways in which its states can end."""
    return replace(automaton, endings=_Search(automaton).endings())


class _Search:
    """Dijkstra's algorithm over pairs of a state and a label, from the ends backwards (as in Knuth, "A
    generalization of Dijkstra's algorithm", 1977: a call costs an ending of the callee and one of where it
    returns to).

    Pairs are found in the order of their bytes, so the first time is the best. When an ending of a callee is
    found, the calls of it become steps of so many bytes, from their callers to where they return. What was
    found of a pair is one transition and what was found of where that leads; so whoever follows these
    transitions needs no more bytes, and no more rows, than the table says.

    A pair is one number, label * states + state. A copy of a state is the state itself here.
    """

    def __init__(self, automaton: Automaton) -> None:
        table = automaton.transitions
        inside = (table > DEAD) & (table < automaton.num_states)
        self._table = np.where(inside, automaton.repetition.originals(len(table))[table * inside], table)
        self._automaton = automaton
        ordered = np.sort(self._table, axis=1)
        fresh = ordered != DEAD
        fresh[:, 1:] &= ordered[:, 1:] != ordered[:, :-1]
        self._origins, self._moves = np.nonzero(fresh)[0], ordered[fresh]
        """Every state with each of its transitions, ascending."""
        self._returns: list[int] = automaton.returns.tolist()
        self._states = len(table)
        self._depths: dict[int, int] = {}
        """Of every pair that is found: the most rows it has on the stack."""
        self._at_return: dict[int, list[tuple[int, int]]] = {state: [] for state in self._returns}
        """Of states that calls return to: what is found, (pair, bytes)."""
        self._steps: defaultdict[int, list[tuple[int, int, int, int]]] = defaultdict(list)
        """Of such states: (caller, bytes, rows, transition) of the calls that return to it."""
        self._stepped: set[tuple[int, int]] = set()
        self._waiting: defaultdict[int, list[tuple[int, int, int]]] = defaultdict(list)
        """Per number of bytes: (pair, rows, transition) of what ends so, unless found before."""

    def endings(self) -> Endings:
        """The endings of all states."""
        self._begin()
        sources, callers = self._sources(), self._callers()
        depths, states = self._depths, self._states
        pairs: list[int] = []
        moves: list[int] = []
        levels = [0]  # where the pairs of each length begin
        while self._waiting or levels[-1] < len(pairs):
            length = len(levels) - 1
            for pair, depth, move in self._waiting.pop(length, ()):
                if pair not in depths:
                    depths[pair] = depth
                    pairs.append(pair)
                    moves.append(move)
            level = pairs[levels[-1] :]
            levels.append(len(pairs))
            for pair in level:
                state = pair % states
                label = pair - state
                found = [label + source for source in sources[state] if label + source not in depths]
                if found:
                    pairs += found
                    moves += [state] * len(found)
                    depths.update(dict.fromkeys(found, depths[pair]))
                if state in self._at_return:
                    self._arrive(state, pair, length)
                if label and state in callers:
                    self._return(callers[state], label // states, length + 1, depths[pair] + 1)
        lengths = np.repeat(np.arange(len(levels) - 1), np.diff(levels))
        return self._tabled(np.array(pairs, dtype=np.int64), np.array(moves, dtype=np.int32), lengths)

    def _begin(self) -> None:
        """Find what ends without going anywhere."""
        self._waiting[0] = [(state, 0, DEAD) for state in np.flatnonzero(self._automaton.accepting).tolist()]
        returning = self._moves >= self._automaton.num_states
        labels = self._moves[returning].astype(np.int64) - self._automaton.num_states + 1
        ended = self._origins[returning] + labels * self._states
        self._waiting[1] = [
            (pair, 0, move)
            for pair, move in zip(ended.tolist(), self._moves[returning].tolist(), strict=True)
        ]

    def _sources(self) -> list[list[int]]:
        """Per state: the states that lead to it."""
        inside = (self._moves > DEAD) & (self._moves < self._automaton.num_states)
        targets = self._moves[inside]
        order = np.argsort(targets, kind="stable")
        sources = self._origins[inside][order].tolist()
        first = np.searchsorted(targets[order], np.arange(self._states + 1)).tolist()
        return [sources[low:high] for low, high in pairwise(first)]

    def _callers(self) -> dict[int, NDArray[np.int64]]:
        """By the state that is called, (calls, 3): caller, row, transition."""
        calling = self._moves < DEAD
        moves = self._moves[calling]
        entries = self._automaton.call_entries[-moves - 1]
        order = np.argsort(entries, kind="stable")
        callers = np.column_stack([self._origins[calling], self._automaton.call_rows[-moves - 1], moves])[
            order
        ]
        called, first = np.unique(entries[order], return_index=True)
        bounds = pairwise([*first.tolist(), len(callers)])
        return {entry: callers[low:high] for entry, (low, high) in zip(called.tolist(), bounds, strict=True)}

    def _arrive(self, state: int, pair: int, length: int) -> None:
        """Go on backwards from a pair that calls return to."""
        self._at_return[state].append((pair, length))
        for caller, more, high, move in self._steps.get(state, ()):
            depth = max(high, self._depths[pair])
            self._waiting[length + more].append((pair - state + caller, depth, move))

    def _return(self, callers: NDArray[np.int64], label: int, length: int, depth: int) -> None:
        """Let the callers of a state step to where it returns with a label, in so many bytes and rows."""
        if len(callers) > _MANY:
            callers = self._useful(callers, label)
        for caller, row, move in callers.tolist():
            target = self._returns[row + label - 1]
            if target in (DEAD, caller) or (caller, target) in self._stepped:
                continue
            self._stepped.add((caller, target))
            self._steps.setdefault(target, []).append((caller, length, depth, move))
            for pair, more in self._at_return[target]:
                high = max(depth, self._depths[pair])
                self._waiting[length + more].append((pair - target + caller, high, move))

    def _useful(self, callers: NDArray[np.int64], label: int) -> NDArray[np.int64]:
        """Those that could not have got to where the call returns in one byte."""
        targets = self._automaton.returns[callers[:, 1] + label - 1]
        steps = callers[:, 0] * self._states + targets
        known = self._single[np.searchsorted(self._single[:-1], steps)] == steps
        return np.compress(~known, callers, axis=0)

    @cached_property
    def _single(self) -> NDArray[np.int64]:
        """The steps of one byte, ascending: caller * states + where it leads. Then a -1 that is none."""
        inside = (self._moves > DEAD) & (self._moves < self._automaton.num_states)
        return np.append(self._origins[inside] * self._states + self._moves[inside], -1)

    def _tabled(
        self, pairs: NDArray[np.int64], moves: NDArray[np.int32], lengths: NDArray[np.int64]
    ) -> Endings:
        """The endings that the pairs are."""
        order = np.argsort(pairs % self._states, kind="stable")
        states = (pairs % self._states)[order]
        depths = np.fromiter(map(self._depths.__getitem__, pairs.tolist()), dtype=np.int32, count=len(pairs))
        return Endings(
            first=np.searchsorted(states, np.arange(self._states + 1)).astype(np.int32),
            labels=(pairs // self._states)[order].astype(np.int32),
            lengths=lengths[order].astype(np.int32),
            depths=depths[order],
            first_bytes=self._bytes(states, moves[order]),
        )

    def _bytes(self, states: NDArray[np.int64], moves: NDArray[np.int32]) -> NDArray[np.uint8]:
        """(endings,): a byte with which the states make these transitions."""
        _, first = np.unique(self._automaton.byte_classes[_READABLE], return_index=True)
        representatives = np.array(_READABLE, dtype=np.uint8)[np.sort(first)]
        table = self._table[:, self._automaton.byte_classes[representatives]]
        bytes_ = np.zeros(len(states), dtype=np.uint8)
        for chunk in (slice(i, i + _CHUNK) for i in range(0, len(states), _CHUNK)):
            bytes_[chunk] = representatives[(table[states[chunk]] == moves[chunk, None]).argmax(axis=1)]
        return bytes_
