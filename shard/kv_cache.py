"""The keys and values of every token in the cache, in blocks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor


class Footprint(NamedTuple):
    """Bytes that a model keeps of what it has read."""

    per_token: int
    per_sequence: int
    """On top of those of its tokens, as recurrent states take."""


@dataclass(frozen=True)
class LayerShape:
    """What one attention layer keeps of a token; on one rank of several, that rank's share of the heads."""

    heads: int
    key_width: int
    value_width: int
    dtype: torch.dtype

    @property
    def bytes_per_token(self) -> int:
        return self.heads * (self.key_width + self.value_width) * self.dtype.itemsize


class LayerCache:
    """One layer's keys and values: (slots, heads, width), slot = block * block_size + offset in the block."""

    def __init__(self, shape: LayerShape, *, blocks: int, block_size: int, device: torch.device) -> None:
        self.heads = shape.heads
        self._block_size = block_size
        slots = blocks * block_size
        # Zeros, since what padding reads is multiplied by nought: it may be anything but not a number.
        self.keys = torch.zeros(slots, shape.heads, shape.key_width, dtype=shape.dtype, device=device)
        self.values = torch.zeros(slots, shape.heads, shape.value_width, dtype=shape.dtype, device=device)

    def write(self, slots: Tensor, keys: Tensor, values: Tensor) -> None:
        """Store `keys` and `values` (tokens, heads, width) at `slots` (tokens,)."""
        self.keys.index_copy_(0, slots, keys.to(self.keys.dtype))
        self.values.index_copy_(0, slots, values.to(self.values.dtype))

    def read(self, tables: Tensor, length: int) -> tuple[Tensor, Tensor]:
        """Copies of the first `length` tokens of each block table.

        Args:
            tables: (sequences, blocks) block numbers, padded with 0.

        Returns:
            Keys and values, (sequences, heads, length, width).
        """
        return self._gather(self.keys, tables, length), self._gather(self.values, tables, length)

    def blocks(self) -> tuple[Tensor, Tensor]:
        """Keys and values as they are stored, (blocks, block_size, heads, width)."""
        size = (-1, self._block_size)
        return self.keys.unflatten(0, size), self.values.unflatten(0, size)

    def _gather(self, stored: Tensor, tables: Tensor, length: int) -> Tensor:
        _, heads, width = stored.shape
        by_block = stored.view(-1, self._block_size * heads * width)
        blocks = tables[:, : -(-length // self._block_size)]
        gathered = by_block.index_select(0, blocks.reshape(-1))
        return gathered.view(len(tables), -1, heads, width)[:, :length].transpose(1, 2)


class KVCache:
    """The caches of all layers. A layer is known by the identity of its attention module in the model."""

    def __init__(
        self, shapes: Mapping[int, LayerShape], *, blocks: int, block_size: int, device: torch.device
    ) -> None:
        """`shapes` is keyed by `id` of the attention module; `blocks` counts block 0, which holds padding."""
        self.block_size = block_size
        self.tokens = (blocks - 1) * block_size
        self.layers = {
            module: LayerCache(shape, blocks=blocks, block_size=block_size, device=device)
            for module, shape in shapes.items()
        }
