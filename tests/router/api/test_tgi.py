"""TGI's routes, in front of real gRPC services with fakes behind them."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from protos import generation_pb2
from protos.errors import GenerationError, InvalidRequestError, OverloadedError
from router.api.tgi_schema import StreamResponse

if TYPE_CHECKING:
    from tests.router.conftest import Services

PATIENCE = 10
"""Seconds until a test that waits for something gives up."""


def error(response: httpx.Response) -> tuple[int, str, str]:
    body = response.json()
    assert set(body) == {"error", "error_type"}
    return response.status_code, body["error_type"], body["error"]


def events(text: str) -> list[dict[str, Any]]:
    *frames, rest = text.split("\n\n")
    assert rest == ""
    return [json.loads(frame.removeprefix("data: ")) for frame in frames]


async def test_an_answer_is_its_text(client: httpx.AsyncClient) -> None:
    response = await client.post("/generate", json={"inputs": "un deux"})
    assert response.status_code == 200
    assert response.content == b'{"generated_text":" un deux"}'
    assert response.headers["content-type"] == "application/json"


async def test_the_headers_are_tgi_s(client: httpx.AsyncClient) -> None:
    headers = (await client.post("/generate", json={"inputs": "één twee"})).headers
    assert headers["x-compute-type"] == "gpu+optimized"
    assert headers["x-compute-characters"] == "8"
    assert headers["x-prompt-tokens"] == "2"
    assert headers["x-generated-tokens"] == "2"
    assert float(headers["x-compute-time"]) > 0
    for name in ("total-time", "validation-time", "queue-time", "inference-time", "time-per-token"):
        assert int(headers[f"x-{name}"]) >= 0


async def test_the_times_are_those_of_the_shard(client: httpx.AsyncClient) -> None:
    headers = (await client.post("/generate", json={"inputs": "één twee"})).headers
    times = [headers[f"x-{name}"] for name in ("queue-time", "inference-time", "time-per-token")]
    assert times == ["250", "1500", "750"]


async def test_details_are_byte_for_byte_tgi_s(client: httpx.AsyncClient) -> None:
    body = {"inputs": "a", "parameters": {"do_sample": True, "details": True}}
    assert (await client.post("/generate", json=body)).content == (
        b'{"generated_text":" a","details":{"finish_reason":"eos_token","generated_tokens":1,"seed":42,'
        b'"prefill":[],"tokens":[{"id":10,"text":" a","logprob":-0.3,"special":false}]}}'
    )


async def test_the_prompt_is_told_if_it_is_asked_for(client: httpx.AsyncClient) -> None:
    body = {"inputs": "a b", "parameters": {"decoder_input_details": True}}
    details = (await client.post("/generate", json=body)).json()["details"]
    assert details["prefill"] == [
        {"id": 0, "text": "a", "logprob": None},
        {"id": 1, "text": "b", "logprob": -1.5},
    ]
    assert len(details["tokens"]) == 2


async def test_the_best_of_several_answers_is_told_with_the_others(client: httpx.AsyncClient) -> None:
    body = {"inputs": "a", "parameters": {"do_sample": True, "best_of": 2, "details": True}}
    assert (await client.post("/generate", json=body)).content == (
        b'{"generated_text":" a","details":{"finish_reason":"eos_token","generated_tokens":1,"seed":43,'
        b'"prefill":[],"tokens":[{"id":10,"text":" a","logprob":-0.3,"special":false}],'
        b'"best_of_sequences":[{"generated_text":" a","finish_reason":"eos_token","generated_tokens":1,'
        b'"seed":42,"prefill":[],"tokens":[{"id":10,"text":" a","logprob":-0.3,"special":false}]}]}}'
    )


async def test_the_others_are_whole_answers_too(client: httpx.AsyncClient) -> None:
    parameters = {
        "do_sample": True,
        "best_of": 2,
        "return_full_text": True,
        "decoder_input_details": True,
        "top_n_tokens": 1,
    }
    response = await client.post("/generate", json={"inputs": "a", "parameters": parameters})
    (other,) = response.json()["details"]["best_of_sequences"]
    assert other["generated_text"] == "a a"
    assert other["prefill"] == [{"id": 0, "text": "a", "logprob": None}]
    assert other["top_tokens"][0][0]["text"] == "likely"


async def test_the_likeliest_tokens_are_byte_for_byte_tgi_s(client: httpx.AsyncClient) -> None:
    body = {"inputs": "a", "parameters": {"details": True, "top_n_tokens": 1}}
    whole = await client.post("/generate", json=body)
    assert whole.content.endswith(
        b'"special":false}],"top_tokens":[[{"id":7,"text":"likely","logprob":-0.1,"special":false}]]}}'
    )
    streamed = await client.post("/generate_stream", json=body)
    assert streamed.content.startswith(
        b'data: {"index":1,"token":{"id":10,"text":" a","logprob":-0.3,"special":false},'
        b'"top_tokens":[{"id":7,"text":"likely","logprob":-0.1,"special":false}],"generated_text":" a"'
    )


async def test_every_parameter_of_tgi_reaches_the_shard(
    client: httpx.AsyncClient, services: Services
) -> None:
    parameters = {
        "best_of": 2,
        "temperature": 0.5,
        "repetition_penalty": 1.5,
        "frequency_penalty": -0.5,
        "top_k": 3,
        "top_p": 0.25,
        "typical_p": 0.75,
        "max_new_tokens": 7,
        "stop": ["z"],
        "truncate": 9,
        "watermark": True,
        "decoder_input_details": True,
        "top_n_tokens": 2,
    }
    assert (await client.post("/generate", json={"inputs": "a", "parameters": parameters})).status_code == 200
    (asked,) = services.shard.requests
    assert asked == generation_pb2.GenerateRequest(
        inputs="a",
        sampling=generation_pb2.Sampling(
            do_sample=True,
            temperature=0.5,
            repetition_penalty=1.5,
            frequency_penalty=-0.5,
            top_k=3,
            top_p=0.25,
            typical_p=0.75,
            watermark=True,
        ),
        stopping=generation_pb2.Stopping(max_new_tokens=7, stop=["z"]),
        truncate=9,
        n=2,
        top_n_tokens=2,
        prefill_logprobs=True,
    )


async def test_a_greedy_answer_has_no_seed(client: httpx.AsyncClient) -> None:
    body = {"inputs": "a", "parameters": {"details": True}}
    assert (await client.post("/generate", json=body)).json()["details"]["seed"] is None


async def test_the_full_text_begins_with_the_prompt(client: httpx.AsyncClient) -> None:
    body = {"inputs": "a b", "parameters": {"return_full_text": True}}
    assert (await client.post("/generate", json=body)).json() == {"generated_text": "a b a b"}
    streamed = await client.post("/generate_stream", json=body)
    assert events(streamed.text)[-1]["generated_text"] == "a b a b"


async def test_a_stream_is_byte_for_byte_tgi_s(client: httpx.AsyncClient) -> None:
    body = {"inputs": "a é", "parameters": {"details": True}}
    response = await client.post("/generate_stream", json=body)
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.headers["x-accel-buffering"] == "no"
    assert response.headers["x-compute-type"] == "gpu+optimized"
    assert response.headers["x-compute-characters"] == "3"
    assert response.content.decode() == (
        'data: {"index":1,"token":{"id":10,"text":" a","logprob":-0.3,"special":false},'
        '"generated_text":null,"details":null}\n\n'
        'data: {"index":2,"token":{"id":11,"text":" é","logprob":-0.3,"special":false},'
        '"generated_text":" a é","details":{"finish_reason":"eos_token","generated_tokens":2,"seed":null,'
        '"input_length":2}}\n\n'
    )


async def test_a_stream_has_no_details_unless_asked_for(client: httpx.AsyncClient) -> None:
    response = await client.post("/generate_stream", json={"inputs": "a"})
    assert events(response.text)[-1]["details"] is None


async def test_the_compatible_route_answers_with_a_list_of_the_full_text(client: httpx.AsyncClient) -> None:
    response = await client.post("/", json={"inputs": "a b"})
    assert response.content == b'[{"generated_text":"a b a b"}]'
    assert response.headers["x-generated-tokens"] == "2"
    parameters = {"return_full_text": False, "details": True}
    (answer,) = (await client.post("/", json={"inputs": "a b", "parameters": parameters})).json()
    assert answer["generated_text"] == " a b"
    assert answer["details"]["generated_tokens"] == 2


async def test_the_compatible_route_samples_only_where_generate_does(
    client: httpx.AsyncClient, services: Services
) -> None:
    for parameters in (None, {}, {"temperature": 0.5}):
        for route in ("/", "/generate"):
            await client.post(route, json={"inputs": "a", "parameters": parameters})
    sampled = [request.sampling.do_sample for request in services.shard.requests]
    assert sampled == [True, True, False, False, True, True]


async def test_the_compatible_route_streams_if_asked_to(client: httpx.AsyncClient) -> None:
    for parameters in (None, {"details": True}, {"return_full_text": False}):
        body = {"inputs": "a b", "parameters": parameters, "stream": True}
        response = await client.post("/", json=body)
        full = {**(parameters or {"do_sample": True})}
        full.setdefault("return_full_text", True)
        streamed = await client.post("/generate_stream", json={"inputs": "a b", "parameters": full})
        assert response.content == streamed.content
        assert response.headers["content-type"].startswith("text/event-stream")
        assert "[DONE]" not in response.text
    broken = await client.post("/", json={"inputs": "", "stream": True})
    assert events(broken.text)[-1]["error_type"] == "validation"


async def test_every_event_is_as_documented(client: httpx.AsyncClient) -> None:
    for parameters in ({}, {"details": True, "top_n_tokens": 2}):
        response = await client.post("/generate_stream", json={"inputs": "a b", "parameters": parameters})
        for event in events(response.text):
            assert StreamResponse.model_validate(event).model_dump(exclude_unset=True) == event


@pytest.mark.parametrize(
    ("failure", "status", "kind", "text"),
    [
        (
            InvalidRequestError("`inputs` is long"),
            422,
            "validation",
            "Input validation error: `inputs` is long",
        ),
        (OverloadedError("queue full"), 429, "overloaded", "Model is overloaded"),
        (
            GenerationError("out of memory"),
            424,
            "generation",
            "Request failed during generation: Server error: out of memory",
        ),
    ],
)
@pytest.mark.parametrize("index", [0, 1])
async def test_a_failure_of_the_shard_is_told_on_both_routes(
    client: httpx.AsyncClient,
    services: Services,
    failure: Exception,
    status: int,
    kind: str,
    text: str,
    index: int,
) -> None:
    services.shard.failures = {index: failure}
    assert error(await client.post("/generate", json={"inputs": "a b"})) == (status, kind, text)
    streamed = await client.post("/generate_stream", json={"inputs": "a b"})
    assert streamed.status_code == 200
    told = events(streamed.text)
    assert len(told) == index + 1
    assert told[-1] == {"error": text, "error_type": kind}


async def test_an_answer_that_never_completes_is_incomplete(
    client: httpx.AsyncClient, services: Services
) -> None:
    services.shard.truncated = True
    response = await client.post("/generate", json={"inputs": "a"})
    assert error(response) == (500, "incomplete_generation", "Incomplete generation")
    streamed = await client.post("/generate_stream", json={"inputs": "a"})
    assert events(streamed.text)[-1] == {
        "error": "Incomplete generation stream",
        "error_type": "incomplete_generation_stream",
    }


async def test_a_refused_grammar_is_told_on_both_routes_and_never_reaches_the_shard(
    client: httpx.AsyncClient, services: Services
) -> None:
    body = {"inputs": "a", "parameters": {"grammar": {"type": "json", "value": {"const": "forbidden"}}}}
    text = "Input validation error: grammar is not valid: /properties/a: keyword `forbidden` is not supported"
    assert error(await client.post("/generate", json=body)) == (422, "validation", text)
    streamed = await client.post("/generate_stream", json=body)
    assert streamed.status_code == 200
    assert events(streamed.text) == [{"error": text, "error_type": "validation"}]
    assert services.shard.requests == []


async def test_a_grammar_reaches_the_shard_compiled(client: httpx.AsyncClient, services: Services) -> None:
    schema = {"type": "object", "properties": {"z": {"type": "string"}, "é": {"type": "integer"}}}
    body = {"inputs": "a", "parameters": {"grammar": {"type": "json", "value": schema}}}
    assert (await client.post("/generate", json=body)).status_code == 200
    (compiled,) = services.grammars.requests
    assert compiled.grammar.json_schema == json.dumps(schema, ensure_ascii=False)
    (generated,) = services.shard.requests
    assert generated.automaton.start == 7
    assert generated.automaton_id == "the-id"


@pytest.mark.parametrize("grammar", [None, {"type": "regex", "value": "a"}])
async def test_a_shard_that_is_gone_is_an_error_within_seconds(
    client: httpx.AsyncClient, services: Services, grammar: Any
) -> None:
    await services.stop_shard()
    body = {"inputs": "a", "parameters": {"grammar": grammar}}
    async with asyncio.timeout(PATIENCE):
        response = await client.post("/generate", json=body)
        streamed = await client.post("/generate_stream", json=body)
    text = "Request failed during generation: the shard is unavailable"
    assert error(response) == (424, "generation", text)
    assert events(streamed.text) == [{"error": text, "error_type": "generation"}]


async def test_a_grammar_service_that_is_gone_costs_only_requests_with_a_grammar(
    client: httpx.AsyncClient, services: Services
) -> None:
    await services.stop_grammars()
    body = {"inputs": "a", "parameters": {"grammar": {"type": "regex", "value": "a"}}}
    async with asyncio.timeout(PATIENCE):
        response = await client.post("/generate", json=body)
    text = "Request failed during generation: the grammar service is unavailable"
    assert error(response) == (424, "generation", text)
    assert (await client.post("/generate", json={"inputs": "a"})).status_code == 200


async def test_one_request_too_many_is_refused_on_both_routes(services: Services) -> None:
    services.shard.gate.clear()
    async with services.client(max_concurrent_requests=1) as client:
        first = asyncio.create_task(client.post("/generate", json={"inputs": "a b"}))
        await services.shard.started.wait()
        refused = await client.post("/generate", json={"inputs": "a b"})
        streamed = await client.post("/generate_stream", json={"inputs": "a b"})
        services.shard.gate.set()
        assert (await first).status_code == 200
        assert (await client.post("/generate", json={"inputs": "a b"})).status_code == 200
    assert error(refused) == (429, "overloaded", "Model is overloaded")
    assert streamed.status_code == 200
    assert events(streamed.text) == [{"error": "Model is overloaded", "error_type": "overloaded"}]


async def test_tokens_are_sent_while_the_answer_is_made(services: Services) -> None:
    services.shard.gate.clear()
    async with (
        services.http() as client,
        client.stream("POST", "/generate_stream", json={"inputs": "a b"}) as response,
    ):
        lines = response.aiter_lines()
        assert json.loads((await anext(lines)).removeprefix("data: "))["index"] == 1
        services.shard.gate.set()
        assert [line async for line in lines if line][-1].startswith('data: {"index":2')


async def test_hanging_up_on_a_stream_cancels_the_generation(services: Services) -> None:
    services.shard.gate.clear()
    async with services.http(max_concurrent_requests=1) as client:
        async with client.stream("POST", "/generate_stream", json={"inputs": "a b"}) as response:
            await anext(response.aiter_lines())
        async with asyncio.timeout(PATIENCE):
            await services.shard.cancelled.wait()
        services.shard.gate.set()
        assert (await client.post("/generate", json={"inputs": "a"})).status_code == 200


async def hang_up_on_generate(client: httpx.AsyncClient, body: Any, begun: asyncio.Event) -> None:
    """Send a request and leave once the service behind the router has begun."""
    content = json.dumps(body)
    url = client.base_url
    _, writer = await asyncio.open_connection(url.host, url.port)
    head = "POST /generate HTTP/1.1\r\nhost: x\r\ncontent-type: application/json"
    writer.write(f"{head}\r\ncontent-length: {len(content)}\r\n\r\n{content}".encode())
    async with asyncio.timeout(PATIENCE):
        await begun.wait()
    writer.close()
    await writer.wait_closed()


async def test_hanging_up_on_a_whole_answer_cancels_the_generation(services: Services) -> None:
    services.shard.gate.clear()
    async with services.http(max_concurrent_requests=1) as client:
        await hang_up_on_generate(client, {"inputs": "a b"}, services.shard.started)
        async with asyncio.timeout(PATIENCE):
            await services.shard.cancelled.wait()
        services.shard.gate.set()
        assert (await client.post("/generate", json={"inputs": "a"})).status_code == 200


async def test_hanging_up_cancels_the_compilation(services: Services) -> None:
    services.grammars.gate.clear()
    body = {"inputs": "a", "parameters": {"grammar": {"type": "regex", "value": "a"}}}
    async with services.http() as client:
        await hang_up_on_generate(client, body, services.grammars.started)
        async with asyncio.timeout(PATIENCE):
            await services.grammars.cancelled.wait()
    assert services.shard.requests == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda children: (
        st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=5), children, max_size=3)
    ),
    max_leaves=8,
)
NAMES = ["best_of", "temperature", "frequency_penalty", "top_k", "top_p", "typical_p", "do_sample", "stop"]
MORE = ["max_new_tokens", "truncate", "watermark", "details", "seed", "top_n_tokens", "grammar", "adapter_id"]
GRAMMARS = st.fixed_dictionaries(
    {"type": st.sampled_from(["json", "json_schema", "regex", "choice"]) | JSON, "value": JSON}
)
BODIES = st.fixed_dictionaries(
    {},
    optional={
        "inputs": st.text(max_size=5) | JSON,
        "parameters": st.dictionaries(st.sampled_from([*NAMES, *MORE]), JSON | GRAMMARS, max_size=4) | JSON,
        "stream": JSON,
    },
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    body=st.one_of(BODIES.map(json.dumps).map(str.encode), JSON.map(json.dumps).map(str.encode), st.binary())
)
async def test_no_body_is_a_server_error(client: httpx.AsyncClient, body: bytes) -> None:
    headers = {"content-type": "application/json"}
    for route in ("/generate", "/generate_stream"):
        response = await client.post(route, content=body, headers=headers)
        assert response.status_code in (200, 400, 422)
        if response.status_code != 200:
            assert set(response.json()) == {"error", "error_type"}
