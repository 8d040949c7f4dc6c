"""From logits to tokens: one vectorised pass over the batch, in float32."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from shard import sequence
from shard.answer import Sampled

if TYPE_CHECKING:
    from numpy.typing import NDArray

NUCLEUS = 256
"""Candidates looked at first where there is top_p and no top_k: often enough, and far cheaper than a sort."""


def sample(
    logits: Tensor,
    sequences: Sequence[sequence.Sequence],
    masks: Mapping[sequence.Sequence, NDArray[np.int32]],
) -> list[Sampled]:
    """Choose the next token of each sequence.

    Order, as in TGI: repetition penalty, mask, temperature, top_k, top_p. A row's token depends on nothing
    but its own logits, parameters, seed and position in the answer.

    Args:
        logits: (sequences, vocabulary), any float type.
        masks: bits of allowed tokens (see `Constraint.mask`) of the sequences that have any.
    """
    logits = logits.float()
    scores = _penalised(logits, sequences)
    scores = _masked(scores, [masks.get(each) for each in sequences])
    chosen = scores.argmax(-1)
    drawing = [row for row, each in enumerate(sequences) if each.sampling.do_sample]
    if drawing:
        rows = torch.tensor(drawing, device=logits.device)
        chosen[rows] = _draw(scores[rows], [sequences[row] for row in drawing])
    logprobs = logits.gather(-1, chosen[:, None])[:, 0] - logits.logsumexp(-1)
    return [Sampled(*pair) for pair in zip(chosen.tolist(), logprobs.tolist(), strict=True)]


def _penalised(logits: Tensor, sequences: Sequence[sequence.Sequence]) -> Tensor:
    """Logits of tokens that occur in prompt or answer, divided by the penalty if positive, else multiplied.

    Source: Keskar et al., 2019 (CTRL), section 4.1, with the sign as in transformers.
    """
    marked = [(row, each) for row, each in enumerate(sequences) if each.sampling.repetition_penalty != 1]
    if not marked:
        return logits
    lengths = [len(each.tokens) for _, each in marked]
    rows = torch.tensor([row for row, _ in marked]).repeat_interleave(torch.tensor(lengths))
    penalties = torch.tensor([each.sampling.repetition_penalty for _, each in marked])
    tokens = torch.from_numpy(np.concatenate([np.asarray(each.tokens) for _, each in marked]))
    rows, tokens = rows.to(logits.device), tokens.to(logits.device, torch.int64)
    penalties = penalties.repeat_interleave(torch.tensor(lengths)).to(logits.device)
    seen = logits[rows, tokens]
    limit = torch.finfo(torch.float32).max  # an extreme penalty must not make an infinity
    seen = torch.where(seen < 0, seen * penalties, seen / penalties).clamp(-limit, limit)
    return logits.index_put((rows, tokens), seen)


def _masked(scores: Tensor, masks: Sequence[NDArray[np.int32] | None]) -> Tensor:
    """The scores with -inf wherever the row's mask has no bit."""
    rows = [row for row, mask in enumerate(masks) if mask is not None]
    if not rows:
        return scores
    packed = np.stack([mask for mask in masks if mask is not None]).view(np.uint8)
    words = torch.from_numpy(packed).to(scores.device)
    bits = torch.tensor([1 << bit for bit in range(8)], dtype=torch.uint8, device=scores.device)
    allowed = (words[:, :, None] & bits).ne(0).flatten(1)[:, : scores.shape[1]]
    if len(rows) == len(masks):
        return scores.masked_fill(~allowed, -torch.inf)
    index = torch.tensor(rows, device=scores.device)
    return scores.index_copy(0, index, scores[index].masked_fill_(~allowed, -torch.inf))


def _draw(scores: Tensor, sequences: Sequence[sequence.Sequence]) -> Tensor:
    """(rows,) tokens drawn by inverting the distribution function at one uniform number a row."""
    parameters = [each.sampling for each in sequences]
    device = scores.device
    temperatures = torch.tensor([each.temperature for each in parameters], device=device)
    scores = (scores - scores.amax(-1, keepdim=True)) / temperatures[:, None]
    uniforms = uniform([each.seed for each in parameters], [each.generated for each in sequences])
    targets = torch.from_numpy(uniforms).to(device)
    tokens = torch.empty(len(sequences), dtype=torch.int64, device=device)
    filtered = torch.tensor([each.top_k > 0 or each.top_p < 1 for each in parameters], device=device)
    free = (~filtered).nonzero()[:, 0]
    if len(free):
        tokens[free] = _invert(scores[free].softmax(-1), targets[free])
    rows = filtered.nonzero()[:, 0]
    if len(rows):
        chosen = [parameters[row] for row in rows.tolist()]
        probabilities, candidates = _filtered(scores[rows], chosen)
        ranks = _invert(probabilities, targets[rows])
        tokens[rows] = candidates.gather(-1, ranks[:, None])[:, 0]
    return tokens


def _filtered(scores: Tensor, parameters: Sequence[sequence.Sampling]) -> tuple[Tensor, Tensor]:
    """(rows, width) weights of the candidates that top_k and top_p leave, the likeliest first, and their ids.

    top_p keeps the fewest tokens whose probabilities, among those that top_k left, sum to it at least.
    """
    vocabulary = scores.shape[1]
    top_k = torch.tensor([min(each.top_k, vocabulary) for each in parameters], device=scores.device)[:, None]
    top_p = torch.tensor([each.top_p for each in parameters], dtype=torch.float64, device=scores.device)[
        :, None
    ]
    top_p = top_p.where(top_p < 1, torch.inf)
    width = min(vocabulary, max(NUCLEUS, int(top_k.max())))
    whole = scores.logsumexp(-1, keepdim=True).double()
    while True:
        values, candidates = scores.topk(width)
        ranks = torch.arange(width, device=scores.device)
        values = values.double().masked_fill((top_k > 0) & (ranks >= top_k), -torch.inf)
        mass = torch.where(top_k > 0, values.logsumexp(-1, keepdim=True), whole)
        probabilities = (values - mass).exp()
        before = probabilities.cumsum(-1) - probabilities
        enough = (top_k > 0) | (probabilities.sum(-1, keepdim=True) >= top_p)
        if width == vocabulary or bool(enough.all()):
            return probabilities.masked_fill(before >= top_p, 0), candidates
        width = min(vocabulary, 8 * width)


def _invert(weights: Tensor, targets: Tensor) -> Tensor:
    """(rows,) the first index at which the sum of the row's weights passes `target` times their total."""
    sums = weights.double().cumsum(-1)
    totals = sums[:, -1]
    thresholds = torch.minimum(targets * totals, totals.nextafter(torch.zeros_like(totals)))
    found = torch.searchsorted(sums, thresholds[:, None], right=True)[:, 0]
    return found.clamp(max=weights.shape[1] - 1)  # only a row that is not a number needs it


def uniform(seeds: Sequence[int], positions: Sequence[int]) -> NDArray[np.float64]:
    """Numbers in [0, 1), one for each pair of a 64-bit seed and a position.

    A function instead of a generator's state: nothing to keep, to restore after a preemption, or to clean
    up. Source: SplitMix64 (Steele, Lea and Flood, 2014), entered at a position, from a mixed seed.
    """
    steps = np.asarray(positions, dtype=np.uint64) + np.uint64(1)
    mixed = _mix(np.asarray(seeds, dtype=np.uint64)) + steps * np.uint64(0x9E3779B97F4A7C15)
    return (_mix(mixed) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
