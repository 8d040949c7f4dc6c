"""One step's slices as the tensors that the model reads."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from shard.sequence import Slice


@dataclass(frozen=True)
class Batch:
    """The tokens of all slices, one behind the other; slices of a single token come first."""

    slices: list[Slice]
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
    single_lengths: Tensor
    """(singles,): their `lengths`, on the device."""
    logit_rows: Tensor
    """The tokens whose logits are wanted: the last one of each slice that samples, then the scored ones."""

    @classmethod
    def of(cls, slices: Iterable[Slice], *, block_size: int, device: torch.device) -> Batch:
        """Lay out a step. Every sequence has blocks for all tokens of its slice."""
        ordered = sorted(slices, key=lambda each: each.count > 1)
        counts = [each.count for each in ordered]
        starts = [each.sequence.computed for each in ordered]
        lengths = [start + count for start, count in zip(starts, counts, strict=True)]
        total, singles = sum(counts), counts.count(1)
        tables = np.zeros((len(ordered), -(-max(lengths) // block_size)), dtype=np.int64)
        input_ids = np.empty(total, dtype=np.int64)
        offsets = np.cumsum([0, *counts])
        for row, each in enumerate(ordered):
            used = -(-lengths[row] // block_size)
            tables[row, :used] = each.sequence.blocks[:used]
            input_ids[offsets[row] : offsets[row + 1]] = each.sequence.tokens[starts[row] : lengths[row]]
        rows = np.repeat(np.arange(len(ordered)), counts)
        positions = np.arange(total) - np.repeat(offsets[:-1] - starts, counts)
        slots = tables[rows, positions // block_size] * block_size + positions % block_size
        wanted = [int(offsets[row + 1]) - 1 for row, each in enumerate(ordered) if each.samples]
        for row, each in enumerate(ordered):
            wanted += range(int(offsets[row]), int(offsets[row]) + each.scored)

        def tensor(values: np.ndarray | list[int]) -> Tensor:
            return torch.as_tensor(values, dtype=torch.int64).to(device, non_blocking=True)

        return cls(
            slices=ordered,
            input_ids=tensor(input_ids)[None],
            positions=tensor(positions)[None],
            slots=tensor(slots),
            tables=tensor(tables),
            lengths=lengths,
            counts=counts,
            singles=singles,
            single_lengths=tensor(lengths[:singles]),
            logit_rows=tensor(wanted),
        )
