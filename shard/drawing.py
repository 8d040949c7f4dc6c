"""Draws tokens: distributions inverted at random numbers, which are functions of seed and position."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shard import sequence
from shard.warpers import narrow, narrows


def draw(scores: Tensor, sequences: Sequence[sequence.Sequence]) -> Tensor:
    """(rows,) tokens drawn by inverting each row's distribution function at one uniform number.

    Args:
        scores: (rows, vocabulary), float32: logits, before the temperature.
    """
    parameters = [each.sampling for each in sequences]
    device = scores.device
    temperatures = torch.tensor([each.temperature for each in parameters], device=device)
    scores = (scores - scores.amax(-1, keepdim=True)) / temperatures[:, None]
    uniforms = uniform([each.seed for each in parameters], [each.generated for each in sequences])
    targets = torch.from_numpy(uniforms).to(device)
    tokens = torch.empty(len(sequences), dtype=torch.int64, device=device)
    narrowed = [row for row, each in enumerate(parameters) if narrows(each)]
    if len(narrowed) < len(sequences):
        whole = [row for row, each in enumerate(parameters) if not narrows(each)]
        rows = torch.tensor(whole, device=device)
        tokens[rows] = _invert(scores[rows].softmax(-1), targets[rows])
    if narrowed:
        rows = torch.tensor(narrowed, device=device)
        for candidates in narrow(scores[rows], [parameters[row] for row in narrowed]):
            own = rows[candidates.rows]
            ranks = _invert(candidates.weights, targets[own])
            tokens[own] = candidates.token_ids.gather(-1, ranks[:, None])[:, 0]
    return tokens


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
