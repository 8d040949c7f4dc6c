"""Random numbers are a function of seed and position, and evenly spread."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from shard.drawing import draw, uniform
from shard.sequence import Sampling, Sequence


def test_uniform_numbers_are_uniform() -> None:
    seeds = np.repeat(np.arange(100), 100).tolist()
    positions = np.tile(np.arange(100), 100).tolist()
    numbers = uniform(seeds, positions, count=1)
    assert numbers.min() >= 0
    assert numbers.max() < 1
    assert np.histogram(numbers, bins=10, range=(0, 1))[0] == pytest.approx([1000] * 10, abs=120)
    assert len(np.unique(numbers)) == 10000


def test_the_numbers_of_one_pair_are_as_good() -> None:
    numbers = uniform([3, 4], [0, 0], count=5000)
    assert np.histogram(numbers, bins=10, range=(0, 1))[0] == pytest.approx([1000] * 10, abs=120)
    assert len(np.unique(numbers)) == 10000
    assert abs(np.asarray(np.corrcoef(numbers))[0, 1]) < 0.05


@pytest.mark.parametrize("top_k", [0, 700])
def test_rounding_errors_of_the_logits_change_next_to_no_draw(top_k: int) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(4000, 1000, generator=generator)
    errors = 1e-5 * torch.randn(4000, 1000, generator=generator)
    sequences = [
        Sequence([1], max_new_tokens=1, sampling=Sampling(do_sample=True, seed=seed, top_k=top_k))
        for seed in range(4000)
    ]
    assert (draw(logits, sequences) != draw(logits + errors, sequences)).sum() <= 1


def test_the_largest_seed_is_a_seed() -> None:
    assert 0 <= uniform([2**64 - 1], [0], count=1)[0, 0] < 1
