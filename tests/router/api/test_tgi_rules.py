"""TGI's rules: every message, and what is left of a request that breaks none."""

from __future__ import annotations

from typing import Any

import pytest
from grpc import StatusCode
from pydantic import ValidationError

from router.api.tgi_rules import Limits, to_generation
from router.api.tgi_schema import GenerateParameters, GenerateRequest
from router.errors import RequestError
from router.grammar import Regex
from router.request import GenerationRequest, Sampling

LIMITS = Limits(max_best_of=2, max_stop_sequences=4, max_top_n_tokens=5)


def read(parameters: Any = None, *, streaming: bool = False, **body: Any) -> GenerationRequest:
    given = {"inputs": "test", "parameters": parameters, **body}
    return to_generation(GenerateRequest.model_validate(given), limits=LIMITS, streaming=streaming)


def refusal(parameters: Any = None, **options: Any) -> str:
    with pytest.raises(RequestError) as raised:
        read(parameters, **options)
    assert raised.value.code is StatusCode.INVALID_ARGUMENT
    return raised.value.detail


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"best_of": 0}, "`best_of` must be > 0 and <= 2. Given: 0"),
        ({"best_of": 3, "do_sample": True}, "`best_of` must be > 0 and <= 2. Given: 3"),
        ({"best_of": 2}, "you must use sampling when `best_of` is > 1"),
        ({"best_of": 2, "do_sample": True, "seed": 0}, "`seed` must not be set when `best_of` > 1"),
        ({"temperature": 0}, "`temperature` must be strictly positive"),
        ({"temperature": 0.0}, "`temperature` must be strictly positive"),
        ({"temperature": -1.0}, "`temperature` must be strictly positive"),
        ({"temperature": 1e-60}, "`temperature` must be strictly positive"),
        ({"repetition_penalty": 0.0}, "`repetition_penalty` must be strictly positive"),
        ({"repetition_penalty": -2.0}, "`repetition_penalty` must be strictly positive"),
        ({"frequency_penalty": 2.1}, "`frequency_penalty` must be >= -2.0 and <= 2.0"),
        ({"frequency_penalty": -2.1}, "`frequency_penalty` must be >= -2.0 and <= 2.0"),
        ({"top_p": 0.0}, "`top_p` must be > 0.0 and < 1.0"),
        ({"top_p": 1.0}, "`top_p` must be > 0.0 and < 1.0"),
        ({"top_p": 0.99999999999}, "`top_p` must be > 0.0 and < 1.0"),
        ({"typical_p": 0.0}, "`typical_p` must be > 0.0 and < 1.0"),
        ({"typical_p": 1.0}, "`typical_p` must be > 0.0 and < 1.0"),
        ({"top_k": 0}, "`top_k` must be strictly positive"),
        ({"top_k": -1}, "`top_k` must be strictly positive"),
        ({"max_new_tokens": 0}, "`max_new_tokens` must be strictly positive"),
        ({"stop": ["a", "b", "c", "d", "e"]}, "`stop` supports up to 4 stop sequences. Given: 5"),
        ({"stop": ["a", ""]}, "`stop` must not contain an empty string"),
        ({"top_n_tokens": 6}, "`top_n_tokens` must be >= 0 and <= 5. Given: 6"),
        ({"grammar": {"type": "json", "value": [1, 2]}}, "grammar is not supported"),
    ],
)
def test_what_tgi_refuses_is_refused_in_its_words(parameters: Any, message: str) -> None:
    assert refusal(parameters) == message


def test_ranges_are_checked_in_tgi_s_order() -> None:
    wrong: dict[str, Any] = {
        "best_of": 9,
        "temperature": 0.0,
        "repetition_penalty": 0.0,
        "frequency_penalty": 3.0,
        "top_p": 1.0,
        "typical_p": 1.0,
        "top_k": 0,
        "max_new_tokens": 0,
        "stop": ["x"] * 5,
        "top_n_tokens": 6,
    }
    for name in list(wrong):
        assert f"`{name}`" in refusal(wrong, inputs="")
        del wrong[name]
    assert refusal({}, inputs="") == "`inputs` cannot be empty"


def test_inputs_must_not_be_empty() -> None:
    assert refusal({}, inputs="") == "`inputs` cannot be empty"


