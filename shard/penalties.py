"""Makes some tokens likelier or less likely: those that there are already, or those that the caller names.

Every function changes `scores`, (sequences, vocabulary) float32, in place, in the rows that ask for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import numpy as np
import torch
from torch import Tensor

from shard import sequence


def add_bias(scores: Tensor, sequences: Sequence[sequence.Sequence]) -> None:
    """Add each caller's own bias to the logits of the tokens that it names."""
    biased = [(row, each.sampling.logit_bias) for row, each in enumerate(sequences)]
    rows = [row for row, bias in biased for _ in bias]
    if not rows:
        return
    token_ids, values = zip(*chain.from_iterable(bias for _, bias in biased), strict=True)
    index = torch.tensor([rows, token_ids]).to(scores.device, non_blocking=True)
    scores[index[0], index[1]] += torch.tensor(values).to(scores.device, non_blocking=True)


def penalise(scores: Tensor, sequences: Sequence[sequence.Sequence]) -> None:
    """Repetition, frequency and presence penalties.

    The first divides a positive logit of a token in prompt or answer, and multiplies a negative one (Keskar
    et al., 2019 (CTRL), section 4.1, with the sign as in transformers). The others are subtracted for tokens
    of the answer, once for each time and once in all (as OpenAI defines them; TGI refers to that too, but
    divides the counts by the length of the whole batch, which makes an answer depend on others).
    """
    marked = [
        (row, each.counts, each.sampling) for row, each in enumerate(sequences) if each.counts is not None
    ]
    if not marked:
        return
    lengths = torch.tensor([len(counts.token_ids) for _, counts, _ in marked])
    parameters = torch.tensor(
        [[own.repetition_penalty, own.frequency_penalty, own.presence_penalty] for _, _, own in marked]
    )
    repetition, frequency, presence = (
        parameters.repeat_interleave(lengths, 0).to(scores.device, non_blocking=True).T
    )
    rows = (
        torch.tensor([row for row, _, _ in marked])
        .repeat_interleave(lengths)
        .to(scores.device, non_blocking=True)
    )
    token_ids = _concatenated([counts.token_ids for _, counts, _ in marked]).to(
        scores.device, non_blocking=True
    )
    times = _concatenated([counts.counts for _, counts, _ in marked]).to(scores.device, non_blocking=True)
    seen = scores[rows, token_ids]
    seen = torch.where(seen < 0, seen * repetition, seen / repetition)
    seen -= frequency * times + presence * times.clamp(max=1)
    limit = torch.finfo(torch.float32).max  # an extreme penalty must not make an infinity
    scores[rows, token_ids] = seen.clamp(-limit, limit)


def forbid_the_end(scores: Tensor, sequences: Sequence[sequence.Sequence]) -> None:
    """Set tokens that would end an answer too early to -inf, unless nothing else is left to choose."""
    early = [row for row, each in enumerate(sequences) if each.generated < each.sampling.min_new_tokens]
    rows = [place for place, row in enumerate(early) for _ in sequences[row].sampling.end_ids]
    if not rows:
        return
    token_ids = list(chain.from_iterable(sequences[row].sampling.end_ids for row in early))
    index = torch.tensor([rows, token_ids]).to(scores.device, non_blocking=True)
    places = torch.tensor(early).to(scores.device, non_blocking=True)
    before = scores[places]
    after = before.index_put(
        (index[0], index[1]), torch.tensor(-torch.inf).to(scores.device, non_blocking=True)
    )
    scores[places] = after.where(after.amax(-1, keepdim=True) > -torch.inf, before)


def _concatenated(parts: Sequence[object]) -> Tensor:
    return torch.from_numpy(np.concatenate([np.asarray(part) for part in parts]))
