"""What is left of a distribution to draw from: top_k, top_p, min_p and typical_p, in this order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from shard.sequence import Sampling

NUCLEUS = 256
"""Candidates looked at first: often enough, and far cheaper than a sort of the vocabulary."""


class Candidates(NamedTuple):
    """What is left in some rows: one in which nothing is left would not be."""

    rows: Tensor
    """(rows,)"""
    weights: Tensor
    """(rows, width), float64: proportional to the probabilities, 0 for what is not left."""
    token_ids: Tensor
    """(rows, width)"""


def narrows(sampling: Sampling) -> bool:
    """Whether there is less to draw from than the whole vocabulary."""
    return sampling.top_k > 0 or sampling.top_p < 1 or sampling.min_p > 0 or sampling.typical_p < 1


def narrow(scores: Tensor, samplings: Sequence[Sampling]) -> Iterator[Candidates]:
    """What is left of each row, in groups of rows; each row is in one of them.

    As few of the likeliest tokens are looked at as settle a row: how many depends on nothing but the row.

    Args:
        scores: (rows, vocabulary), float32, divided by the temperature.
    """
    vocabulary = scores.shape[1]
    totals = scores.logsumexp(-1, keepdim=True).double()
    waiting = list(range(len(samplings)))
    width = NUCLEUS
    while waiting:
        width = min(width, vocabulary)
        tried = [row for row in waiting if width == vocabulary or _may_suffice(samplings[row], width)]
        if tried:
            rows = torch.tensor(tried).to(scores.device, non_blocking=True)
            typical = any(samplings[row].typical_p < 1 for row in tried)
            limits = _Limits.of([samplings[row] for row in tried], scores.device)
            values, token_ids = scores[rows].topk(width)
            settled, weights = limits.apply(values.double() - totals[rows], typical=typical)
            # A GPU is asked only where it is not plain: asking waits for it.
            plain = width == vocabulary or all(samplings[row].top_k for row in tried)
            done = [True] * len(tried) if plain else settled.tolist()
            places = [place for place, settles in enumerate(done) if settles]
            if len(places) < len(tried):
                index = torch.tensor(places, dtype=torch.int64).to(scores.device, non_blocking=True)
                rows, weights, token_ids = rows[index], weights[index], token_ids[index]
            yield Candidates(rows, weights, token_ids)
            waiting = sorted({*waiting}.difference(tried[place] for place in places))
        width *= 8


def _may_suffice(sampling: Sampling, width: int) -> bool:
    if sampling.top_k:
        return sampling.top_k <= width
    return sampling.top_p < 1 or sampling.min_p > 0


class _Limits(NamedTuple):
    """Parameters of some rows, (rows, 1) each."""

    top_k: Tensor
    top_p: Tensor
    min_p: Tensor
    typical_p: Tensor

    @classmethod
    def of(cls, samplings: Sequence[Sampling], device: torch.device) -> _Limits:
        values = [
            # A sum of probabilities may pass 1 by a rounding error: what is off is out of reach.
            [
                each.top_k or torch.inf,
                each.top_p if each.top_p < 1 else torch.inf,
                each.min_p,
                each.typical_p if each.typical_p < 1 else torch.inf,
            ]
            for each in samplings
        ]
        return cls(*torch.tensor(values, dtype=torch.float64).to(device, non_blocking=True).T[:, :, None])

    def apply(self, logprobs: Tensor, *, typical: bool) -> tuple[Tensor, Tensor]:
        """Which rows are settled by these candidates, and the (rows, width) weights that are left of them.

        top_p keeps the fewest tokens whose probabilities, among those that top_k left, sum to it at least;
        min_p those that are at least so many times as likely as the likeliest one.

        Args:
            logprobs: (rows, width) of the likeliest tokens in the whole vocabulary, descending.
            typical: whether any row is limited by typical_p.
        """
        ranks = torch.arange(logprobs.shape[1], device=logprobs.device)
        logprobs = logprobs.masked_fill(ranks >= self.top_k, -torch.inf)
        limited = self.top_k < torch.inf
        probabilities = (logprobs - logprobs.logsumexp(-1, keepdim=True).where(limited, 0)).exp()
        sums = probabilities.cumsum(-1)
        unlikely = probabilities < self.min_p * probabilities[:, :1]
        settled = limited | (sums[:, -1:] >= self.top_p) | unlikely[:, -1:]
        left = probabilities.masked_fill((sums - probabilities >= self.top_p) | unlikely, 0)
        if typical:
            left = _typical(left, self.typical_p)
        return settled[:, 0], left


def _typical(weights: Tensor, mass: Tensor) -> Tensor:
    """Keep the tokens whose surprise is closest to the entropy, the fewest whose probabilities sum to `mass`.

    Source: Meister et al., 2023, "Locally Typical Sampling"; ties are kept, as in transformers.
    """
    probabilities = weights / weights.sum(-1, keepdim=True)
    surprise = -probabilities.log()
    entropy = (probabilities * surprise).nansum(-1, keepdim=True)
    distance = (surprise - entropy).abs()
    ordered, order = distance.sort(-1)
    sums = probabilities.gather(-1, order).cumsum(-1)
    last = (sums < mass).sum(-1, keepdim=True).clamp(max=weights.shape[1] - 1)
    return weights.masked_fill(distance > ordered.gather(-1, last), 0)
