"""Parameters out of range are refused in TGI's words, whoever sends them."""

from __future__ import annotations

import math
from typing import Any

import pytest

from protos import generation_pb2
from protos.errors import InvalidRequestError
from shard.parameters import parse_max_new_tokens, parse_sampling, parse_stop_strings, parse_truncate
from shard.sequence import Sampling


def test_unset_parameters_change_nothing() -> None:
    assert parse_sampling(generation_pb2.Sampling(seed=7)) == Sampling(seed=7)


def test_a_seed_is_drawn_if_none_is_given() -> None:
    seeds = {parse_sampling(generation_pb2.Sampling(do_sample=True)).seed for _ in range(4)}
    assert len(seeds) == 4


def test_top_p_of_1_keeps_everything() -> None:
    assert parse_sampling(generation_pb2.Sampling(top_p=1.0)).top_p == 1


POSITIVE = [
    (name, value)
    for name in ("temperature", "repetition_penalty")
    for value in (0.0, -1.0, math.nan, math.inf)
]


@pytest.mark.parametrize(("name", "value"), [*POSITIVE, ("top_k", 0)])
def test_what_must_be_positive_is_refused_otherwise(name: str, value: float) -> None:
    parameters: dict[str, Any] = {name: value}
    with pytest.raises(InvalidRequestError, match=f"^`{name}` must be strictly positive$"):
        parse_sampling(generation_pb2.Sampling(**parameters))


@pytest.mark.parametrize("value", [0.0, -0.5, 1.5, math.nan])
def test_a_top_p_out_of_range_is_refused(value: float) -> None:
    with pytest.raises(InvalidRequestError, match=r"^`top_p` must be > 0.0 and < 1.0$"):
        parse_sampling(generation_pb2.Sampling(top_p=value))


def test_no_new_tokens_are_refused() -> None:
    with pytest.raises(InvalidRequestError, match=r"^`max_new_tokens` must be strictly positive$"):
        parse_max_new_tokens(generation_pb2.Stopping(max_new_tokens=0))


def test_an_empty_stop_string_is_refused() -> None:
    with pytest.raises(InvalidRequestError, match="empty"):
        parse_stop_strings(generation_pb2.Stopping(stop=["a", ""]))


@pytest.mark.parametrize("value", [0, 11])
def test_a_truncation_out_of_range_is_refused(value: int) -> None:
    with pytest.raises(
        InvalidRequestError,
        match=f"^`truncate` must be strictly positive and less than 10. Given: {value}$",
    ):
        parse_truncate(generation_pb2.GenerateRequest(truncate=value), max_input_tokens=10)
