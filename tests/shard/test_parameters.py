"""Parameters out of range are refused in TGI's words, by name, whoever sends them."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest

from protos import automaton_pb2, generation_pb2
from protos.errors import InvalidRequestError
from shard.deadline import Budget
from shard.parameters import (
    answer_seed,
    parse_adapter,
    parse_budget,
    parse_max_new_tokens,
    parse_min_new_tokens,
    parse_n,
    parse_sampling,
    parse_stop_strings,
    parse_stop_tokens,
    parse_top_n_tokens,
    parse_truncate,
    refuse_contradictions,
)
from shard.sequence import Sampling, Watermark

WATERMARK = Watermark(gamma=0.25, delta=3.0)


def read(**parameters: Any) -> Sampling:
    message = generation_pb2.Sampling(**parameters)
    return parse_sampling(message, watermark=WATERMARK, vocabulary=1000)


def refused(message: str) -> Any:
    return pytest.raises(InvalidRequestError, match=f"^{re.escape(message)}$")


def test_unset_parameters_change_nothing() -> None:
    assert read(seed=7) == Sampling(seed=7)
    assert not read().penalises


def test_a_seed_is_drawn_if_none_is_given() -> None:
    assert len({read(do_sample=True).seed for _ in range(4)}) == 4


def test_every_parameter_is_read() -> None:
    given: dict[str, Any] = {
        "do_sample": True,
        "temperature": 0.5,
        "top_k": 3,
        "top_p": 0.25,
        "min_p": 0.125,
        "typical_p": 0.75,
        "repetition_penalty": 1.5,
        "frequency_penalty": -2.0,
        "presence_penalty": 2.0,
        "seed": 2**64 - 1,
    }
    read_back = read(**given, logit_bias={7: -100.0, 3: 0.5}, watermark=True)
    assert read_back == Sampling(**given, logit_bias=((3, 0.5), (7, -100.0)), watermark=WATERMARK)


@pytest.mark.parametrize("name", ["top_p", "typical_p"])
def test_a_mass_of_1_keeps_everything(name: str) -> None:
    assert read(seed=0, **{name: 1.0}) == Sampling()


POSITIVE = [
    (name, value)
    for name in ("temperature", "repetition_penalty")
    for value in (0.0, -1.0, math.nan, math.inf)
]


@pytest.mark.parametrize(("name", "value"), [*POSITIVE, ("top_k", 0)])
def test_what_must_be_positive_is_refused_otherwise(name: str, value: float) -> None:
    with refused(f"`{name}` must be strictly positive"):
        read(**{name: value})


@pytest.mark.parametrize("name", ["top_p", "typical_p"])
@pytest.mark.parametrize("value", [0.0, -0.5, 1.5, math.nan, math.inf])
def test_a_mass_out_of_range_is_refused(name: str, value: float) -> None:
    with refused(f"`{name}` must be > 0.0 and < 1.0"):
        read(**{name: value})


@pytest.mark.parametrize("value", [-0.5, 1.5, math.nan, math.inf])
def test_a_min_p_out_of_range_is_refused(value: float) -> None:
    with refused("`min_p` must be >= 0.0 and <= 1.0"):
        read(min_p=value)


@pytest.mark.parametrize("name", ["frequency_penalty", "presence_penalty"])
@pytest.mark.parametrize("value", [-2.5, 2.5, math.nan, math.inf, -math.inf])
def test_a_penalty_out_of_range_is_refused(name: str, value: float) -> None:
    with refused(f"`{name}` must be >= -2.0 and <= 2.0"):
        read(**{name: value})


@pytest.mark.parametrize("value", [101.0, -101.0, math.nan, math.inf])
def test_a_bias_out_of_range_is_refused(value: float) -> None:
    with refused(f"`logit_bias` must be >= -100.0 and <= 100.0. Token 3: {value}"):
        read(logit_bias={3: value})


def test_a_bias_of_an_unknown_token_is_refused() -> None:
    with refused("`logit_bias` names token 1000, but there are 1000 tokens"):
        read(logit_bias={999: 1.0, 1000: 1.0})


def test_too_many_biases_are_refused() -> None:
    with refused("`logit_bias` supports up to 1024 tokens. Given: 100000"):
        read(logit_bias=dict.fromkeys(range(100_000), 1.0))


@pytest.mark.parametrize("value", [0, 129, 2**32 - 1])
def test_a_number_of_answers_out_of_range_is_refused(value: int) -> None:
    with refused(f"`n` must be > 0 and <= 128. Given: {value}"):
        parse_n(generation_pb2.GenerateRequest(n=value))


def test_one_answer_is_generated_unless_more_are_asked_for() -> None:
    assert parse_n(generation_pb2.GenerateRequest()) == 1
    assert parse_n(generation_pb2.GenerateRequest(n=128)) == 128


def test_too_many_likeliest_tokens_are_refused() -> None:
    assert parse_top_n_tokens(generation_pb2.GenerateRequest(top_n_tokens=100)) == 100
    with refused("`top_n_tokens` must be >= 0 and <= 100. Given: 101"):
        parse_top_n_tokens(generation_pb2.GenerateRequest(top_n_tokens=101))


def test_the_first_answer_has_the_seed_itself_and_each_other_one_its_own() -> None:
    seeds = [answer_seed(seed, index) for seed in (0, 1, 2**64 - 1) for index in range(100)]
    assert seeds[:200:100] == [0, 1]
    assert len(set(seeds)) == 300
    assert all(0 <= seed < 2**64 for seed in seeds)


def test_no_new_tokens_are_refused() -> None:
    with refused("`max_new_tokens` must be strictly positive"):
        parse_max_new_tokens(generation_pb2.Stopping(max_new_tokens=0))


def test_more_tokens_at_least_than_at_most_are_refused() -> None:
    stopping = generation_pb2.Stopping(min_new_tokens=6)
    assert parse_min_new_tokens(stopping, max_new_tokens=6) == 6
    with refused("`min_new_tokens` must be <= 5. Given: 6"):
        parse_min_new_tokens(stopping, max_new_tokens=5)


@pytest.mark.parametrize(
    ("strings", "message"),
    [
        (["a", ""], "`stop` must not hold an empty string"),
        (["a"] * 65, "`stop` supports up to 64 stop sequences. Given: 65"),
        (["a" * 1001], "`stop` supports strings of up to 1000 characters. Given: 1001"),
    ],
)
def test_stop_strings_out_of_bounds_are_refused(strings: list[str], message: str) -> None:
    with refused(message):
        parse_stop_strings(generation_pb2.Stopping(stop=strings))


def test_stop_tokens_out_of_bounds_are_refused() -> None:
    with refused("`stop_tokens` names token 1000, but there are 1000 tokens"):
        parse_stop_tokens(generation_pb2.Stopping(stop_tokens=[1000]), vocabulary=1000)
    with refused("`stop_tokens` supports up to 64. Given: 65"):
        parse_stop_tokens(generation_pb2.Stopping(stop_tokens=[1] * 65), vocabulary=1000)


@pytest.mark.parametrize("value", [0, 11])
def test_a_truncation_out_of_range_is_refused(value: int) -> None:
    with refused(f"`truncate` must be strictly positive and less than 10. Given: {value}"):
        parse_truncate(generation_pb2.GenerateRequest(truncate=value), max_input_tokens=10)


def test_an_answer_with_a_grammar_cannot_ignore_its_end() -> None:
    stopping = generation_pb2.Stopping(ignore_eos=True)
    refuse_contradictions(generation_pb2.GenerateRequest(stopping=stopping))
    with pytest.raises(InvalidRequestError, match=r"^`ignore_eos` cannot be used with a grammar"):
        refuse_contradictions(
            generation_pb2.GenerateRequest(stopping=stopping, automaton=automaton_pb2.Automaton())
        )


def test_an_adapter_is_one_that_is_loaded() -> None:
    assert parse_adapter(generation_pb2.GenerateRequest(), loaded=()) is None
    assert parse_adapter(generation_pb2.GenerateRequest(adapter_id="a"), loaded={"a"}) == "a"


@pytest.mark.parametrize("name", ["", "b"])
def test_an_adapter_that_is_not_loaded_is_refused_by_name(name: str) -> None:
    with pytest.raises(InvalidRequestError, match=f"`adapter_id` '{name}' is not loaded. .* none"):
        parse_adapter(generation_pb2.GenerateRequest(adapter_id=name), loaded=())


@pytest.mark.parametrize(
    ("complete", "budget"),
    [
        (generation_pb2.COMPLETE_AUTO, Budget(tokens=9)),
        (generation_pb2.COMPLETE_REQUIRED, Budget(tokens=9, required=True)),
        (generation_pb2.COMPLETE_OFF, None),
    ],
)
def test_complete_says_what_becomes_of_an_answer_whose_tokens_run_out(
    complete: generation_pb2.Complete, budget: Budget | None
) -> None:
    stopping = generation_pb2.Stopping(complete=complete)
    request = generation_pb2.GenerateRequest(stopping=stopping, automaton=automaton_pb2.Automaton())
    assert parse_budget(request, max_new_tokens=9) == budget


def test_nothing_but_a_grammar_can_be_required_to_be_matched() -> None:
    stopping = generation_pb2.Stopping(complete=generation_pb2.COMPLETE_REQUIRED)
    with pytest.raises(InvalidRequestError, match=r"^`complete` cannot be required without a grammar$"):
        parse_budget(generation_pb2.GenerateRequest(stopping=stopping), max_new_tokens=9)


def test_a_complete_of_the_future_is_refused() -> None:
    stopping = generation_pb2.Stopping.FromString(b"\x38\x09")
    with pytest.raises(InvalidRequestError, match=r"^`complete` is 9, which is not known$"):
        parse_budget(generation_pb2.GenerateRequest(stopping=stopping), max_new_tokens=9)
