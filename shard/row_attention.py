"""Attention of single tokens over a paged cache, as an operator of torch with a kernel for native code."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from shard.native import Kernel


@torch.library.custom_op("guiderail::row_attention", mutates_args=())
def row_attention(
    query: Tensor,
    keys: Tensor,
    values: Tensor,
    tables: Tensor,
    lengths: Tensor,
    sinks: Tensor | None,
    block_size: int,
    scale: float,
    softcap: float,
    window: int,
) -> Tensor:
    """Each row's attention to the keys of its own block table. What the kernel computes, in plain torch.

    Args:
        query: (rows, heads, width), float32.
        keys: (slots, key heads, width), a cache; heads that share a key lie side by side.
        values: (slots, key heads, value width).
        tables: (rows, blocks) numbers of the blocks that the row reads, int64.
        lengths: (rows,) tokens that the row sees, itself included; at least one. int64.
        sinks: (heads,) logits of a key with no value, float32; or None.
        block_size: slots of a block.
        scale: of the products of queries and keys.
        softcap: which scores stay below, or 0 for none.
        window: the last so many tokens are seen, or 0 for all.

    Returns:
        (rows, heads, value width), float32.
    """
    slots = (tables[:, :, None] * block_size + torch.arange(block_size, device=tables.device)).flatten(1)
    queries = query.unflatten(1, (keys.shape[1], -1))
    scores = torch.einsum("rhgw,rkhw->rhgk", queries, keys[slots].float()) * scale
    if softcap:
        scores = torch.tanh(scores / softcap) * softcap
    place, ends = torch.arange(slots.shape[1], device=slots.device), lengths[:, None]
    seen = place < ends
    if window:
        seen &= place >= ends - window
    scores = scores.masked_fill(~seen[:, None, None], -torch.inf)
    if sinks is not None:
        sink = sinks.view(1, *scores.shape[1:3], 1).expand(len(scores), -1, -1, -1)
        scores = torch.cat([scores, sink], dim=-1)
    weights = scores.softmax(-1)[..., : slots.shape[1]]
    return torch.einsum("rhgk,rkhw->rhgw", weights, values[slots].float()).flatten(1, 2).contiguous()


@row_attention.register_fake
def _shape(query: Tensor, keys: Tensor, values: Tensor, *_: object) -> Tensor:
    return query.new_empty(query.shape[0], query.shape[1], values.shape[2])


KERNEL = Kernel(
    operator=torch.ops.guiderail.row_attention.default,
    source=Path(__file__).with_suffix(".cpp"),
    declaration="""AOTITorchError aoti_torch_cpu_row_attention(
        AtenTensorHandle, AtenTensorHandle, AtenTensorHandle, AtenTensorHandle, AtenTensorHandle,
        AtenTensorHandle*, int64_t, double, double, int64_t, AtenTensorHandle*)""",
)
