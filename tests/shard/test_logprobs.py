"""What the model says about tokens is told as it said it."""

from __future__ import annotations

import pytest
import torch

from shard.logprobs import describe, record_prompt_logprobs
from shard.prompt_logprobs import PromptLogprobs
from shard.sequence import Sequence, Slice

VOCABULARY = 30
LOGITS = torch.randn(3, VOCABULARY, generator=torch.Generator().manual_seed(0)) * 3


def test_each_row_tells_as_many_of_the_likeliest_tokens_as_it_wants() -> None:
    expected = LOGITS.log_softmax(-1)
    described = describe(LOGITS, torch.tensor([4, 5, 6]), [2, 0, 99])
    assert [each.token_id for each in described] == [4, 5, 6]
    assert [each.logprob for each in described] == pytest.approx(expected[range(3), [4, 5, 6]].tolist(), 1e-4)
    assert [len(each.top) for each in described] == [2, 0, VOCABULARY]
    order = expected.argsort(-1, descending=True)
    for row in (0, 2):
        token_ids, logprobs = zip(*described[row].top, strict=True)
        assert list(token_ids) == order[row, : len(token_ids)].tolist()
        assert list(logprobs) == pytest.approx(expected[row, list(token_ids)].tolist(), rel=1e-4)


def test_a_prompt_is_scored_piece_by_piece_up_to_its_last_token() -> None:
    prompt = [3, 1, 4, 1, 5]
    logits = torch.randn(5, VOCABULARY, generator=torch.Generator().manual_seed(1))
    plain = Sequence([7, 8, 9], max_new_tokens=5)
    asked = Sequence(prompt, max_new_tokens=5, prompt_logprobs=True)
    for start, count in ((0, 2), (2, 1), (3, 2)):
        slices = [Slice(plain, 3), Slice(asked, count)]
        scored = slices[1].scored
        assert scored == min(count, 4 - start)
        record_prompt_logprobs(slices, logits[start : start + scored])
        asked.computed += count
    assert asked.prompt_logprobs is not None
    expected = logits[:4].log_softmax(-1)[range(4), prompt[1:]]
    assert asked.prompt_logprobs.values.tolist() == pytest.approx(expected.tolist(), rel=1e-4)
    assert not asked.scores_prompt


def test_prompts_that_are_read_in_one_step_do_not_mix() -> None:
    logits = torch.randn(3, VOCABULARY, generator=torch.Generator().manual_seed(1))
    asked = [Sequence(prompt, max_new_tokens=5, prompt_logprobs=True) for prompt in ([3, 1, 4], [1, 5])]
    record_prompt_logprobs([Slice(each, each.pending) for each in asked], logits)
    expected = logits.log_softmax(-1)[range(3), [1, 4, 5]].tolist()
    assert [
        value for each in asked if each.prompt_logprobs for value in each.prompt_logprobs.values
    ] == pytest.approx(expected, rel=1e-4)


def test_what_is_read_again_is_told_again() -> None:
    subject = PromptLogprobs(4)
    subject.record(0, [1.0, 2.0])
    subject.record(0, [1.5])
    subject.record(1, [2.5, 3.5])
    assert subject.values.tolist() == [1.5, 2.5, 3.5]
    assert subject.complete


def test_a_prompt_of_one_token_has_no_log_probabilities() -> None:
    assert PromptLogprobs(1).complete
    assert not Sequence([1], max_new_tokens=1, prompt_logprobs=True).scores_prompt
