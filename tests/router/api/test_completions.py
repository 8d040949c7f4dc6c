"""OpenAI's completions, in front of real gRPC services with fakes behind them."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from protos import generation_pb2
from protos.errors import GenerationError, InvalidRequestError
from router.api.completions_schema import COMPLETION_EXAMPLES, Completion, CompletionChunk, CompletionRequest

if TYPE_CHECKING:
    from tests.router.conftest import Services

PATIENCE = 10
"""Seconds until a test that waits for something gives up."""


async def complete(client: httpx.AsyncClient, body: Any) -> dict[str, Any]:
    response = await client.post("/v1/completions", json=body)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    Completion.model_validate(answer)
    return answer


async def stream(client: httpx.AsyncClient, body: Any) -> list[dict[str, Any]]:
    """The chunks of a stream that ends as it should."""
    response = await client.post("/v1/completions", json={**body, "stream": True})
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith("text/event-stream")
    *frames, done, rest = response.text.split("\n\n")
    assert (done, rest) == ("data: [DONE]", "")
    chunks = [json.loads(frame.removeprefix("data: ")) for frame in frames]
    for chunk in chunks:
        CompletionChunk.model_validate(chunk)
    return chunks


def error(response: httpx.Response) -> tuple[int, str, str]:
    body = response.json()
    return response.status_code, body["error_type"], body["error"]


async def test_an_answer_has_openai_s_form(client: httpx.AsyncClient) -> None:
    answer = await complete(client, {"model": "dummy", "prompt": "a b"})
    assert answer.pop("id").startswith("cmpl-")
    assert answer.pop("created") > 1_700_000_000
    assert answer == {
        "object": "text_completion",
        "model": "fake/words",
        "system_fingerprint": "1.2.3-native",
        "choices": [{"index": 0, "text": " a b", "logprobs": None, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 2, "completion_tokens": 2, "total_tokens": 4},
    }


async def test_every_answer_has_an_id_of_its_own(client: httpx.AsyncClient) -> None:
    ids = [(await complete(client, {"prompt": "a"}))["id"] for _ in range(2)]
    assert ids[0] != ids[1]


async def test_the_headers_sum_up_the_answers(client: httpx.AsyncClient) -> None:
    body = {"prompt": ["a b", "c"], "n": 2}
    headers = (await client.post("/v1/completions", json=body)).headers
    assert headers["x-compute-type"] == "gpu+optimized"
    assert headers["x-compute-characters"] == "4"
    assert headers["x-prompt-tokens"] == "3"
    assert headers["x-generated-tokens"] == "6"
    assert headers["x-queue-time"] == "1000"
    assert headers["x-inference-time"] == "6000"
    assert headers["x-time-per-token"] == "1000"


async def test_every_prompt_is_answered_n_times(client: httpx.AsyncClient) -> None:
    answer = await complete(client, {"prompt": ["a b", "c"], "n": 2})
    texts = [(choice["index"], choice["text"]) for choice in answer["choices"]]
    assert texts == [(0, " a b"), (1, " a b"), (2, " c"), (3, " c")]
    assert answer["usage"] == {"prompt_tokens": 3, "completion_tokens": 6, "total_tokens": 9}


async def test_the_best_of_several_answers_come_first(client: httpx.AsyncClient, services: Services) -> None:
    answer = await complete(client, {"prompt": "a", "best_of": 3, "n": 2})
    assert [choice["index"] for choice in answer["choices"]] == [0, 1]
    assert answer["usage"]["completion_tokens"] == 3
    assert services.shard.requests[0].n == 3


async def test_the_prompt_can_be_echoed(client: httpx.AsyncClient) -> None:
    body = {"prompt": ["a b", "c"], "echo": True}
    answer = await complete(client, body)
    assert [choice["text"] for choice in answer["choices"]] == ["a b a b", "c c"]
    assert texts(await stream(client, body)) == {0: "a b a b", 1: "c c"}


def texts(chunks: list[dict[str, Any]]) -> dict[int, str]:
    found: dict[int, str] = {}
    for chunk in chunks:
        for choice in chunk["choices"]:
            found[choice["index"]] = found.get(choice["index"], "") + choice["text"]
    return found


LOGPROBS = {
    "tokens": [" a", " b"],
    "token_logprobs": [-0.3, -0.3],
    "top_logprobs": [{"likely": -0.1, " a": -0.3}, {"likely": -0.1, " b": -0.3}],
    "text_offset": [0, 2],
}


async def test_logprobs_tell_each_token_and_its_rivals(client: httpx.AsyncClient) -> None:
    (choice,) = (await complete(client, {"prompt": "a b", "logprobs": 1}))["choices"]
    assert choice["logprobs"] == LOGPROBS
    (choice,) = (await complete(client, {"prompt": "a", "logprobs": 0}))["choices"]
    assert choice["logprobs"]["top_logprobs"] == [{" a": -0.3}]


async def test_logprobs_of_an_echoed_prompt_come_first(client: httpx.AsyncClient) -> None:
    body = {"prompt": "a b", "logprobs": 0, "echo": True}
    (choice,) = (await complete(client, body))["choices"]
    assert choice["logprobs"] == {
        "tokens": ["a", "b", " a", " b"],
        "token_logprobs": [None, -1.5, -0.3, -0.3],
        "top_logprobs": [None, {"b": -1.5}, {" a": -0.3}, {" b": -0.3}],
        "text_offset": [0, 1, 3, 5],
    }
    assert joined(await stream(client, body)) == choice["logprobs"]


def joined(chunks: list[dict[str, Any]]) -> dict[str, list[Any]]:
    pieces = [choice["logprobs"] for chunk in chunks for choice in chunk["choices"]]
    return {name: [each for piece in pieces for each in piece[name]] for name in pieces[0]}


async def test_a_stream_has_a_chunk_for_each_token(client: httpx.AsyncClient) -> None:
    chunks = await stream(client, {"prompt": "a b", "logprobs": 1})
    assert len({chunk["id"] for chunk in chunks}) == 1
    assert [chunk["choices"][0]["text"] for chunk in chunks] == [" a", " b"]
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks] == [None, "stop"]
    assert joined(chunks) == LOGPROBS
    usages = [chunk["usage"] for chunk in chunks]
    assert usages == [None, {"prompt_tokens": 2, "completion_tokens": 2, "total_tokens": 4}]


async def test_a_stream_of_several_prompts_tells_them_apart(client: httpx.AsyncClient) -> None:
    chunks = await stream(client, {"prompt": ["a b", "c"], "n": 2})
    assert texts(chunks) == {0: " a b", 1: " a b", 2: " c", 3: " c"}
    ends = [choice["index"] for chunk in chunks for choice in chunk["choices"] if choice["finish_reason"]]
    assert sorted(ends) == [0, 1, 2, 3]
    assert sum(chunk["usage"] is not None for chunk in chunks) == 4


async def test_the_usage_has_an_event_of_its_own_if_asked_for(client: httpx.AsyncClient) -> None:
    body = {"prompt": ["a b", "c"], "stream_options": {"include_usage": True}}
    *chunks, last = await stream(client, body)
    assert all(chunk["usage"] is None for chunk in chunks)
    assert last["choices"] == []
    assert last["usage"] == {"prompt_tokens": 3, "completion_tokens": 3, "total_tokens": 6}
    without = await stream(client, {"prompt": "a", "stream_options": {"include_usage": False}})
    assert [chunk["usage"] for chunk in without] == [None]


async def test_every_parameter_reaches_the_shard(client: httpx.AsyncClient, services: Services) -> None:
    await complete(
        client,
        {
            "prompt": "a",
            "max_tokens": 7,
            "min_tokens": 1,
            "temperature": 0.5,
            "top_p": 1,
            "top_k": 3,
            "min_p": 0.25,
            "frequency_penalty": -0.5,
            "presence_penalty": 2,
            "repetition_penalty": 1.5,
            "logit_bias": {"5": -100, "6": 1},
            "seed": -1,
            "stop": "x",
            "stop_token_ids": [3],
            "ignore_eos": True,
            "complete": "required",
            "truncate_prompt_tokens": 9,
            "logprobs": 2,
        },
    )
    (request,) = services.shard.requests
    sampling, stopping = request.sampling, request.stopping
    assert (sampling.do_sample, sampling.temperature, sampling.top_p) == (True, 0.5, 1.0)
    assert (sampling.top_k, sampling.min_p, sampling.seed) == (3, 0.25, 2**64 - 1)
    assert (sampling.frequency_penalty, sampling.presence_penalty) == (-0.5, 2.0)
    assert (sampling.repetition_penalty, dict(sampling.logit_bias)) == (1.5, {5: -100.0, 6: 1.0})
    assert (stopping.max_new_tokens, stopping.min_new_tokens) == (7, 1)
    assert (list(stopping.stop), stopping.exclude_stop, list(stopping.stop_tokens)) == (["x"], True, [3])
    assert stopping.ignore_eos
    assert stopping.complete == generation_pb2.COMPLETE_REQUIRED
    assert (request.truncate, request.top_n_tokens, request.prefill_logprobs) == (9, 2, False)


async def test_nulls_and_neutral_values_are_the_same_as_nothing(
    client: httpx.AsyncClient, services: Services
) -> None:
    neutral = {
        "n": 1,
        "best_of": 1,
        "echo": False,
        "frequency_penalty": 0,
        "presence_penalty": 0.0,
        "logit_bias": {},
        "min_p": 0,
        "complete": "auto",
        "stop": [],
        "stream": False,
        "top_k": -1,
        "user": "someone",
        "include_stop_str_in_output": False,
        "response_format": {"type": "text"},
    }
    await complete(client, {"prompt": "a"})
    await complete(client, {**dict.fromkeys(CompletionRequest.model_fields), "prompt": "a"})
    await complete(client, {**neutral, "prompt": "a"})
    first, *others = services.shard.requests
    assert others == [first, first]
    assert first.sampling.do_sample


async def test_temperature_zero_is_greedy(client: httpx.AsyncClient, services: Services) -> None:
    await complete(client, {"prompt": "a", "temperature": 0})
    (request,) = services.shard.requests
    assert not request.sampling.do_sample
    assert not request.sampling.HasField("temperature")


async def test_a_grammar_reaches_the_shard_compiled_for_every_prompt(
    client: httpx.AsyncClient, services: Services
) -> None:
    schema = {"type": "object", "properties": {"z": {"type": "string"}}}
    response_format = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema, "strict": True}}
    await complete(client, {"prompt": ["a", "b"], "response_format": response_format})
    assert services.grammars.requests[0].grammar.json_schema == json.dumps(schema)
    assert services.grammars.requests[0].grammar.strict
    assert [request.automaton_id for request in services.shard.requests] == ["the-id", "the-id"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"prompt": ""}, "`prompt` cannot be empty"),
        ({"prompt": ["a", ""]}, "`prompt` cannot be empty"),
        ({"max_tokens": 0}, "`max_tokens` must be strictly positive"),
        ({"n": 0}, "`n` must be > 0 and <= 16. Given: 0"),
        ({"best_of": 17}, "`best_of` must be > 0 and <= 16. Given: 17"),
        ({"n": 2, "best_of": 1}, "`best_of` must be >= `n`"),
        ({"best_of": 2, "stream": True}, "`best_of` > `n` is not supported when streaming tokens"),
        ({"logprobs": 21}, "`logprobs` must be >= 0 and <= 20. Given: 21"),
        ({"temperature": -0.5}, "`temperature` must be >= 0.0"),
        ({"top_p": 0}, "`top_p` must be > 0.0 and <= 1.0"),
        ({"top_p": 1.5}, "`top_p` must be > 0.0 and <= 1.0"),
        ({"top_k": -2}, "`top_k` must be >= -1"),
        ({"min_p": 1.5}, "`min_p` must be >= 0.0 and <= 1.0"),
        ({"repetition_penalty": 0}, "`repetition_penalty` must be strictly positive"),
        ({"frequency_penalty": 2.5}, "`frequency_penalty` must be >= -2.0 and <= 2.0"),
        ({"presence_penalty": -2.5}, "`presence_penalty` must be >= -2.0 and <= 2.0"),
        ({"logit_bias": {"x": 1}}, "`logit_bias` must name tokens by their numbers"),
        ({"logit_bias": {"4294967296": 1}}, "`logit_bias` must name tokens by their numbers"),
        ({"logit_bias": {"1": 1, "01": 1}}, "`logit_bias` must name each token once"),
        ({"logit_bias": {"1": 101}}, "`logit_bias` must be >= -100 and <= 100"),
        ({"stop": ["a", "b", "c", "d", "e"]}, "`stop` supports up to 4 stop sequences. Given: 5"),
        ({"stop": ""}, "`stop` must not contain an empty string"),
        ({"stream_options": {"include_usage": True}}, "`stream_options` is for streams only"),
        ({"guided_grammar": "root ::= x"}, "`guided_grammar` is not supported"),
    ],
)
async def test_what_breaks_a_rule_is_refused_before_anything_is_generated(
    client: httpx.AsyncClient, services: Services, body: Any, message: str
) -> None:
    response = await client.post("/v1/completions", json={"prompt": "a", **body})
    assert error(response) == (422, "validation", f"Input validation error: {message}")
    assert services.shard.requests == []


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "missing field `prompt`"),
        ({"prompt": []}, "Empty array detected. Do not use an empty array for the prompt."),
        ({"prompt": [1, 2]}, "token ids are not supported"),
        ({"prompt": [[1], [2]]}, "token ids are not supported"),
        ({"prompt": "a", "tools": []}, "unknown field `tools`"),
        ({"prompt": "a", "n": 1.5}, "n: "),
    ],
)
async def test_a_body_of_another_shape_is_refused_by_name(
    client: httpx.AsyncClient, body: Any, message: str
) -> None:
    status, kind, text = error(await client.post("/v1/completions", json=body))
    assert (status, kind) == (422, "validation")
    assert message in text


async def test_what_fails_before_the_first_token_is_told_by_the_status(
    client: httpx.AsyncClient, services: Services
) -> None:
    services.shard.failures = {0: InvalidRequestError("`inputs` is long")}
    for streaming in (False, True):
        for prompt in ("a", ["a", "b"]):
            response = await client.post("/v1/completions", json={"prompt": prompt, "stream": streaming})
            assert error(response) == (422, "validation", "Input validation error: `inputs` is long")
    broken = {"prompt": "a", "stream": True, "guided_json": {"const": "forbidden"}}
    assert (await client.post("/v1/completions", json=broken)).status_code == 422


async def test_what_fails_later_is_an_event(client: httpx.AsyncClient, services: Services) -> None:
    services.shard.failures = {1: GenerationError("out of memory")}
    whole = await client.post("/v1/completions", json={"prompt": "a b"})
    message = "Request failed during generation: Server error: out of memory"
    assert error(whole) == (424, "generation", message)
    for prompt in ("a b", ["a b", "c"]):
        chunks = await failing_stream(client, prompt)
        assert chunks[-1] == {"error": {"message": message, "type": "generation", "http_status_code": 424}}


async def failing_stream(client: httpx.AsyncClient, prompt: Any) -> list[dict[str, Any]]:
    response = await client.post("/v1/completions", json={"prompt": prompt, "stream": True})
    assert response.status_code == 200
    *frames, done, _ = response.text.split("\n\n")
    assert done == "data: [DONE]"
    return [json.loads(frame.removeprefix("data: ")) for frame in frames]


async def test_one_prompt_too_many_for_the_permits_fails_them_all(services: Services) -> None:
    async with services.client(max_concurrent_requests=1) as client:
        for streaming in (False, True):
            body = {"prompt": ["a", "b"], "stream": streaming}
            response = await client.post("/v1/completions", json=body)
            assert error(response) == (429, "overloaded", "Model is overloaded")
        await complete(client, {"prompt": "a"})


async def test_hanging_up_on_a_stream_of_several_prompts_cancels_them(services: Services) -> None:
    services.shard.gate.clear()
    body = {"prompt": ["a b", "c d"], "stream": True}
    async with services.http(max_concurrent_requests=2) as client:
        async with client.stream("POST", "/v1/completions", json=body) as response:
            await anext(response.aiter_lines())
        async with asyncio.timeout(PATIENCE):
            await services.shard.cancelled.wait()
        services.shard.gate.set()
        await complete(client, {"prompt": ["a", "b"]})


@pytest.mark.parametrize("name", COMPLETION_EXAMPLES)
async def test_every_example_works(client: httpx.AsyncClient, name: str) -> None:
    response = await client.post("/v1/completions", json=COMPLETION_EXAMPLES[name]["value"])
    assert response.status_code == 200
    assert '"error"' not in response.text
