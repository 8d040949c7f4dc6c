"""Draws tokens: races between them, with random numbers that are functions of seed and position."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import pad

from shard import sequence
from shard.warpers import Candidates, narrow, narrows

GAMMA = np.uint64(0x9E3779B97F4A7C15)
GROUP = 256
"""Tokens that race among themselves."""


def draw(scores: Tensor, sequences: Sequence[sequence.Sequence]) -> Tensor:
    """(rows,) tokens, each as likely as its share of its row says.

    The largest of log-probabilities with Gumbel noise is distributed as they say (Gumbel, 1954). Groups of
    tokens race first, then the tokens of the group that won: that takes few random numbers. A sum of
    probabilities inverted at one would be simpler, but its thousands of thresholds all move with a rounding
    error, and one draw in 400 of float32 logits with it: an answer must not depend on how many rows were
    computed at once.

    Args:
        scores: (rows, vocabulary), float32: logits, before the temperature.
    """
    parameters = [each.sampling for each in sequences]
    device = scores.device
    temperatures = torch.tensor([each.temperature for each in parameters]).to(device, non_blocking=True)
    scores = (scores - scores.amax(-1, keepdim=True)) / temperatures[:, None]
    groups = -(-scores.shape[1] // GROUP)
    seeds, positions = [each.seed for each in parameters], [each.generated for each in sequences]
    noise = torch.from_numpy(-np.log(-np.log(uniform(seeds, positions, count=groups + GROUP)))).to(
        device, non_blocking=True
    )
    tokens = torch.empty(len(sequences), dtype=torch.int64, device=device)
    narrowed = [row for row, each in enumerate(parameters) if narrows(each)]
    if len(narrowed) < len(sequences):
        whole = [row for row, each in enumerate(parameters) if not narrows(each)]
        rows = torch.tensor(whole).to(device, non_blocking=True)
        tokens[rows] = _winners(scores[rows], noise[rows])
    if narrowed:
        rows = torch.tensor(narrowed).to(device, non_blocking=True)
        for candidates in narrow(scores[rows], [parameters[row] for row in narrowed]):
            own = rows[candidates.rows]
            tokens[own] = _winners_among(candidates, noise[own])
    return tokens


def _winners(scores: Tensor, noise: Tensor) -> Tensor:
    """(rows,) tokens. `noise` is that of the groups, then that of the tokens in their groups."""
    rows, vocabulary = scores.shape
    groups = noise.shape[1] - GROUP
    grouped = pad(scores, (0, groups * GROUP - vocabulary), value=-torch.inf).view(rows, groups, GROUP)
    group = (grouped.logsumexp(-1) + noise[:, :groups]).argmax(-1)
    members = grouped[torch.arange(rows, device=scores.device), group]
    winner = group * GROUP + (members + noise[:, groups:]).argmax(-1)
    return winner.clamp(max=vocabulary - 1)  # only a row that is not a number needs it


def _winners_among(candidates: Candidates, noise: Tensor) -> Tensor:
    """The same where only candidates are left of the rows."""
    _, weights, token_ids = candidates
    groups = noise.shape[1] - GROUP
    group_of = token_ids // GROUP
    sums = torch.zeros_like(noise[:, :groups]).scatter_add(-1, group_of, weights)
    group = (sums.log() + noise[:, :groups]).argmax(-1, keepdim=True)
    members = weights.log().masked_fill(group_of != group, -torch.inf)
    winner = (members + noise[:, groups:].gather(-1, token_ids % GROUP)).argmax(-1, keepdim=True)
    return token_ids.gather(-1, winner)[:, 0]


def uniform(seeds: Sequence[int], positions: Sequence[int], *, count: int) -> NDArray[np.float64]:
    """(pairs, count) numbers in (0, 1), `count` for each pair of a 64-bit seed and a position.

    A function instead of a generator's state: nothing to keep, to restore after a preemption, or to clean
    up. Source: SplitMix64 (Steele, Lea and Flood, 2014), entered at a position, from a mixed seed; what it
    gives there is the seed of the pair's own numbers.
    """
    steps = np.asarray(positions, dtype=np.uint64) + np.uint64(1)
    own = _mix(_mix(np.asarray(seeds, dtype=np.uint64)) + steps * GAMMA)
    numbers = _mix(own[:, None] + np.arange(1, count + 1, dtype=np.uint64) * GAMMA)
    return ((numbers >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52


def _mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
