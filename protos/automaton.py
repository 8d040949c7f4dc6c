"""The automaton as arrays: what the grammar service builds and the shard follows."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from protos import automaton_pb2
from protos.endings import Endings, inflated
from protos.errors import InvalidRequestError
from protos.repetition import Repetition

FORMAT_VERSION = 5
DEAD = 0
MAX_CELLS = 64 * 1024 * 1024
"""The most transitions a reader accepts (256 MiB decoded), so that a small message cannot fill its memory."""


class Configuration(NamedTuple):
    """Where a reader of the automaton is: a state, and the rows it will return through, the topmost last."""

    state: int
    stack: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False, kw_only=True)
class Automaton:
    """A visibly pushdown automaton over bytes; `automaton.proto` defines how it reads.

    Every configuration reachable from the start can reach acceptance (within `max_depth`), so an allowed
    byte never leads into a dead end.
    """

    byte_classes: NDArray[np.uint8]
    """(256,): the class of each byte value."""
    transitions: NDArray[np.int32]
    """(states, classes): next state, return (>= states) or call (< 0). Row 0 is all `DEAD`."""
    accepting: NDArray[np.bool_]
    """(states,): whether the answer may end there, with an empty stack."""
    start: int
    call_entries: NDArray[np.int32]
    """(calls,): the state a call goes to."""
    call_rows: NDArray[np.int32]
    """(calls,): the row it pushes."""
    returns: NDArray[np.int32]
    """(rows,): the state that a return leads to, at row + label; `DEAD` if that label does not occur."""
    max_depth: int
    endings: Endings = field(default_factory=Endings.none)
    """Of all states; of none in an automaton that is still being made."""
    repetition: Repetition = field(default_factory=Repetition.none)
    """Copies that are not written out. Only an automaton without can be read."""

    @property
    def num_states(self) -> int:
        """The number of states, copies included."""
        return len(self.transitions) + self.repetition.count

    def written_out(self) -> Automaton:
        """The same automaton, with rows for the copies too."""
        originals = self.repetition.originals(len(self.transitions))
        return replace(
            self,
            transitions=self.repetition.written_out(self.transitions),
            accepting=self.accepting[originals],
            endings=self.endings.of(originals) if len(self.endings) else self.endings,
            repetition=Repetition.none(),
        )

    def step(self, configuration: Configuration, byte: int) -> Configuration | None:
        """The configuration after reading one byte, or None if it is not allowed there."""
        state, stack = configuration
        target = int(self.transitions[state, self.byte_classes[byte]])
        if target < 0:
            if len(stack) >= self.max_depth:
                return None
            call = -target - 1
            pushed = (*stack, int(self.call_rows[call]))
            return Configuration(int(self.call_entries[call]), pushed)
        if target >= self.num_states:
            if not stack:
                return None
            target = int(self.returns[stack[-1] + target - self.num_states])
            stack = stack[:-1]
        return None if target == DEAD else Configuration(target, stack)

    def ends(self, configuration: Configuration) -> bool:
        """Whether the answer may end here."""
        return not configuration.stack and bool(self.accepting[configuration.state])

    def accepts(self, answer: bytes) -> bool:
        """Whether the automaton's language contains `answer`."""
        configuration = Configuration(self.start)
        for byte in answer:
            following = self.step(configuration, byte)
            if following is None:
                return False
            configuration = following
        return self.ends(configuration)

    def to_message(self) -> automaton_pb2.Automaton:
        """The automaton as it travels and is stored."""
        table = self.transitions.astype("<i4", copy=False)
        changes = table.copy()
        np.subtract(table[1:], table[:-1], out=changes[1:])
        short = changes.astype("<i2")  # half as much to compress
        stored = short if (short == changes).all() else changes
        return automaton_pb2.Automaton(
            format_version=FORMAT_VERSION,
            byte_classes=self.byte_classes.tobytes(),
            num_states=table.shape[0],
            num_classes=table.shape[1],
            transitions=zlib.compress(stored.data, 1),
            transition_bytes=stored.itemsize,
            accepting=np.packbits(self.accepting, bitorder="little").tobytes(),
            start=self.start,
            call_entries=self.call_entries.astype("<i4").tobytes(),
            call_rows=self.call_rows.astype("<i4").tobytes(),
            returns=self.returns.astype("<i4").tobytes(),
            max_depth=self.max_depth,
            num_endings=len(self.endings),
            endings=self.endings.compressed(),
            repeated_states=self.repetition.states.astype("<i4").tobytes(),
            repetitions=self.repetition.times,
            repeated_classes=self.repetition.classes.tobytes(),
        )

    @classmethod
    def from_message(cls, message: automaton_pb2.Automaton) -> Automaton:
        """Read and check an automaton, and write it out: afterwards no index in it can be out of range.

        Raises:
            InvalidRequestError: the message is damaged, or of a version this reader does not know.
        """
        if message.format_version != FORMAT_VERSION:
            raise InvalidRequestError(
                f"automaton: format version {message.format_version} is not {FORMAT_VERSION}"
            )
        states, classes = message.num_states, message.num_classes
        if not 1 < states * classes <= MAX_CELLS or not 0 < classes <= 256:
            raise InvalidRequestError(f"automaton: {states} states x {classes} classes is out of range")
        repetition = Repetition(
            states=_int32(message.repeated_states),
            classes=np.frombuffer(message.repeated_classes, dtype=np.uint8),
            times=message.repetitions,
        )
        if (states + repetition.count) * classes > MAX_CELLS:
            raise InvalidRequestError(f"automaton: {repetition.count} copies of states are out of range")
        if message.num_endings > MAX_CELLS:
            raise InvalidRequestError(f"automaton: {message.num_endings} endings are out of range")
        width = message.transition_bytes
        if width not in (2, 4):
            raise InvalidRequestError(f"automaton: {width} bytes per transition are not 2 or 4")
        stored = inflated(message.transitions, states * classes * width, what="transitions")
        # Damaged numbers may wrap around; they are checked below.
        table = np.cumsum(
            np.frombuffer(stored, f"<i{width}").reshape(states, classes), axis=0, dtype=np.int32
        )
        bits = np.frombuffer(message.accepting, dtype=np.uint8)
        if len(bits) != -(-states // 8):
            raise InvalidRequestError("automaton: accepting has the wrong length")
        automaton = cls(
            byte_classes=np.frombuffer(message.byte_classes, dtype=np.uint8),
            transitions=table,
            accepting=np.unpackbits(bits, count=states, bitorder="little").astype(np.bool_),
            start=message.start,
            call_entries=_int32(message.call_entries),
            call_rows=_int32(message.call_rows),
            returns=_int32(message.returns),
            max_depth=message.max_depth,
            endings=Endings.read(message.endings, states=states, endings=message.num_endings),
            repetition=repetition,
        )
        automaton._check()
        return automaton.written_out()

    def _check(self) -> None:
        states, calls = self.num_states, len(self.call_entries)
        labels = int(self.transitions.max()) - states + 1
        rows = self.call_rows
        sound = (
            len(self.byte_classes) == 256
            and self.byte_classes.max() < self.transitions.shape[1]
            and 0 < self.start < len(self.transitions)
            and _within(self.repetition.states, len(self.transitions))
            and _within(self.repetition.classes, self.transitions.shape[1])
            and int(self.transitions.min()) >= -calls
            and not self.transitions[DEAD].any()
            and len(rows) == calls
            and _within(self.call_entries, len(self.transitions))
            and bool(self.call_entries.all())  # no call leads into the dead state
            and _within(self.returns, len(self.transitions))
            and int(self.endings.labels.max(initial=0)) <= max(labels, 0)
            and (calls == 0 or (rows.min() >= 0 and rows.max() + max(labels, 1) <= len(self.returns)))
        )
        if not sound:
            raise InvalidRequestError("automaton: an index in it is out of range")


def _within(values: NDArray[np.int32] | NDArray[np.uint8], bound: int) -> bool:
    return len(values) == 0 or bool(values.min() >= 0 and values.max() < bound)


def _int32(data: bytes) -> NDArray[np.int32]:
    if len(data) % 4:
        raise InvalidRequestError("automaton: a table of 32-bit numbers is cut off")
    return np.frombuffer(data, dtype="<i4").astype(np.int32)
