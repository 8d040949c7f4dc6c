"""Tokens are chosen as the parameters say, each row for itself."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from transformers import RepetitionPenaltyLogitsProcessor

from shard.sampling import sample, uniform
from shard.sequence import Sampling, Sequence

VOCABULARY = 1000


def logits(rows: int = 1, *, seed: int = 0) -> torch.Tensor:
    return torch.randn(rows, VOCABULARY, generator=torch.Generator().manual_seed(seed)) * 3


def sequence(sampling: Sampling | None = None, *, prompt: tuple[int, ...] = (1, 2, 3)) -> Sequence:
    return Sequence(prompt, max_new_tokens=100, sampling=sampling)


def choose(row: torch.Tensor, sampling: Sampling) -> int:
    return sample(row, [sequence(sampling)], {})[0].token_id


def many(row: torch.Tensor, *, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0) -> list[int]:
    """Tokens drawn with 4000 seeds."""
    drawn = [
        sequence(Sampling(do_sample=True, seed=seed, temperature=temperature, top_k=top_k, top_p=top_p))
        for seed in range(4000)
    ]
    return [each.token_id for each in sample(row.expand(4000, -1), drawn, {})]


def packed(allowed: list[int], *, size: int = VOCABULARY) -> np.ndarray:
    words = np.zeros(-(-size // 32), dtype=np.uint32)
    for token_id in allowed:
        words[token_id // 32] |= np.uint32(1 << token_id % 32)
    return words.view(np.int32)


def test_greedy_takes_the_likeliest() -> None:
    row = logits()
    assert choose(row, Sampling(temperature=2.0)) == int(row.argmax())


def test_logprobs_are_the_models_own() -> None:
    row = logits()
    asked = sequence(Sampling(do_sample=True, temperature=0.1, top_k=2, repetition_penalty=3.0))
    mask = packed([11, 12, 13])
    sampled = sample(row, [asked], {asked: mask})[0]
    expected = float(row.log_softmax(-1)[0, sampled.token_id])
    assert sampled.logprob == pytest.approx(expected, rel=1e-5)


def test_draws_follow_the_distribution() -> None:
    row = torch.full((1, VOCABULARY), -math.inf)
    row[0, [3, 500, 999]] = torch.tensor([0.5, 0.3, 0.2]).log()
    counts = np.bincount(many(row), minlength=VOCABULARY) / 4000
    assert counts[[3, 500, 999]] == pytest.approx([0.5, 0.3, 0.2], abs=0.03)


def test_temperature_sharpens_the_distribution() -> None:
    row = torch.full((1, VOCABULARY), -math.inf)
    row[0, [3, 4]] = torch.tensor([0.6, 0.4]).log()
    share = many(row, temperature=0.5).count(3) / 4000
    assert share == pytest.approx(0.36 / (0.36 + 0.16), abs=0.03)


@pytest.mark.parametrize("temperature", [1e-45, 1e38])
def test_an_extreme_temperature_still_chooses_a_token(temperature: float) -> None:
    row = logits()
    drawn = set(many(row, temperature=temperature))
    assert drawn == {int(row.argmax())} if temperature < 1 else len(drawn) > VOCABULARY / 2


def test_top_k_keeps_the_k_likeliest() -> None:
    row = logits()
    assert set(many(row, temperature=3.0, top_k=5)) == set(row[0].topk(5).indices.tolist())


def test_top_k_beyond_the_vocabulary_keeps_all() -> None:
    row = logits()
    sampling = Sampling(do_sample=True, seed=5, top_k=10**9)
    assert 0 <= choose(row, sampling) < VOCABULARY


@pytest.mark.parametrize(("top_p", "temperature"), [(0.5, 1.0), (0.9, 1.0), (0.9, 20.0), (1e-6, 1.0)])
def test_top_p_keeps_the_fewest_whose_probabilities_sum_to_it(top_p: float, temperature: float) -> None:
    row = logits()
    probabilities, order = (row[0].double() / temperature).softmax(-1).sort(descending=True)
    kept = int((probabilities.cumsum(0) < top_p).sum()) + 1
    drawn = set(many(row, temperature=temperature, top_p=top_p))
    allowed = order[:kept].tolist()
    assert drawn <= set(allowed)
    assert len(drawn) > 0.4 * kept
    assert kept < 300 or len(drawn) > 256, "a nucleus wider than the first candidates is looked at whole"


def test_top_p_is_taken_of_what_top_k_left() -> None:
    row = torch.full((1, VOCABULARY), -math.inf)
    row[0, :4] = torch.tensor([0.4, 0.3, 0.2, 0.1]).log()
    assert set(many(row, top_k=2, top_p=0.57)) == {0}  # 0.4 / 0.7 = 0.571
    assert set(many(row, top_k=2, top_p=0.58)) == {0, 1}


def test_the_penalty_is_that_of_transformers() -> None:
    row = logits(4)
    prompts = [(1, 2, 2, 3), (int(row[1].argmax()), 5), (0,), tuple(range(900))]
    penalties = [1.5, 8.0, 1.0, 0.5]
    sequences = [
        sequence(Sampling(repetition_penalty=penalty), prompt=prompt)
        for prompt, penalty in zip(prompts, penalties, strict=True)
    ]
    sequences[0].tokens.append(int(row[0].argmax()))  # generated tokens count as well
    expected = [
        RepetitionPenaltyLogitsProcessor(penalty)(
            torch.tensor([list(each.tokens)]), row[index : index + 1].clone()
        ).argmax()
        for index, (each, penalty) in enumerate(zip(sequences, penalties, strict=True))
    ]
    assert [each.token_id for each in sample(row, sequences, {})] == [int(token) for token in expected]


@pytest.mark.parametrize("penalty", [1e-38, 1e38])
def test_an_extreme_penalty_still_chooses_a_token(penalty: float) -> None:
    sampled = choose(logits(), Sampling(do_sample=True, repetition_penalty=penalty))
    assert 0 <= sampled < VOCABULARY


@pytest.mark.parametrize("do_sample", [False, True])
def test_only_tokens_of_the_mask_are_chosen(do_sample: bool) -> None:
    row = logits(3)
    free, narrow, wide = (sequence(Sampling(do_sample=do_sample, seed=seed)) for seed in range(3))
    masks = {narrow: packed([31]), wide: packed([32, 999, 63])}
    chosen = [each.token_id for each in sample(row, [free, narrow, wide], masks)]
    assert chosen[1] == 31
    assert chosen[2] in (32, 999, 63)
    assert do_sample or chosen[0] == int(row[0].argmax())


def test_masks_wider_than_the_vocabulary_are_cut() -> None:
    row = torch.zeros(1, 33)
    asked = sequence()
    assert sample(row, [asked], {asked: packed([32], size=33)})[0].token_id == 32


def test_a_row_draws_the_same_whatever_else_is_in_the_batch() -> None:
    rows = logits(5)
    kinds = [
        Sampling(do_sample=True, seed=3),
        Sampling(do_sample=True, seed=4, top_p=0.9),
        Sampling(do_sample=True, seed=5, top_k=400, top_p=0.99, temperature=2.0),
        Sampling(),
        Sampling(do_sample=True, seed=6, top_p=0.999, temperature=30.0),
    ]
    together = sample(rows, [sequence(kind) for kind in kinds], {})
    alone = [sample(rows[row : row + 1], [sequence(kind)], {})[0] for row, kind in enumerate(kinds)]
    assert [each.token_id for each in together] == [each.token_id for each in alone]


def test_a_seed_draws_anew_at_each_position() -> None:
    asked = sequence(Sampling(do_sample=True, seed=9))
    row, drawn = torch.zeros(1, VOCABULARY), []
    for _ in range(8):
        drawn.append(sample(row, [asked], {})[0].token_id)
        asked.tokens.append(0)
    assert len(set(drawn)) == 8


def test_an_output_that_is_not_a_number_shows_in_the_logprob() -> None:
    rows = logits(2)
    rows[0, 5] = math.nan
    kinds = [Sampling(do_sample=True, top_p=0.5), Sampling()]
    broken, sound = sample(rows, [sequence(kind) for kind in kinds], {})
    assert math.isnan(broken.logprob)
    assert sound.token_id == int(rows[1].argmax())


def test_bfloat16_is_sampled_in_float32() -> None:
    row = logits().bfloat16()
    sampled = sample(row, [sequence()], {})[0]
    assert sampled.logprob == pytest.approx(float(row.float().log_softmax(-1).max()), rel=1e-6)


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
