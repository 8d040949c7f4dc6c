"""Random numbers are a function of seed and position, and evenly spread."""

from __future__ import annotations

import numpy as np
import pytest

from shard.drawing import uniform


def test_uniform_numbers_are_uniform() -> None:
    seeds = np.repeat(np.arange(100), 100).tolist()
    positions = np.tile(np.arange(100), 100).tolist()
    numbers = uniform(seeds, positions)
    assert numbers.min() >= 0
    assert numbers.max() < 1
    assert np.histogram(numbers, bins=10, range=(0, 1))[0] == pytest.approx([1000] * 10, abs=120)
    assert len(np.unique(numbers)) == 10000


def test_the_largest_seed_is_a_seed() -> None:
    assert 0 <= uniform([2**64 - 1], [0])[0] < 1
