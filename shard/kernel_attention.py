"""Paged attention by kernels that read the cache where it is."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import Protocol

import torch
from torch import Tensor, nn

from shard.attention import Variant
from shard.batch import Batch
from shard.kv_cache import KVCache


@dataclass(frozen=True)
class Spans:
    """Which tokens of a step are whose, and where what they see is kept: int32, on the device."""

    starts: Tensor
    """(slices + 1,): where each slice begins among the tokens, and where the last one ends."""
    lengths: Tensor
    """(slices,): of each sequence, up to the end of its slice."""
    tables: Tensor
    """(slices, blocks), contiguous: block numbers, padded with anything."""
    longest_slice: int
    """Tokens of the longest slice."""
    longest: int
    """Tokens of the longest sequence, or more."""

    @classmethod
    def of(cls, batch: Batch) -> Spans:
        """Those of a step. If all slices are of one token, the host tells the device nothing for it, so that
        it can be part of a CUDA graph."""
        device = batch.slots.device
        if batch.singles == len(batch.counts):
            starts = torch.arange(batch.singles + 1, dtype=torch.int32, device=device)
        else:
            offsets = torch.tensor([0, *accumulate(batch.counts)], dtype=torch.int32)
            starts = offsets.to(device, non_blocking=True)
        return cls(
            starts=starts,
            lengths=batch.ends.to(torch.int32),
            tables=batch.tables.to(torch.int32).contiguous(),
            longest_slice=max(batch.counts),
            longest=max(batch.lengths),
        )


class Kernel(Protocol):
    """Causal attention of a step's tokens to all that their sequences have in the cache."""

    def __call__(
        self, query: Tensor, keys: Tensor, values: Tensor, *, spans: Spans, variant: Variant
    ) -> Tensor:
        """Attend.

        Args:
            query: (tokens, heads, width), contiguous.
            keys: (blocks, block_size, key heads, width), contiguous; `values` likewise.

        Returns:
            (tokens, heads, value width).
        """


class KernelAttention:
    """One step over the cache, like `PagedAttention`, whose reading is done by a kernel."""

    def __init__(self, kernel: Kernel, cache: KVCache, batch: Batch) -> None:
        self._kernel = kernel
        self._cache = cache
        self._slots = batch.slots
        self._spans = Spans.of(batch)

    def attend(
        self, module: nn.Module, query: Tensor, key: Tensor, value: Tensor, variant: Variant
    ) -> Tensor:
        """See `attention.Attention`."""
        layer = self._cache.layers[id(module)]
        layer.write(self._slots, key[0].transpose(0, 1), value[0].transpose(0, 1))
        queries = query[0].transpose(0, 1).contiguous()
        keys, values = layer.blocks()
        return self._kernel(queries, keys, values, spans=self._spans, variant=variant)[None]
