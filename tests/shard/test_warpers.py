"""What is left to draw from, against transformers' own warpers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import (
    LogitsProcessor,
    MinPLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
    TypicalLogitsWarper,
)

from shard.sequence import Sampling
from shard.warpers import narrow, narrows

VOCABULARY = 700
EDGE = 1e-5
"""How far apart two sums of probabilities may be by rounding: what lies between may be left or not."""

WARPERS: dict[str, Callable[[float], LogitsProcessor]] = {
    "top_k": lambda value: TopKLogitsWarper(int(value)),
    "top_p": TopPLogitsWarper,
    "min_p": MinPLogitsWarper,
    "typical_p": TypicalLogitsWarper,
}


def logits(seed: int, *, scale: float = 3.0, rows: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, VOCABULARY, generator=generator) * scale


def left(scores: torch.Tensor, samplings: list[Sampling]) -> torch.Tensor:
    """(rows, vocabulary) what is left of the probabilities."""
    whole = torch.zeros(scores.shape, dtype=torch.float64)
    rows: list[int] = []
    for found in narrow(scores, samplings):
        rows += found.rows.tolist()
        weights = found.weights / found.weights.sum(-1, keepdim=True)
        whole[found.rows] = torch.zeros_like(whole[found.rows]).scatter(1, found.token_ids, weights)
    assert sorted(rows) == list(range(len(samplings)))
    return whole


def warped(scores: torch.Tensor, **parameters: float) -> torch.Tensor:
    """What transformers leaves, in its order."""
    scores = scores.double()
    for name, warper in WARPERS.items():
        if name in parameters:
            scores = warper(parameters[name])(torch.tensor([[1]]), scores)
    return scores.softmax(-1)


SEEDS, SCALES = st.integers(0, 10**6), st.sampled_from([0.1, 1.0, 3.0, 10.0])


@given(SEEDS, SCALES, st.sampled_from([1, 2, 50, 255, 256, 257, 699, 700]))
def test_top_k_is_that_of_transformers(seed: int, scale: float, top_k: int) -> None:
    scores = logits(seed, scale=scale)
    expected = warped(scores, top_k=top_k)
    found = left(scores, [Sampling(top_k=top_k)])
    assert int((found > 0).sum()) == top_k
    assert torch.allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize(("name", "low", "high"), [("top_p", 1, 1), ("min_p", -1, -1), ("typical_p", 1, 1)])
@given(seed=SEEDS, scale=SCALES, value=st.floats(0.01, 0.99))
def test_each_limit_is_that_of_transformers(
    name: str, low: int, high: int, seed: int, scale: float, value: float
) -> None:
    scores = logits(seed, scale=scale)
    kept = left(scores, [Sampling(**{name: value})])[0] > 0  # type: ignore[arg-type]
    least = warped(scores, **{name: value - low * EDGE})[0] > 0
    most = warped(scores, **{name: value + high * EDGE})[0] > 0
    assert bool((least <= kept).all())
    assert bool((kept <= most).all())


@given(seed=SEEDS, scale=SCALES)
def test_all_limits_together_are_taken_in_the_order_of_transformers(seed: int, scale: float) -> None:
    parameters: dict[str, Any] = {"top_k": 90, "top_p": 0.85, "min_p": 0.03, "typical_p": 0.6}
    scores = logits(seed, scale=scale)
    expected, found = warped(scores, **parameters)[0], left(scores, [Sampling(**parameters)])[0]
    assert int(((expected > 0) != (found > 0)).sum()) <= 2  # those at the edges of a sum
    both = (expected > 0) & (found > 0)
    ratio = found[both] / expected[both]
    assert torch.allclose(ratio, ratio[0].expand_as(ratio), rtol=1e-4)


def test_limits_that_are_off_narrow_nothing() -> None:
    assert not narrows(Sampling(temperature=0.5, repetition_penalty=2.0))
    for parameters in ({"top_k": 1}, {"top_p": 0.9}, {"min_p": 0.1}, {"typical_p": 0.9}):
        assert narrows(Sampling(**parameters))


limits = st.builds(
    Sampling,
    top_k=st.sampled_from([0, 0, 1, 300]),
    top_p=st.sampled_from([1.0, 0.5, 0.999]),
    min_p=st.sampled_from([0.0, 0.0, 0.01]),
    typical_p=st.sampled_from([1.0, 1.0, 0.5]),
)


@given(SEEDS, st.lists(limits.filter(narrows), min_size=1, max_size=6))
def test_a_row_is_narrowed_the_same_whatever_else_is_there(seed: int, samplings: list[Sampling]) -> None:
    scores = logits(seed, rows=len(samplings))
    together = left(scores, samplings)
    for row, own in enumerate(samplings):
        assert torch.equal(together[row : row + 1], left(scores[row : row + 1], [own]))
