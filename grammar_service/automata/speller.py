"""Characters in a program: read plainly if they are one byte, called if they are more."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from grammar_service.automata.columns import END_OF_UNICODE, SURROGATES, Classes
from grammar_service.automata.dfa import DEAD, Dfa
from grammar_service.automata.program import NONE, Entry, Leaf, Procedure, Program
from grammar_service.automata.spelling import Ranges, Spelling, parted, sequences
from grammar_service.automata.spelling import Sequence as Spelt


class Spelled(NamedTuple):
    """A set of characters in a program: single bytes are read plainly, longer spellings are calls."""

    single: Ranges
    calls: tuple[tuple[int, int, int, Procedure], ...]
    """(first byte, last byte, entry state, procedure)"""


class Ways(NamedTuple):
    """How the columns of a table are spelled: what is read plainly, and what is called."""

    plain: list[tuple[int, int, int]]
    """(first byte, last byte, column)"""
    longer: list[tuple[int, tuple[tuple[int, int, int, Procedure], ...]]]
    """Columns with their calls, if they have any."""


class Speller:
    """Writes languages over characters into a program over bytes.

    A character that takes more than one byte is a call, so that what follows its first byte (some 25 states
    for an unrestricted character) is in the program once and not once a state.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self._spelled: dict[tuple[Ranges, Spelling], Spelled] = {}
        self._ways: dict[tuple[int, Spelling], tuple[Classes, Ways]] = {}
        """By identity; with the classes, so that they live as long."""
        self._first_bytes: dict[tuple[int, Spelling, int], tuple[Dfa, int]] = {}
        """By the identity of a language, and where it begins; with the language, so that it lives as long."""

    def copy(self, program: Program) -> Speller:
        """One for a program that goes on from this one's."""
        speller = Speller(program)
        speller._spelled = self._spelled.copy()
        return speller

    def language(self, dfa: Dfa, spelling: Spelling, target: int) -> int:
        """Add the strings of `dfa`; return the state they begin in. They end in `target`."""
        trimmed = dfa.trimmed
        leaf = Leaf(trimmed, spelling, ((trimmed.ends, target),))
        state = self.program.state()
        self.program.leaves[state] = Entry(leaf, trimmed.start, (target,) if len(trimmed.table) > 1 else ())
        return state

    def expand(self, leaf: Leaf) -> list[int]:
        """Write out a leaf as states of the program, in the order of its own."""
        program, dfa = self.program, leaf.dfa
        plain, longer = self.ways(leaf)
        columns = [column for column, _ in longer]
        states = [program.state() for _ in dfa.table]
        for state, low, high, target in _runs(dfa, plain):
            program.moves[states[state]].append((low, high, states[target], NONE, NONE))
        for number, row in enumerate(dfa.table[:, columns].tolist()):
            for following, (_, calls) in zip(row, longer, strict=True):
                if following != DEAD:
                    self._connect(states[number], Spelled((), calls), states[following])
        for ending, target in leaf.ends:
            for number in ending.tolist():
                program.epsilon[states[number]].append(target)
        return states

    def ways(self, leaf: Leaf) -> Ways:
        """How the columns of a leaf's table are spelled."""
        dfa, spelling = leaf.dfa, leaf.spelling
        if spelling is Spelling.RAW and dfa.ascii is not None:  # each character is its byte in any program
            return Ways(dfa.ascii, [])
        return self.spell(dfa.classes, spelling)

    def spell(self, classes: Classes, spelling: Spelling) -> Ways:
        """How columns are spelled that stand for these characters."""
        known = self._ways.get((id(classes), spelling))
        if known is None:
            spelled = [(column, self._spell(ranges, spelling)) for column, ranges in classes]
            plain = [(low, high, column) for column, way in spelled for low, high in way.single]
            ways = Ways(plain, [(column, way.calls) for column, way in spelled if way.calls])
            known = self._ways[id(classes), spelling] = (classes, ways)
        return known[1]

    def first_bytes(self, entry: Entry) -> int:
        """The bytes that may begin a string of a leaf that is not empty, as the bits of a number."""
        dfa, spelling = entry.leaf.dfa, entry.leaf.spelling
        known = self._first_bytes.get((id(dfa), spelling, entry.start))
        if known is None:
            bits, row = 0, dfa.table[entry.start].tolist()
            plain, longer = self.ways(entry.leaf)
            called = [(call[0], call[1], column) for column, calls in longer for call in calls]
            for low, high, column in (*plain, *called):
                if row[column] != DEAD:
                    bits |= (2 << high) - (1 << low)
            known = self._first_bytes[id(dfa), spelling, entry.start] = (dfa, bits)
        return known[1]

    def character(self, source: int, character: str, spelling: Spelling, target: int) -> None:
        """Go from `source` to `target` by one character."""
        point = ord(character)
        self._connect(source, self._spell(((point, point),), spelling), target)

    def others(self, source: int, characters: Iterable[str], spelling: Spelling, target: int) -> None:
        """Go from `source` to `target` by one character that is not among `characters`."""
        gaps = sorted([(SURROGATES[0], SURROGATES[1]), *((ord(c), ord(c) + 1) for c in characters)])
        begins = [0, *(after for _, after in gaps)]
        ends = [*(first for first, _ in gaps), END_OF_UNICODE]
        ranges = tuple((low, after - 1) for low, after in zip(begins, ends, strict=True) if low < after)
        self._connect(source, self._spell(ranges, spelling), target)

    def _connect(self, source: int, way: Spelled, target: int) -> None:
        moves = self.program.moves[source]
        moves.extend([(low, high, target, NONE, NONE) for low, high in way.single])
        moves.extend([(low, high, target, entry, procedure) for low, high, entry, procedure in way.calls])

    def _spell(self, characters: Ranges, spelling: Spelling) -> Spelled:
        plain, others = parted(characters, spelling)
        if not others:
            return Spelled(plain, ())
        spelled = self._spelled.get((others, spelling))
        if spelled is None:
            ways = sequences(others, spelling)
            single = tuple(r for sequence in ways if len(sequence) == 1 for r in sequence[0])
            longer = [sequence for sequence in ways if len(sequence) > 1]
            calls = tuple(self._procedure(longer)) if longer else ()
            spelled = self._spelled[others, spelling] = Spelled(single, calls)
        return Spelled(plain + spelled.single, spelled.calls) if plain else spelled

    def _procedure(self, ways: list[Spelt]) -> Iterator[tuple[int, int, int, Procedure]]:
        procedure = self.program.procedure()
        tails: dict[Spelt, int] = {}
        for sequence in ways:
            entry = self._tail(sequence[1:], procedure, tails)
            for low, high in sequence[0]:
                yield low, high, entry, procedure

    def _tail(self, tail: Spelt, procedure: Procedure, tails: dict[Spelt, int]) -> int:
        """The state from which `tail` is read, ending in a return."""
        if tail not in tails:
            state = tails[tail] = self.program.state()
            if len(tail) == 1:
                self.program.moves[state] = [(low, high, NONE, NONE, procedure) for low, high in tail[0]]
            else:
                following = self._tail(tail[1:], procedure, tails)
                self.program.moves[state] = [(low, high, following, NONE, NONE) for low, high in tail[0]]
        return tails[tail]


def _runs(dfa: Dfa, plain: list[tuple[int, int, int]]) -> list[list[int]]:
    """What is read as single bytes: [state, first byte, last byte, target], as few as possible."""
    targets = np.full((len(dfa.table), 257), DEAD, dtype=np.int64)  # one more, to end the last run
    for low, high, column in plain:
        targets[:, low : high + 1] = dfa.table[:, column][:, None]
    changes = np.ones_like(targets, dtype=np.bool_)
    changes[:, 1:] = targets[:, 1:] != targets[:, :-1]
    states, begins = np.nonzero(changes)
    ends = np.where(np.append(states[1:] == states[:-1], False), np.append(begins[1:], 0) - 1, 256)
    reached = targets[states, begins]
    runs: list[list[int]] = np.column_stack([states, begins, ends, reached])[reached != DEAD].tolist()
    return runs
