"""One step's slices as plain numbers, and those as the tensors that the model reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from shard.sequence import Slice

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Layout(NamedTuple):
    """The tokens of all slices, one behind the other; slices of a single token come first. All int64.

    It holds all that a forward pass depends on, so it is what ranks tell each other of a step.
    """

    input_ids: NDArray[np.int64]
    """(tokens,)."""
    counts: NDArray[np.int64]
    """(slices,): tokens in each."""
    lengths: NDArray[np.int64]
    """(slices,): of each sequence, up to the end of its slice."""
    tables: NDArray[np.int64]
    """(slices * blocks,): the block numbers of each sequence, padded with 0."""
    logit_rows: NDArray[np.int64]
    """The tokens whose logits are wanted: the last ones of each slice, one a row, then the scored ones."""

    @classmethod
    def of(cls, slices: Sequence[Slice], *, block_size: int) -> Layout:
        """Lay out a step: `slices`, those of a single token first, whose sequences have blocks for them."""
        counts = [each.count for each in slices]
        starts = [each.sequence.computed for each in slices]
        lengths = [start + count for start, count in zip(starts, counts, strict=True)]
        tables = np.zeros((len(slices), -(-max(lengths) // block_size)), dtype=np.int64)
        input_ids = np.empty(sum(counts), dtype=np.int64)
        offsets = np.cumsum([0, *counts])
        for row, each in enumerate(slices):
            used = -(-lengths[row] // block_size)
            tables[row, :used] = each.sequence.blocks[:used]
            input_ids[offsets[row] : offsets[row + 1]] = each.tokens[starts[row] : lengths[row]]
        ends = zip(offsets[1:].tolist(), slices, strict=True)
        wanted = [row for end, each in ends for row in range(end - len(each.rows), end)]
        for row, each in enumerate(slices):
            wanted += range(int(offsets[row]), int(offsets[row]) + each.scored)
        return cls(
            input_ids=input_ids,
            counts=np.array(counts, dtype=np.int64),
            lengths=np.array(lengths, dtype=np.int64),
            tables=tables.reshape(-1),
            logit_rows=np.array(wanted, dtype=np.int64),
        )


@dataclass(frozen=True)
class Batch:
    """A layout on the device, and what follows from it."""

    input_ids: Tensor
    """(1, tokens)."""
    positions: Tensor
    """(1, tokens): of each token in its sequence."""
    slots: Tensor
    """(tokens,): where each token's keys and values are stored."""
    tables: Tensor
    """(slices, blocks): the block numbers of each sequence, padded with 0."""
    lengths: list[int]
    """Of each sequence, up to the end of its slice."""
    counts: list[int]
    """Tokens in each slice."""
    singles: int
    """Slices of a single token."""
    ends: Tensor
    """(slices,): the `lengths`, on the device."""
    logit_rows: Tensor
    """The tokens whose logits are wanted."""

    @classmethod
    def of(cls, layout: Layout, *, block_size: int, device: torch.device) -> Batch:
        """Bring a step to the device."""
        counts, lengths = layout.counts, layout.lengths
        tables = layout.tables.reshape(len(counts), -1)
        rows = np.repeat(np.arange(len(counts)), counts)
        starts = np.repeat(np.cumsum(counts) - lengths, counts)
        positions = np.arange(len(rows)) - starts
        slots = tables[rows, positions // block_size] * block_size + positions % block_size
        singles = int((counts == 1).sum())

        def tensor(values: NDArray[np.int64]) -> Tensor:
            return torch.as_tensor(values).to(device, non_blocking=True)

        return cls(
            input_ids=tensor(layout.input_ids)[None],
            positions=tensor(positions)[None],
            slots=tensor(slots),
            tables=tensor(tables),
            lengths=lengths.tolist(),
            counts=counts.tolist(),
            singles=singles,
            ends=tensor(lengths),
            logit_rows=tensor(layout.logit_rows),
        )
