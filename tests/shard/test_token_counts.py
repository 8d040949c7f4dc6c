"""Every token once, and how often the answer has it."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from shard.sequence import Sampling, Sequence
from shard.token_counts import TokenCounts

tokens = st.lists(st.integers(0, 9), max_size=30)


@given(tokens, tokens)
def test_counts_are_those_of_the_answer_and_tokens_those_of_both(
    prompt: list[int], answer: list[int]
) -> None:
    subject = TokenCounts(prompt)
    for token_id in answer:
        subject.add(token_id)
    assert sorted(subject.token_ids) == sorted({*prompt, *answer})
    counts = Counter(answer)
    assert [counts[token_id] for token_id in subject.token_ids] == subject.counts.tolist()


def test_a_sequence_counts_only_if_it_is_asked_to() -> None:
    assert Sequence([1, 2], max_new_tokens=3).counts is None
    asked = Sequence([1, 2], max_new_tokens=3, sampling=Sampling(presence_penalty=1.0))
    asked.append(2)
    assert asked.counts is not None
    assert asked.counts.counts.tolist() == [0, 1]
