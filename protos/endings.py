"""How the states of an automaton can end, at best: the table that travels with it."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from protos.errors import InvalidRequestError

ACCEPTED = 0
"""The label of an ending by acceptance; returns with label l have l + 1."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Endings:
    """For each state and each way it can end, the fewest bytes for that; `automaton.proto` defines them.

    The endings of state s are those from `first[s]` up to `first[s + 1]`. What
    follows the first byte of one is in the table as well, so whoever goes by them needs no more bytes and no
    more rows than it says.
    """

    first: NDArray[np.int32]
    """(states + 1,): ascending from 0."""
    labels: NDArray[np.int32]
    """(endings,): `ACCEPTED`, or the label of a return plus 1."""
    lengths: NDArray[np.int32]
    """(endings,): bytes, that of the return included."""
    depths: NDArray[np.int32]
    """(endings,): the most rows they have on the stack at once, beyond those below."""
    first_bytes: NDArray[np.uint8]
    """(endings,): the first byte, where there is one."""

    @classmethod
    def none(cls) -> Endings:
        """A table of no states at all."""
        empty = np.zeros(0, dtype=np.int32)
        return cls(
            first=np.zeros(1, dtype=np.int32),
            labels=empty,
            lengths=empty,
            depths=empty,
            first_bytes=empty.astype(np.uint8),
        )

    @property
    def states(self) -> int:
        """The number of states that these are of."""
        return len(self.first) - 1

    def until(self, states: int) -> Endings:
        """The endings of the first so many states."""
        count = int(self.first[states])
        return Endings(
            first=self.first[: states + 1],
            labels=self.labels[:count],
            lengths=self.lengths[:count],
            depths=self.depths[:count],
            first_bytes=self.first_bytes[:count],
        )

    def followed_by(self, others: Endings) -> Endings:
        """The endings of these states, and then of the others."""
        if not self.states:
            return others
        return Endings(
            first=np.concatenate([self.first, others.first[1:] + self.first[-1]]),
            labels=np.concatenate([self.labels, others.labels]),
            lengths=np.concatenate([self.lengths, others.lengths]),
            depths=np.concatenate([self.depths, others.depths]),
            first_bytes=np.concatenate([self.first_bytes, others.first_bytes]),
        )

    def of(self, states: NDArray[np.int32]) -> Endings:
        """The endings of these states, in this order; a state may come several times."""
        counts = np.diff(self.first)[states]
        after = np.cumsum(counts, dtype=np.int32)
        places = np.arange(after[-1], dtype=np.int32) + np.repeat(self.first[states] - after + counts, counts)
        return Endings(
            first=np.append(np.int32(0), after),
            labels=self.labels[places],
            lengths=self.lengths[places],
            depths=self.depths[places],
            first_bytes=self.first_bytes[places],
        )

    def __len__(self) -> int:
        return len(self.labels)

    def compressed(self) -> bytes:
        """The table as `Automaton.endings` has it."""
        columns = np.concatenate([np.diff(self.first), self.labels, self.lengths, self.depths])
        changes = np.diff(columns, prepend=np.int32(0))
        return zlib.compress(changes.astype("<i4").tobytes() + self.first_bytes.tobytes(), 1)

    @classmethod
    def read(cls, data: bytes, *, states: int, endings: int) -> Endings:
        """The table that `compressed` wrote, checked.

        Raises:
            InvalidRequestError: it is damaged, or not of that many states and endings.
        """
        numbers = states + 3 * endings
        stored = inflated(data, 4 * numbers + endings, what="endings")
        # Damaged numbers may wrap around; they are checked below.
        columns = np.cumsum(np.frombuffer(stored, dtype="<i4", count=numbers), dtype=np.int32)
        counts = columns[:states]
        labels, lengths, depths = columns[states:].reshape(3, endings)
        first = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])
        if (columns < 0).any() or first[-1] != endings:
            raise InvalidRequestError("automaton: a number in its endings is out of range")
        return cls(
            first=first.astype(np.int32),
            labels=labels,
            lengths=lengths,
            depths=depths,
            first_bytes=np.frombuffer(stored, dtype=np.uint8, offset=4 * numbers),
        )


def inflated(data: bytes, size: int, *, what: str) -> bytes:
    """The `size` bytes that zlib made `data` of, without ever making more.

    Raises:
        InvalidRequestError: it did not, or they were more or fewer; the message says of `what`.
    """
    try:
        stream = zlib.decompressobj()
        result = stream.decompress(data, size + 1)
    except zlib.error as error:
        raise InvalidRequestError(f"automaton: its {what} are damaged") from error
    if len(result) != size or not stream.eof:
        raise InvalidRequestError(f"automaton: its {what} have the wrong length")
    return result
