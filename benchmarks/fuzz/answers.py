"""Random answers that an automaton allows."""

from __future__ import annotations

import heapq
import math
from collections import defaultdict
from random import Random

import numpy as np

from protos.automaton import DEAD, Automaton, Configuration

_ANSWER = -1
"""The goal of ending the answer, beside the goals of returning with a label."""
_END_EARLY = 0.15
"""How often an answer ends where it may, though it could go on."""
_UNSEEN_FIRST = 0.6
"""How often a way that was not taken before is preferred."""


class DeadEndError(Exception):
    """An allowed beginning of an answer has no end. The message is that beginning."""


class Answers:
    """Draws answers, by preference along ways not taken before, and ends each by the fewest bytes."""

    def __init__(self, automaton: Automaton, random: Random) -> None:
        self._automaton = automaton
        self._random = random
        self._ways = [self._ways_from(state) for state in range(automaton.num_states)]
        self._seen: set[tuple[int, int]] = set()
        self._left = self._distances()
        self._ends: dict[Configuration, float] = {}

    def draw(self, *, bytes_before_end: int) -> bytes:
        """An answer that begins to end after so many bytes, if it has not ended by itself.

        Raises:
            DeadEndError: it cannot end.
        """
        configuration, answer = Configuration(self._automaton.start), bytearray()
        while len(answer) < bytes_before_end:
            may_end = self._automaton.ends(configuration)
            following = self._steps(configuration)
            if may_end and (not following or self._random.random() < _END_EARLY):
                return bytes(answer)
            if not following:
                break
            unseen = [step for step in following if (configuration.state, step[1].state) not in self._seen]
            preferred = unseen if unseen and self._random.random() < _UNSEEN_FIRST else following
            byte, reached = self._random.choice(preferred)
            self._seen.add((configuration.state, reached.state))
            answer.append(byte)
            configuration = reached
        return bytes(answer) + self._ending(configuration, bytes(answer))

    def _ending(self, configuration: Configuration, answer: bytes) -> bytes:
        """The fewest bytes that end the answer."""
        ending = bytearray()
        while self._fewest(configuration) > 0:
            steps = self._steps(configuration)
            if self._fewest(configuration) == math.inf or not steps:
                raise DeadEndError(repr(answer + ending))
            byte, configuration = min(steps, key=lambda step: self._fewest(step[1]))
            ending.append(byte)
        return bytes(ending)

    def _steps(self, configuration: Configuration) -> list[tuple[int, Configuration]]:
        """One random byte for each way on, and where it leads."""
        steps = []
        for letters in self._ways[configuration.state].values():
            byte = self._random.choice(letters)
            following = self._automaton.step(configuration, byte)
            if following is not None:
                steps.append((byte, following))
        return steps

    def _ways_from(self, state: int) -> dict[int, list[int]]:
        """The bytes that lead on from a state, by where they lead."""
        row = self._automaton.transitions[state][self._automaton.byte_classes]
        ways: dict[int, list[int]] = defaultdict(list)
        for byte in np.flatnonzero(row != DEAD).tolist():
            ways[int(row[byte])].append(byte)
        return dict(ways)

    def _fewest(self, configuration: Configuration) -> float:
        """The fewest bytes to the end of the answer; infinite if it has none."""
        known = self._ends.get(configuration)
        if known is None:
            left, stack = self._left[configuration.state], configuration.stack
            if stack:
                known = min(
                    (
                        distance + self._fewest(Configuration(self._returned(stack[-1], label), stack[:-1]))
                        for label, distance in left.items()
                        if label != _ANSWER and self._returned(stack[-1], label)
                    ),
                    default=math.inf,
                )
            else:
                known = left.get(_ANSWER, math.inf)
            self._ends[configuration] = known
        return known

    def _returned(self, row: int, label: int) -> int:
        position = row + label
        return int(self._automaton.returns[position]) if position < len(self._automaton.returns) else DEAD

    def _distances(self) -> list[dict[int, float]]:
        """For each state the fewest bytes to each goal on its own level (Knuth, 1977)."""
        automaton = self._automaton
        edges = _Edges(automaton, self._ways)
        done: list[dict[int, float]] = [{} for _ in range(automaton.num_states)]
        queue: list[tuple[float, int, int]] = [
            (0.0, int(state), _ANSWER) for state in np.flatnonzero(automaton.accepting)
        ]
        queue += [(1.0, state, label) for state, label in edges.returning]
        heapq.heapify(queue)
        while queue:
            distance, state, goal = heapq.heappop(queue)
            if goal in done[state]:
                continue
            done[state][goal] = distance
            for before in edges.before[state]:
                heapq.heappush(queue, (distance + 1, before, goal))
            for call, label in edges.returned_to[state]:
                inside = done[int(automaton.call_entries[call])].get(label)
                for before in edges.callers[call] if inside is not None else ():
                    heapq.heappush(queue, (1 + (inside or 0) + distance, before, goal))
            for call in edges.entered[state] if goal != _ANSWER else ():
                after = self._returned(int(automaton.call_rows[call]), goal)
                for further, rest in list(done[after].items()) if after != DEAD else ():
                    for before in edges.callers[call]:
                        heapq.heappush(queue, (1 + distance + rest, before, further))
        return done


class _Edges:
    """The transitions of an automaton, backwards."""

    def __init__(self, automaton: Automaton, ways: list[dict[int, list[int]]]) -> None:
        self.before: dict[int, list[int]] = defaultdict(list)
        """The states with a plain transition to a state."""
        self.callers: dict[int, list[int]] = defaultdict(list)
        """The states that make a call."""
        self.returning: list[tuple[int, int]] = []
        """Each state that returns, and with which label."""
        self.entered: dict[int, list[int]] = defaultdict(list)
        """The calls that go to a state."""
        self.returned_to: dict[int, list[tuple[int, int]]] = defaultdict(list)
        """The calls and labels that return to a state."""
        for state, targets in enumerate(ways):
            for target in targets:
                if target < 0:
                    self.callers[-target - 1].append(state)
                elif target >= automaton.num_states:
                    self.returning.append((state, target - automaton.num_states))
                else:
                    self.before[target].append(state)
        labels = max((label for _, label in self.returning), default=-1) + 1
        for call, (entry, row) in enumerate(
            zip(automaton.call_entries.tolist(), automaton.call_rows.tolist(), strict=True)
        ):
            self.entered[entry].append(call)
            for label, target in enumerate(automaton.returns[row : row + labels].tolist()):
                if target != DEAD:
                    self.returned_to[target].append((call, label))
