"""What the model itself says about tokens, before any parameter changes it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from shard.answer import Sampled
from shard.sequence import Slice

PIECE = 64
"""Rows of a prompt's logits that are read as float32 at a time."""


def describe(logits: Tensor, chosen: Tensor, top_n: Sequence[int]) -> list[Sampled]:
    """The chosen tokens with their log-probabilities and, for rows that want some, the likeliest tokens.

    Args:
        logits: (rows, vocabulary), float32, as the model gave them.
        chosen: (rows,) token ids.
        top_n: (rows,) how many of the likeliest tokens are wanted.
    """
    logprobs = -cross_entropy(logits, chosen, reduction="none")  # in half the time of logsumexp
    # Together, since reading from a GPU waits for it. Whole numbers stay what they are.
    both = torch.stack((chosen.double(), logprobs.double())).tolist()
    told = [(int(token_id), logprob) for token_id, logprob in zip(*both, strict=True)]
    if not any(top_n):
        return [Sampled(*each) for each in told]
    wanting = [row for row, count in enumerate(top_n) if count]
    rows = torch.tensor(wanting).to(logits.device, non_blocking=True)
    values, token_ids = logits[rows].log_softmax(-1).topk(min(max(top_n), logits.shape[1]))
    likeliest = dict(zip(wanting, zip(token_ids.tolist(), values.tolist(), strict=True), strict=True))
    return [
        Sampled(token_id, logprob, _pairs(*likeliest[row], count) if count else ())
        for row, ((token_id, logprob), count) in enumerate(zip(told, top_n, strict=True))
    ]


def _pairs(token_ids: list[int], logprobs: list[float], count: int) -> tuple[tuple[int, float], ...]:
    return tuple(zip(token_ids[:count], logprobs[:count], strict=True))


def record_prompt_logprobs(slices: Iterable[Slice], logits: Tensor) -> None:
    """Give the sequences whose prompts are scored what was found out about them. Call before settling.

    Args:
        slices: as the model read them.
        logits: (tokens that are scored, vocabulary) of all slices, one behind the other.
    """
    for each in slices:
        count = each.scored  # once all is recorded, nothing more is wanted
        if not count or each.sequence.prompt_logprobs is None:
            continue
        start = each.sequence.computed
        targets = torch.tensor(each.sequence.tokens[start + 1 : start + 1 + count], dtype=torch.int64)
        each.sequence.prompt_logprobs.record(
            start, _scores(logits[:count], targets.to(logits.device, non_blocking=True))
        )
        logits = logits[count:]


def _scores(logits: Tensor, targets: Tensor) -> list[float]:
    """(rows,) log-probabilities of one token each."""
    found: list[float] = []
    for rows, tokens in zip(logits.split(PIECE), targets.split(PIECE), strict=True):
        single = rows.float()
        found += (single.gather(-1, tokens[:, None])[:, 0] - single.logsumexp(-1)).tolist()
    return found
