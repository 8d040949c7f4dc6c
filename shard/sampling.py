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
from shard.mask_table import Unpacked
from shard.penalties import add_bias, forbid_the_end, penalise
from shard.watermark import add_watermark

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Apply: TypeAlias = Callable[[Tensor, Sequence[NDArray[np.int32]]], Tensor]


def sample(
    logits: Tensor,
    sequences: Sequence[sequence.Sequence],
    masks: Mapping[sequence.Sequence, NDArray[np.int32]],
    *,
    apply: Apply | None = None,
) -> list[Sampled]:
    """Choose the next token of each sequence.

    Order, as in TGI: watermark, penalties, mask, temperature, top_k, top_p, typical_p; what TGI does not have
    stands where transformers has it: the bias before the penalties, min_p after top_p. A row's token depends
    on nothing but its own logits, parameters, tokens, seed and position in the answer.

    Args:
        logits: (sequences, vocabulary), any float type.
        masks: bits of allowed tokens (see `Constraint.masks`) of the sequences that have any.
        apply: applies masks to as many rows of scores, see `Unpacked.apply`, which it is unless told.
    """
    logits = logits.float()
    scores = _adjusted(logits, sequences)
    scores = _masked(scores, [masks.get(each) for each in sequences], apply or Unpacked().apply)
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


def _masked(scores: Tensor, masks: Sequence[NDArray[np.int32] | None], apply: Apply) -> Tensor:
    """The scores with -inf wherever the row's mask has no bit."""
    rows = [row for row, mask in enumerate(masks) if mask is not None]
    if not rows:
        return scores
    given = [mask for mask in masks if mask is not None]
    if len(rows) == len(masks):
        return apply(scores, given)
    index = torch.tensor(rows).to(scores.device, non_blocking=True)
    return scores.index_copy(0, index, apply(scores[index], given))
