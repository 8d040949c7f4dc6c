"""The shortest way from a configuration to the end of the answer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from protos.automaton import Automaton
from protos.endings import ACCEPTED
from protos.errors import InvalidRequestError


class Way(NamedTuple):
    """A shortest way to the end of the answer. Of two ways the lesser is the better one."""

    length: int
    """Bytes."""
    depth: int
    """The most rows it has on the stack at once."""
    byte: int
    """Its first byte; means nothing if it has none."""


class Frame:
    """A row on the stack, what is below it, and the ways on that were asked for so far.

    Frames are never changed but for what they remember, so configurations share them: to push a row is to
    make a frame upon the present one, to return is to go on with the one below.
    """

    __slots__ = ("below", "depth", "row", "ways")

    def __init__(self, row: int, below: Frame | None) -> None:
        self.row = row
        self.below = below
        self.depth: int = 1 if below is None else below.depth + 1
        self.ways: dict[int, Way | None] = {}
        """By the label of a return through this row, plus 1: the way from where it leads."""


class Ways:
    """Tells of any configuration of an automaton how it ends soonest. A stack is a frame, or None if empty.

    A state says how soon it returns, with each label; a row, where that leads. So the way from a
    configuration is the best of a few sums, each of an ending of its state and a way that the frame
    remembers: a push or a return costs no more than that. What it finds is always possible, `max_depth`
    included; it is the shortest possible unless that one needs so little of the stack only by being longer
    than necessary somewhere, close to `max_depth`.
    """

    def __init__(self, automaton: Automaton) -> None:
        self._automaton = automaton
        self._endings: dict[int, list[tuple[int, int, int, int]]] = {}
        """Of the states asked for so far: label, bytes, rows, first byte."""

    def frame(self, rows: Iterable[int]) -> Frame | None:
        """The stack that these rows make, the topmost last."""
        frame = None
        for row in rows:
            frame = Frame(row, frame)
        return frame

    def shortest(self, state: int, stack: Frame | None) -> Way | None:
        """The shortest way to the end of the answer; None if there is none within `max_depth`."""
        if stack is not None:
            self._remember(self._labels(state), stack)
        return self._best(state, stack)

    def ending(self, state: int, stack: Frame | None) -> bytes | None:
        """A shortest text that ends the answer; None if there is none within `max_depth`.

        Raises:
            InvalidRequestError: the endings are not those of the automaton.
        """
        way = self.shortest(state, stack)
        if way is None:
            return None
        text = bytearray()
        while way.length:
            text.append(way.byte)
            state, stack = self._after(state, stack, way.byte)
            following = self.shortest(state, stack)
            if following is None or following.length >= way.length:
                raise InvalidRequestError("automaton: its endings do not lead to an end")
            way = following
        return bytes(text)

    def _after(self, state: int, stack: Frame | None, byte: int) -> tuple[int, Frame | None]:
        """The configuration after a byte; the dead state if there is none."""
        automaton = self._automaton
        target = int(automaton.transitions[state, automaton.byte_classes[byte]])
        if target < 0:
            return int(automaton.call_entries[-target - 1]), Frame(
                int(automaton.call_rows[-target - 1]), stack
            )
        if target < automaton.num_states:
            return target, stack
        if stack is None:
            return 0, None
        return self._returned(stack, target - automaton.num_states + 1), stack.below

    def _returned(self, frame: Frame, label: int) -> int:
        """The state after a return with the label `label` - 1."""
        return int(self._automaton.returns[frame.row + label - 1])

    def _of(self, state: int) -> list[tuple[int, int, int, int]]:
        """The endings of a state, each as label, bytes, rows, first byte."""
        found = self._endings.get(state)
        if found is None:
            endings = self._automaton.endings
            mine = slice(int(endings.first[state]), int(endings.first[state + 1]))
            columns = (endings.labels, endings.lengths, endings.depths, endings.first_bytes)
            found = list(zip(*[column[mine].tolist() for column in columns], strict=True))
            self._endings[state] = found
        return found

    def _labels(self, state: int) -> set[int]:
        """The labels that a state may return with, plus 1."""
        return {ending[0] for ending in self._of(state) if ending[0] != ACCEPTED}

    def _remember(self, labels: set[int], stack: Frame) -> None:
        """Let a frame, and those below as far as it takes them, remember the ways on from these labels."""
        unknown: list[tuple[Frame, set[int]]] = []
        frame: Frame | None = stack
        while frame is not None:
            missing = labels - frame.ways.keys()
            if not missing:
                break
            unknown.append((frame, missing))
            labels = set().union(*(self._labels(self._returned(frame, label)) for label in missing))
            frame = frame.below
        for frame, missing in reversed(unknown):
            for label in missing:
                frame.ways[label] = self._best(self._returned(frame, label), frame.below)

    def _best(self, state: int, stack: Frame | None) -> Way | None:
        """The best way, where the stack remembers all it may be asked for."""
        best: Way | None = None
        for label, length, depth, byte in self._of(state):
            if stack is None:
                way = Way(length, depth, byte) if label == ACCEPTED else None
            elif label == ACCEPTED or (rest := stack.ways[label]) is None:
                way = None
            else:
                way = Way(length + rest.length, max(stack.depth + depth, rest.depth), byte)
            if way and way.depth <= self._automaton.max_depth and (best is None or way < best):
                best = way
        return best
