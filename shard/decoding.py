"""A step of a few tokens as one function of tensors, in a form that can be compiled as a whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from shard.attention import Variant, attending
from shard.batch import Batch
from shard.model import keeps_logits
from shard.row_attention import row_attention

Caches: TypeAlias = "list[Tensor]"
"""Keys and values of each layer in turn, (slots, heads, width) each."""


class RowAttention:
    """Attention where every token is a row of its own, with a block table and a length.

    All of a step's keys and values are stored before any row attends, so tokens of one sequence see those
    before them.
    """

    def __init__(
        self,
        layers: Mapping[int, tuple[Tensor, Tensor]],
        slots: Tensor,
        tables: Tensor,
        lengths: Tensor,
        *,
        block_size: int,
    ) -> None:
        """Prepare a step.

        Args:
            layers: keys and values, (slots, heads, width), by `id` of the attention module.
            slots: (rows,) where the rows' own keys and values are stored.
            tables: (rows, blocks) numbers of the blocks that the row reads.
            lengths: (rows,) tokens that the row sees, itself included.
            block_size: slots of a block.
        """
        self._layers = layers
        self._slots = slots
        self._tables = tables
        self._lengths = lengths
        self._block_size = block_size

    def attend(
        self, module: nn.Module, query: Tensor, key: Tensor, value: Tensor, variant: Variant
    ) -> Tensor:
        """See `attention.Attention`. Computes in float32."""
        keys, values = self._layers[id(module)]
        for stored, new in ((keys, key), (values, value)):
            stored.index_put_((self._slots,), new[0].transpose(0, 1).to(stored.dtype))
        attended: Tensor = row_attention(
            query[0].transpose(0, 1).float().contiguous(),
            keys,
            values,
            self._tables,
            self._lengths,
            None if variant.sinks is None else variant.sinks.float(),
            self._block_size,
            variant.scale,
            variant.softcap or 0.0,
            variant.window or 0,
        )
        return attended[None].to(query.dtype)


class Decoding(nn.Module):
    """The network over given caches: tensors in, logits out, caches changed in place."""

    def __init__(self, network: PreTrainedModel, modules: Iterable[int], *, block_size: int) -> None:
        """`modules` are the attention modules' `id`s, in the order of the caches."""
        super().__init__()
        self.network = network
        self._modules_of_caches = tuple(modules)
        self._keeps_logits = keeps_logits(network)
        self._block_size = block_size

    def forward(
        self,
        input_ids: Tensor,
        positions: Tensor,
        slots: Tensor,
        tables: Tensor,
        wanted: Tensor,
        caches: Caches,
    ) -> Tensor:
        """(wanted rows, vocabulary) logits.

        Args:
            input_ids: (rows,).
            positions: (rows,) in their sequences.
            slots: (rows,) see `RowAttention`.
            tables: (rows, blocks) see `RowAttention`.
            wanted: the rows whose logits are wanted, at least one.
            caches: two for each layer.
        """
        layers = dict(zip(self._modules_of_caches, zip(caches[::2], caches[1::2], strict=True), strict=True))
        keep = {"logits_to_keep": wanted} if self._keeps_logits else {}
        rows = RowAttention(layers, slots, tables, positions + 1, block_size=self._block_size)
        with attending(rows):
            output: Any = self.network(
                input_ids=input_ids[None], position_ids=positions[None], use_cache=False, **keep
            )
        logits: Tensor = output.logits[0]
        return logits if self._keeps_logits else logits[wanted]


def arguments_of(batch: Batch) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """What `Decoding` takes of a batch, whose tokens become rows; not the caches."""
    tables = batch.tables
    if batch.singles < len(batch.counts):
        counts = torch.tensor(batch.counts).to(tables.device, non_blocking=True)
        tables = tables.repeat_interleave(counts, dim=0, output_size=len(batch.slots))
    return batch.input_ids[0], batch.positions[0], batch.slots, tables, batch.logit_rows
