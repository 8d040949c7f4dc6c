"""A watermark in the choice of tokens: found again by counting, invisible to a reader.

Source: Kirchenbauer et al., 2023, "A Watermark for Large Language Models", with TGI's hash and seeding. The
lists come from torch's generator on the CPU, so that they are the same whatever the model runs on: those of
transformers' `WatermarkLogitsProcessor` (lefthash) there, whose detector finds them.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from shard import sequence

HASH_KEY = 15485863
"""A large prime, TGI's."""


def add_watermark(scores: Tensor, sequences: Sequence[sequence.Sequence]) -> None:
    """Raise the logits of the green tokens, in place, in rows of sequences that ask for it.

    Args:
        scores: (sequences, vocabulary), float32.
    """
    for row, each in enumerate(sequences):
        watermark = each.sampling.watermark
        if watermark:
            green = green_list(each.tokens[-1], vocabulary=scores.shape[1], gamma=watermark.gamma)
            scores[row, green.to(scores.device)] += watermark.delta


def green_list(previous: int, *, vocabulary: int, gamma: float) -> Tensor:
    """(int(vocabulary * gamma),) the tokens that are preferred after the token `previous`."""
    generator = torch.Generator().manual_seed(HASH_KEY * previous)
    return torch.randperm(vocabulary, generator=generator)[: int(vocabulary * gamma)]