def test_best_of_can_be_switched_off() -> None:
    body = GenerateRequest.model_validate({"inputs": "x", "parameters": {"best_of": 2}})
    with pytest.raises(RequestError, match="`best_of` != 1 is not allowed for this endpoint"):
        to_generation(body, limits=LIMITS._replace(max_best_of=1), streaming=False)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"best_of": 0}, "`best_of` != 1 is not supported when streaming tokens"),
        ({"best_of": 2}, "`best_of` != 1 is not supported when streaming tokens"),
        (
            {"decoder_input_details": True},
            "`decoder_input_details` == true is not supported when streaming tokens",
        ),
    ],
)
def test_streams_refuse_what_only_whole_answers_have(parameters: Any, message: str) -> None:
    assert refusal(parameters, streaming=True) == message


def test_stream_must_agree_with_the_route() -> None:
    assert "/generate_stream" in refusal({}, stream=True)
    assert "/generate" in refusal({}, stream=False, streaming=True)
    for agreeing in (None, False):
        assert read({}, stream=agreeing)
    for agreeing in (None, True):
        assert read({}, stream=agreeing, streaming=True)


@pytest.mark.parametrize("streaming", [False, True])
def test_neutral_values_change_nothing(streaming: bool) -> None:
    nulls = dict.fromkeys(GenerateParameters.model_fields)
    neutral = {
        "best_of": 1,
        "watermark": False,
        "frequency_penalty": 0,
        "top_n_tokens": 0,
        "do_sample": False,
        "details": False,
        "decoder_input_details": False,
        "return_full_text": False,
        "stop": [],
    }
    plain = GenerationRequest(inputs="test")
    assert read({}, streaming=streaming) == plain
    assert read(nulls, streaming=streaming) == plain
    options = {"use_cache": False}
    assert read({**nulls, **neutral}, streaming=streaming, model="anything", options=options) == plain


def test_sampling_is_on_if_there_are_no_parameters_at_all() -> None:
    sampled = GenerationRequest(inputs="test", sampling=Sampling(do_sample=True))
    assert read(None) == sampled
    left_out = GenerateRequest.model_validate({"inputs": "test"})
    assert to_generation(left_out, limits=LIMITS, streaming=False) == sampled


@pytest.mark.parametrize(
    "parameters",
    [{"do_sample": True}, {"temperature": 1.0}, {"top_k": 1}, {"top_p": 0.5}, {"typical_p": 0.5}],
)
def test_any_parameter_of_sampling_turns_it_on(parameters: Any) -> None:
    assert read(parameters).sampling.do_sample


def test_a_seed_alone_does_not_turn_sampling_on() -> None:
    assert read({"seed": 2**64 - 1}).sampling == Sampling(seed=2**64 - 1)


def test_best_of_generates_so_many_answers() -> None:
    assert read({"best_of": 2, "do_sample": True}).n == 2


def test_every_supported_parameter_is_handed_on() -> None:
    wanted = read(
        {
            "temperature": 0.5,
            "repetition_penalty": 1.5,
            "top_k": 3,
            "top_p": 0.25,
            "typical_p": 0.75,
            "frequency_penalty": -2.0,
            "watermark": True,
            "top_n_tokens": 5,
            "decoder_input_details": True,
            "max_new_tokens": 2**32 - 1,
            "stop": ["a", "b"],
            "truncate": 9,
            "seed": 0,
            "grammar": {"type": "regex", "value": "a+"},
            "adapter_id": "poems",
            "complete": "required",
        }
    )
    assert wanted == GenerationRequest(
        inputs="test",
        sampling=Sampling(
            do_sample=True,
            temperature=0.5,
            top_k=3,
            top_p=0.25,
            typical_p=0.75,
            repetition_penalty=1.5,
            frequency_penalty=-2.0,
            watermark=True,
            seed=0,
        ),
        top_n_tokens=5,
        prefill_logprobs=True,
        max_new_tokens=2**32 - 1,
        stop=("a", "b"),
        truncate=9,
        grammar=Regex(pattern="a+"),
        adapter_id="poems",
        complete="required",
    )


def test_options_of_hosted_models_change_nothing_and_others_are_refused_by_name() -> None:
    options = {"use_cache": False, "wait_for_model": True, "use_gpu": None}
    assert read(options=options) == read()
    with pytest.raises(ValidationError, match="unknown field `compress`"):
        read(options={"compress": True})
