"""Limits follow from model, cache and settings, and are told in TGI's words."""

from __future__ import annotations

import pytest

from protos.errors import InvalidRequestError
from shard.limits import LimitError, Limits


def choose(
    *,
    max_input: int | None = None,
    max_total: int | None = None,
    model_tokens: int | None = 2048,
    cache_tokens: int = 4096,
) -> Limits:
    return Limits.choose(
        max_input=max_input, max_total=max_total, model_tokens=model_tokens, cache_tokens=cache_tokens
    )


def test_the_model_bounds_what_the_cache_could_hold() -> None:
    assert choose() == Limits(max_input_tokens=2047, max_total_tokens=2048)


def test_the_cache_bounds_what_the_model_could_read() -> None:
    assert choose(cache_tokens=100).max_total_tokens == 100


def test_a_model_without_a_bound_is_bounded_by_the_cache() -> None:
    assert choose(model_tokens=None).max_total_tokens == 4096


@pytest.mark.parametrize(
    "asked", [{"max_total": 3000}, {"max_total": 1000, "cache_tokens": 500}, {"max_input": 2048}]
)
def test_settings_that_cannot_be_kept_are_refused(asked: dict[str, int]) -> None:
    with pytest.raises(LimitError):
        choose(**asked)


LIMITS = Limits(max_input_tokens=80, max_total_tokens=100)


def test_an_answer_of_unset_length_may_fill_the_room() -> None:
    assert LIMITS.max_new_tokens(input_tokens=30, asked=None) == 70


def test_prompt_and_answer_together_are_limited() -> None:
    assert LIMITS.max_new_tokens(input_tokens=30, asked=70) == 70
    with pytest.raises(InvalidRequestError) as error:
        LIMITS.max_new_tokens(input_tokens=30, asked=71)
    assert str(error.value) == (
        "`inputs` tokens + `max_new_tokens` must be <= 100. Given: 30 `inputs` tokens and 71 `max_new_tokens`"
    )


def test_the_prompt_is_limited() -> None:
    with pytest.raises(InvalidRequestError) as error:
        LIMITS.max_new_tokens(input_tokens=81, asked=5)
    assert str(error.value) == "`inputs` must have less than 80 tokens. Given: 81"
