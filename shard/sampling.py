"""From logits to tokens: one vectorised pass over the batch, in float32."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import torch
from torch import Tensor

from shard import sequence
from shard.answer import Sampled
from shard.drawing import draw
from shard.logprobs import describe
from shard.mask_table import stacked
from shard.penalties import add_bias, forbid_the_end, penalise
from shard.watermark import add_watermark

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Gather: TypeAlias = Callable[[Sequence[NDArray[np.int32]]], Tensor]


def sample(
    logits: Tensor,
    sequences: Sequence[sequence.Sequence],
    masks: Mapping[sequence.Sequence, NDArray[np.int32]],
    *,
    gather: Gather = stacked,
) -> list[Sampled]:
    """Choose the next token of each sequence.

    Order, as in TGI: watermark, penalties, mask, temperature, top_k, top_p, typical_p; what TGI does not have
    stands where transformers has it: the bias before the penalties, min_p after top_p. A row's token depends
    on nothing but its own logits, parameters, tokens, seed and position in the answer.

    Args:
        logits: (sequences, vocabulary), any float type.
        masks: bits of allowed tokens (see `Constraint.masks`) of the sequences that have any.
        gather: gives masks as one tensor, (masks, bytes).
    """
    logits = logits.float()
    scores = _adjusted(logits, sequences)
    scores = _masked(scores, [masks.get(each) for each in sequences], gather)
    forbid_the_end(scores, sequences)
    chosen = scores.argmax(-1)
    drawing = [row for row, each in enumerate(sequences) if each.sampling.do_sample]
    if drawing:
        rows = torch.tensor(drawing).to(logits.device, non_blocking=True)
        chosen[rows] = draw(scores[rows], [sequences[row] for row in drawing])
    return describe(logits, chosen, [each.sampling.top_n for each in sequences])


def _adjusted(logits: Tensor, sequences: Sequence[sequence.Sequence]) -> Tensor:
    """The logits with what the sequences ask for; a copy only if one of them asks for something."""
    if not any(_adjusts(each) for each in sequences):
        return logits
    scores = logits.clone()
    add_watermark(scores, sequences)
    add_bias(scores, sequences)
    penalise(scores, sequences)
    return scores


def _adjusts(each: sequence.Sequence) -> bool:
    own = each.sampling
    waits = each.generated < own.min_new_tokens
    return waits or own.penalises or bool(own.logit_bias) or own.watermark is not None


def _masked(scores: Tensor, masks: Sequence[NDArray[np.int32] | None], gather: Gather) -> Tensor:
    """The scores with -inf wherever the row's mask has no bit."""
    rows = [row for row, mask in enumerate(masks) if mask is not None]
    if not rows:
        return scores
    words = gather([mask for mask in masks if mask is not None]).to(scores.device, non_blocking=True)
    bits = torch.tensor([1 << bit for bit in range(8)], dtype=torch.uint8).to(
        scores.device, non_blocking=True
    )
    allowed = (words[:, :, None] & bits).ne(0).flatten(1)[:, : scores.shape[1]]
    if len(rows) == len(masks):
        return scores.masked_fill(~allowed, -torch.inf)
    index = torch.tensor(rows).to(scores.device, non_blocking=True)
    return scores.index_copy(0, index, scores[index].masked_fill_(~allowed, -torch.inf))
