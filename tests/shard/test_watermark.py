"""The watermark is the one that transformers makes and finds."""

from __future__ import annotations

from typing import Any

import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import LlamaConfig, WatermarkDetector, WatermarkingConfig, WatermarkLogitsProcessor

from shard.sampling import sample
from shard.sequence import Sampling, Sequence, Watermark
from shard.watermark import HASH_KEY, add_watermark

VOCABULARY = 400
STRONG = Watermark(gamma=0.5, delta=2.0)


@given(st.integers(0, VOCABULARY - 1), st.sampled_from([0.1, 0.25, 0.5, 0.9]), st.floats(0.5, 5))
def test_the_green_tokens_are_those_of_transformers(previous: int, gamma: float, delta: float) -> None:
    scores = torch.randn(1, VOCABULARY, generator=torch.Generator().manual_seed(previous))
    processor = WatermarkLogitsProcessor(
        VOCABULARY, "cpu", greenlist_ratio=gamma, bias=delta, hashing_key=HASH_KEY
    )
    expected = processor(torch.tensor([[5, previous]]), scores.clone())
    own = Sampling(watermark=Watermark(gamma=gamma, delta=delta))
    add_watermark(scores, [Sequence([5, previous], max_new_tokens=1, sampling=own)])
    assert torch.allclose(scores, expected)


def test_a_marked_answer_is_told_from_one_that_is_not() -> None:
    config = WatermarkingConfig(greenlist_ratio=0.5, bias=2.0, hashing_key=HASH_KEY)
    detector: Any = WatermarkDetector(LlamaConfig(vocab_size=VOCABULARY, bos_token_id=0), "cpu", config)
    answers = []
    for watermark in (None, STRONG):
        subject = Sequence(
            [1], max_new_tokens=150, sampling=Sampling(do_sample=True, seed=3, watermark=watermark)
        )
        for _ in range(150):
            subject.append(sample(torch.zeros(1, VOCABULARY), [subject], {})[0].token_id)
        answers.append(subject.tokens.tolist())
    found = detector(torch.tensor(answers), return_dict=True)
    assert found.prediction.tolist() == [False, True]
