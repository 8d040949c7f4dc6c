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

Caches: TypeAlias = "list[Tensor]"
"""Keys and values of each layer in turn, (slots, heads, width) each."""


class RowAttention:
    """Attention where every token is a row of its own, with a block table and a length.

    All of a step's keys and values are stored before any row attends, so tokens of one sequence see those
    before them. Written for a compiler, which makes a few loops of it that read the cache in place; as it
    stands, torch would copy what it reads several times.
    """

    def __init__(
        self, layers: Mapping[int, tuple[Tensor, Tensor]], slots: Tensor, tables: Tensor, lengths: Tensor
    ) -> None:
        """Prepare a step.

        Args:
            layers: keys and values, (blocks, block_size, heads, width), by `id` of the attention module.
            slots: (rows,) where the rows' own keys and values are stored.
            tables: (rows, blocks) numbers of the blocks that the row reads.
            lengths: (rows,) tokens that the row sees, itself included.
        """
        self._layers = layers
        self._slots = slots
        self._tables = tables
        self._lengths = lengths

    def attend(
        self, module: nn.Module, query: Tensor, key: Tensor, value: Tensor, variant: Variant
    ) -> Tensor:
        """See `attention.Attention`. Computes in float32."""
        stored_keys, stored_values = self._layers[id(module)]
        for stored, new in ((stored_keys, key), (stored_values, value)):
            stored.flatten(0, 1).index_put_((self._slots,), new[0].transpose(0, 1).to(stored.dtype))
        keys, values = stored_keys[self._tables].flatten(1, 2), stored_values[self._tables].flatten(1, 2)
        rows, heads = query.shape[2], key.shape[1]
        queries = query[0].transpose(0, 1).unflatten(1, (heads, -1)).float()
        scores = (queries[:, None] * keys[:, :, :, None].float()).sum(-1) * variant.scale
        weights = self._weights(scores, variant)
        attended = (weights[..., None] * values[:, :, :, None].float()).sum(1)
        return attended.to(query.dtype).view(1, rows, -1, value.shape[3])

    def _weights(self, scores: Tensor, variant: Variant) -> Tensor:
        """Softmax of (rows, keys, key heads, queries of the head) over the keys that a row sees."""
        if variant.softcap is not None:
            scores = torch.tanh(scores / variant.softcap) * variant.softcap
        place = torch.arange(scores.shape[1], device=scores.device)
        lengths = self._lengths[:, None]
        seen = place < lengths
        if variant.window:
            seen &= place >= lengths - variant.window
        scores = scores.masked_fill(~seen[:, :, None, None], -torch.inf)
        if variant.sinks is None:
            return scores.softmax(1)
        sinks = variant.sinks.float().view(1, 1, *scores.shape[2:]).expand(len(scores), -1, -1, -1)
        return torch.cat([scores, sinks], dim=1).softmax(1)[:, :-1]


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
        blocks = [cache.unflatten(0, (-1, self._block_size)) for cache in caches]
        layers = dict(zip(self._modules_of_caches, zip(blocks[::2], blocks[1::2], strict=True), strict=True))
        keep = {"logits_to_keep": wanted} if self._keeps_logits else {}
        with attending(RowAttention(layers, slots, tables, positions + 1)):
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
