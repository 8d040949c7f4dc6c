"""The fewest bytes in which each state of an automaton can end."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from protos.automaton import DEAD, Automaton
from protos.endings import Endings

_WIDE = 256
"""From so many pairs at a time on, numpy sorts out those that lead to nothing new."""
_FEW = 1 << 14
"""Up to so many steps it pays to make a list of them, whether they are looked at or not."""
_CHUNK = 1 << 16
"""So many endings at a time are compared with the transitions of their states."""
_READABLE = np.array(
    sorted(range(256), key=lambda byte: (not chr(byte).isalnum() or byte > 127, not 32 <= byte < 127)),
    dtype=np.uint8,
)
"""The bytes, those first that people like best to read."""


def with_endings(automaton: Automaton, known: Endings | None = None) -> Automaton:
    """The automaton with its endings filled in, for all ways in which its states can end.

    Args:
        known: the endings of the first states, where those are known. They must lead to one another only.
    """
    known = known or Endings.none()
    return replace(automaton, endings=known.followed_by(_Search(automaton, known).endings()))


class _Search:
    """Dijkstra's algorithm over pairs of a state and a label, from the ends backwards (as in Knuth, "A
    generalization of Dijkstra's algorithm", 1977: a call costs an ending of the callee and one of where it
    returns to).

    Pairs are found in the order of their bytes, so the first time is the best. When an ending of a callee is
    found, the calls of it become steps of so many bytes, from their callers to where they return: those that
    one byte does not lead to as well, as from one character of a string to the next. What was
    found of a pair is one transition and what was found of where that leads; so whoever follows these
    transitions needs no more bytes, and no more rows, than the table says.

    A pair is one number, label * states + state. A copy of a state is the state itself here.
    """

    def __init__(self, automaton: Automaton, known: Endings) -> None:
        states = len(automaton.transitions)
        self._begun = known.states
        """The first state whose endings are searched for."""
        table = automaton.transitions[self._begun :]
        if automaton.repetition.count:
            spaces = automaton.repetition.classes  # only these lead to copies
            spaced = table[:, spaces]
            copies = (spaced >= states) & (spaced < automaton.num_states)
            spaced[copies] = automaton.repetition.originals(states)[spaced[copies]]
            table = table.copy()
            table[:, spaces] = spaced
        self._table = table
        self._automaton = automaton
        ordered = np.sort(table, axis=1)
        fresh = ordered != DEAD
        fresh[:, 1:] &= ordered[:, 1:] != ordered[:, :-1]
        cells = np.flatnonzero(fresh)
        self._origins, self._moves = cells // table.shape[1] + self._begun, ordered.ravel()[cells]
        """Every state with each of its transitions, ascending."""
        self._states = states
        self._returns = automaton.returns
        self._depths: dict[int, int] = {}
        """Of every pair that is found: the most rows it has on the stack."""
        self._pairs: list[int] = []
        self._chosen: list[int] = []
        """The pairs in the order in which they are found; and of each its transition."""
        self._at_return: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
        """Of states that steps may lead to: what is found, (pair, bytes)."""
        self._steps: dict[int, list[tuple[int, int, int, int]]] = {}
        """Of such states: (caller, bytes, rows, transition) of the calls that return to it."""
        self._stepped: set[tuple[int, int]] = set()
        self._waiting: defaultdict[int, list[tuple[int, int, int]]] = defaultdict(list)
        """Per number of bytes: (pair, rows, transition) of what ends so, unless found before."""
        self._called = self._callers()
        self._pending = self._known_endings(known)
        """Per number of bytes: (pair, rows) of the endings known of states that are called."""

    def endings(self) -> Endings:
        """The endings of the states searched for."""
        depths, pairs = self._depths, self._pairs
        levels = [0]  # where the pairs of each length begin
        at_once = self._at_once()
        while len(levels) < 3 or self._waiting or self._pending or levels[-1] < len(pairs):
            length = len(levels) - 1
            if length in at_once:
                ended, moves = at_once[length]
                depths.update(dict.fromkeys(ended, 0))
                pairs += ended
                self._chosen += moves
            for pair, depth, move in self._waiting.pop(length, ()):
                if pair not in depths:
                    depths[pair] = depth
                    pairs.append(pair)
                    self._chosen.append(move)
            level = pairs[levels[-1] :]
            levels.append(len(pairs))
            for pair, depth in self._pending.pop(length, ()):
                self._return(self._called[pair], length + 1, depth + 1)
            self._go_back(level if len(level) < _WIDE else self._of_use(level), length)
        return self._tabled(np.repeat(np.arange(len(levels) - 1), np.diff(levels)))

    def _go_back(self, level: list[int], length: int) -> None:
        """Find what a byte more leads to the pairs of a level; and step where these were called."""
        first, sources = self._source_lists
        depths, states, returned_to = self._depths, self._states, self._returned_to
        pairs, chosen, at_return = self._pairs, self._chosen, self._at_return
        for pair in level:
            state = pair % states
            if first[state] < first[state + 1]:
                label, depth = pair - state, depths[pair]
                for source in sources[first[state] : first[state + 1]]:
                    if label + source not in depths:
                        depths[label + source] = depth
                        pairs.append(label + source)
                        chosen.append(state)
            if state in returned_to:
                at_return[state].append((pair, length))
                if state in self._steps:
                    self._step(pair, length)
            if pair in self._called:
                self._return(self._called[pair], length + 1, depths[pair] + 1)

    def _of_use(self, level: list[int]) -> list[int]:
        """The pairs of a level that may lead to others than those of the level itself, in their order."""
        pairs = np.array(level, dtype=np.int64)
        states = pairs % self._states
        first, sources = self._sources
        counts = first[states + 1] - first[states]
        places = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts - first[states], counts)
        of_pair = np.repeat(np.arange(len(pairs)), counts)
        new = ~np.isin((pairs - states)[of_pair] + sources[places], pairs)
        useful = self._joined[states]
        useful[of_pair[new]] = True
        kept: list[int] = pairs[useful].tolist()
        return kept

    def _at_once(self) -> dict[int, tuple[list[int], list[int]]]:
        """By the number of bytes, the pairs that end without going anywhere, and their transitions."""
        accepting = (np.flatnonzero(self._automaton.accepting[self._begun :]) + self._begun).tolist()
        returning = self._moves >= self._automaton.num_states
        labels = self._moves[returning].astype(np.int64) - self._automaton.num_states + 1
        ended = self._origins[returning] + labels * self._states
        return {0: (accepting, [DEAD] * len(accepting)), 1: (ended.tolist(), self._moves[returning].tolist())}

    @cached_property
    def _plain(self) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """The transitions that neither call nor return: where from, and where to."""
        inside = (self._moves > DEAD) & (self._moves < self._automaton.num_states)
        return self._origins[inside], self._moves[inside]

    @cached_property
    def _sources(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """States that lead to others, those to state s from the first array's s-th number on."""
        origins, targets = self._plain
        steps = np.sort(targets * np.int64(self._states) + origins)
        return np.searchsorted(steps, np.arange(self._states + 1) * self._states), steps % self._states

    @cached_property
    def _source_lists(self) -> tuple[Sequence[int], Sequence[int]]:
        first, sources = self._sources
        if len(sources) > _FEW:
            return first.data, sources.data
        return first.tolist(), sources.tolist()

    @cached_property
    def _returned_to(self) -> set[int]:
        return {target for calls in self._called.values() for _, target, _ in calls}

    @cached_property
    def _joined(self) -> NDArray[np.bool_]:
        """(states,): whether calls begin or return there."""
        joined = np.zeros(self._states, dtype=np.bool_)
        joined[[*self._returned_to, *(pair % self._states for pair in self._called)]] = True
        return joined

    def _callers(self) -> dict[int, list[tuple[int, int, int]]]:
        """By the pair of a state that is called and a label, the calls of use: caller, where it returns to,
        transition."""
        calling = np.flatnonzero(self._moves < DEAD)
        rows = self._automaton.call_rows[-self._moves[calling] - 1]
        widths = self._widths[rows]
        of_call = np.repeat(np.arange(len(rows)), widths)
        labels = np.arange(1, len(of_call) + 1) - (np.cumsum(widths) - widths)[of_call]
        callers, targets = self._origins[calling[of_call]], self._returns[rows[of_call] + labels - 1]
        origins, plain = self._plain
        last = np.zeros(self._states, dtype=np.int32)
        last[origins] = plain  # of each state, the last one written stays
        # Of the calls in a long string none is of use, and one look is enough to tell.
        fit = np.flatnonzero((targets != DEAD) & (targets != callers) & (targets != last[callers]))
        of_call, labels, callers, targets = of_call[fit], labels[fit], callers[fit], targets[fit]
        single = np.append(origins * self._states + plain, -1)  # steps of one byte, then one that is none
        steps = callers * self._states + targets
        useful = np.flatnonzero(single[np.searchsorted(single[:-1], steps)] != steps)
        moves = self._moves[calling[of_call[useful]]]
        pairs = labels[useful] * self._states + self._automaton.call_entries[-moves - 1]
        calls = zip(callers[useful].tolist(), targets[useful].tolist(), moves.tolist(), strict=True)
        called: dict[int, list[tuple[int, int, int]]] = {}
        for pair, call in zip(pairs.tolist(), calls, strict=True):
            called.setdefault(pair, []).append(call)
        return called

    @cached_property
    def _widths(self) -> NDArray[np.int64]:
        """(rows,): how many labels the row has that begins there, if one does."""
        is_row = np.zeros(len(self._returns) + 1, dtype=np.bool_)
        is_row[self._automaton.call_rows] = is_row[-1] = True
        begins = np.flatnonzero(is_row)  # of all rows, which lie side by side
        width = np.zeros(len(self._returns), dtype=np.int64)
        width[begins[:-1]] = np.diff(begins)
        return width

    def _known_endings(self, known: Endings) -> defaultdict[int, list[tuple[int, int]]]:
        pending: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
        for entry in {pair % self._states for pair in self._called}:
            if entry < self._begun:
                of_entry = slice(int(known.first[entry]), int(known.first[entry + 1]))
                for label, length, depth in zip(
                    known.labels[of_entry].tolist(),
                    known.lengths[of_entry].tolist(),
                    known.depths[of_entry].tolist(),
                    strict=True,
                ):
                    pair = label * self._states + entry
                    if pair in self._called:
                        pending[length].append((pair, depth))
        return pending

    def _step(self, pair: int, length: int) -> None:
        """Go on backwards from a pair of a state that steps lead to."""
        state = pair % self._states
        for caller, more, high, move in self._steps[state]:
            depth = max(high, self._depths[pair])
            self._waiting[length + more].append((pair - state + caller, depth, move))

    def _return(self, calls: list[tuple[int, int, int]], length: int, depth: int) -> None:
        """Let the callers of a state step to where it returns, in so many bytes and rows."""
        for caller, target, move in calls:
            if (caller, target) in self._stepped:
                continue
            self._stepped.add((caller, target))
            self._steps.setdefault(target, []).append((caller, length, depth, move))
            for pair, more in self._at_return.get(target, ()):
                high = max(depth, self._depths[pair])
                self._waiting[length + more].append((pair - target + caller, high, move))

    def _tabled(self, lengths: NDArray[np.int64]) -> Endings:
        """The endings that the pairs are, of so many bytes each."""
        pairs, moves = np.array(self._pairs, dtype=np.int64), np.array(self._chosen, dtype=np.int32)
        depths = np.array([*self._depths.values()], dtype=np.int32)  # in the order of the pairs
        labels, of_pairs = np.divmod(pairs, self._states)
        order = np.argsort(of_pairs, kind="stable")
        states = of_pairs[order] - self._begun
        return Endings(
            first=np.searchsorted(states, np.arange(len(self._table) + 1)).astype(np.int32),
            labels=labels[order].astype(np.int32),
            lengths=lengths[order].astype(np.int32),
            depths=depths[order],
            first_bytes=self._bytes(states, moves[order]),
        )

    def _bytes(self, states: NDArray[np.int64], moves: NDArray[np.int32]) -> NDArray[np.uint8]:
        """(endings,): a byte with which the states, counted from the first, make these transitions."""
        classes = self._automaton.byte_classes[_READABLE]
        best = np.sort(np.unique(classes, return_index=True)[1])  # of each class, where in _READABLE
        bytes_ = np.zeros(len(states), dtype=np.uint8)
        for chunk in (slice(i, i + _CHUNK) for i in range(0, len(states), _CHUNK)):
            fits = self._table[states[chunk]] == moves[chunk, None]
            bytes_[chunk] = _READABLE[best[fits.take(classes[best], axis=1).argmax(axis=1)]]
        return bytes_
