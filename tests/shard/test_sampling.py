"""Tokens are chosen as the parameters say, each row for itself."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from shard.sampling import sample
from shard.sequence import Sampling, Sequence, Watermark

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


SMALL = 300

kinds = st.builds(
    Sampling,
    do_sample=st.booleans(),
    temperature=st.sampled_from([1.0, 0.3, 2.0, 30.0]),
    top_k=st.sampled_from([0, 0, 1, 40, 290]),
    top_p=st.sampled_from([1.0, 1.0, 0.6, 0.999]),
    min_p=st.sampled_from([0.0, 0.0, 0.05]),
    typical_p=st.sampled_from([1.0, 1.0, 0.5]),
    repetition_penalty=st.sampled_from([1.0, 1.3]),
    frequency_penalty=st.sampled_from([0.0, -1.0, 0.7]),
    presence_penalty=st.sampled_from([0.0, 1.5]),
    logit_bias=st.sampled_from([(), ((5, 3.0), (290, -100.0))]),
    watermark=st.sampled_from([None, Watermark(gamma=0.3, delta=4.0)]),
    seed=st.integers(0, 2**64 - 1),
    min_new_tokens=st.sampled_from([0, 3, 50]),
    end_ids=st.sampled_from([(), (2, 7)]),
    top_n=st.sampled_from([0, 1, 5]),
)
token_lists = st.lists(st.integers(0, SMALL - 1), min_size=1, max_size=8)
requests = st.tuples(
    kinds, token_lists, st.lists(st.integers(0, SMALL - 1), max_size=8), st.none() | token_lists
)


@given(st.lists(requests, min_size=2, max_size=6), st.integers(0, 10**6))
def test_a_row_is_sampled_the_same_alone_and_in_any_batch(batch: list[Any], seed: int) -> None:
    rows = torch.randn(len(batch), SMALL, generator=torch.Generator().manual_seed(seed)) * 3
    sequences, masks = [], {}
    for kind, prompt, answer, allowed in batch:
        subject = Sequence(prompt, max_new_tokens=100, sampling=kind)
        for token_id in answer:
            subject.append(token_id)
        if allowed:
            masks[subject] = packed(allowed, size=SMALL)
        sequences.append(subject)
    before = rows.clone()
    together = sample(rows, sequences, masks)
    assert torch.equal(rows, before), "the logits are the model's"
    for row, subject in enumerate(sequences):
        (alone,) = sample(rows[row : row + 1], [subject], masks)
        assert alone.token_id == together[row].token_id
        assert alone.logprob == pytest.approx(together[row].logprob)
        assert [each for each, _ in alone.top] == [each for each, _ in together[row].top]
        if subject in masks:
            assert alone.token_id in batch[row][3], "a mask holds whatever the parameters are"


def test_the_end_may_come_early_only_where_a_mask_leaves_nothing_else() -> None:
    row = torch.zeros(1, VOCABULARY)
    row[0, 2] = 50.0
    own = Sampling(min_new_tokens=3, end_ids=(2,))
    bound, free = sequence(own), sequence(own)
    assert sample(row, [bound], {bound: packed([2])})[0].token_id == 2
    for _ in range(3):
        free.append(sample(row, [free], {})[0].token_id)
    assert 2 not in free.tokens[free.input_length :]
    assert sample(row, [free], {})[0].token_id == 2


def test_a_seed_draws_anew_at_each_position() -> None:
    asked = sequence(Sampling(do_sample=True, seed=9))
    row, drawn = torch.zeros(1, VOCABULARY), []
    for _ in range(8):
        drawn.append(sample(row, [asked], {})[0].token_id)
        asked.append(0)
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
