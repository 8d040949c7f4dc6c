"""Penalties and biases, against transformers' own and by their formulas."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import (
    MinNewTokensLengthLogitsProcessor,
    RepetitionPenaltyLogitsProcessor,
    SequenceBiasLogitsProcessor,
)

from shard.penalties import add_bias, forbid_the_end, penalise
from shard.sequence import Sampling, Sequence

VOCABULARY = 50

prompts = st.lists(st.integers(0, VOCABULARY - 1), min_size=1, max_size=20)
answers = st.lists(st.integers(0, VOCABULARY - 1), max_size=20)


def logits(seed: int, rows: int = 1) -> torch.Tensor:
    return torch.randn(rows, VOCABULARY, generator=torch.Generator().manual_seed(seed)) * 3


def sequence(prompt: list[int], answer: list[int], **sampling: Any) -> Sequence:
    subject = Sequence(prompt, max_new_tokens=100, sampling=Sampling(**sampling))
    for token_id in answer:
        subject.append(token_id)
    return subject


@given(prompts, answers, st.floats(0.1, 10), st.integers(0, 1000))
def test_the_repetition_penalty_is_that_of_transformers(
    prompt: list[int], answer: list[int], penalty: float, seed: int
) -> None:
    scores = logits(seed)
    expected = RepetitionPenaltyLogitsProcessor(penalty)(torch.tensor([prompt + answer]), scores.clone())
    penalise(scores, [sequence(prompt, answer, repetition_penalty=penalty)])
    assert torch.allclose(scores, expected, rtol=1e-5)


@given(prompts, answers, st.floats(-2, 2), st.floats(-2, 2), st.integers(0, 1000))
def test_frequency_and_presence_penalties_count_the_answer_alone(
    prompt: list[int], answer: list[int], frequency: float, presence: float, seed: int
) -> None:
    scores = logits(seed)
    expected = scores.clone()
    for token_id in set(answer):
        expected[0, token_id] -= frequency * answer.count(token_id) + presence
    penalise(scores, [sequence(prompt, answer, frequency_penalty=frequency, presence_penalty=presence)])
    assert torch.allclose(scores, expected, atol=1e-4)


def test_an_extreme_penalty_makes_no_infinity() -> None:
    for penalty in (1e-38, 1e38):
        scores = logits(0)
        penalise(scores, [sequence(list(range(VOCABULARY)), [], repetition_penalty=penalty)])
        assert bool(scores.isfinite().all())


@given(st.dictionaries(st.integers(0, VOCABULARY - 1), st.floats(-100, 100), max_size=9), st.integers(0, 99))
def test_the_bias_is_that_of_transformers(bias: dict[int, float], seed: int) -> None:
    scores = logits(seed)
    expected = scores.clone()
    if bias:
        expected = SequenceBiasLogitsProcessor([[[each], value] for each, value in bias.items()])(
            torch.tensor([[1]]), expected
        )
    add_bias(scores, [sequence([1], [], logit_bias=tuple(bias.items()))])
    assert torch.allclose(scores, expected, rtol=1e-5)


@pytest.mark.parametrize("length", [0, 4, 5, 6])
def test_the_end_is_forbidden_as_long_as_in_transformers(length: int) -> None:
    scores = logits(1)
    answer = [9] * length
    expected = MinNewTokensLengthLogitsProcessor(2, 5, [3, 7], device="cpu")(
        torch.tensor([[1, 2, *answer]]), scores.clone()
    )
    forbid_the_end(scores, [sequence([1, 2], answer, min_new_tokens=5, end_ids=(3, 7))])
    assert torch.equal(scores, expected)
    assert (scores[0, 3] == -math.inf) == (length < 5)


def test_where_nothing_else_is_left_the_end_is_allowed() -> None:
    scores = torch.full((2, VOCABULARY), -math.inf)
    scores[0, 3] = scores[1, 3] = scores[1, 4] = 0.0
    forbid_the_end(scores, [sequence([1], [], min_new_tokens=5, end_ids=(3, 7)) for _ in range(2)])
    assert [row.isfinite().nonzero()[:, 0].tolist() for row in scores] == [[3], [4]]


def test_rows_that_ask_for_nothing_are_left_alone() -> None:
    scores = logits(2, rows=3)
    before = scores.clone()
    asked = sequence([1, 2], [4, 4], repetition_penalty=2.0, logit_bias=((8, 1.0),), presence_penalty=1.0)
    sequences = [sequence([1], [5]), asked, sequence([1], [5])]
    add_bias(scores, sequences)
    penalise(scores, sequences)
    forbid_the_end(scores, sequences)
    assert torch.equal(scores[[0, 2]], before[[0, 2]])
    assert (scores[1] != before[1]).nonzero()[:, 0].tolist() == [1, 2, 4, 8]
