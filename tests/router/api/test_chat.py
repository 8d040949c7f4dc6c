"""OpenAI's chats, in front of real gRPC services with fakes behind them."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from protos import generation_pb2
from protos.errors import GenerationError, InvalidRequestError
from router.api.chat_bodies import ChatCompletion, ChatCompletionChunk
from router.api.chat_examples import EXAMPLES
from router.api.chat_schema import ChatMessage, ChatRequest, FunctionDefinition

if TYPE_CHECKING:
    from tests.router.conftest import Services

PATIENCE = 10
"""Seconds until a test that waits for something gives up."""

CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = {"type": "function", "function": {"name": "get_weather", "parameters": CITY}}
TIME = {"type": "function", "function": {"name": "get_time"}}
ASKED = {"messages": [{"role": "user", "content": "Where?"}]}
WITH_TOOLS = {**ASKED, "tools": [WEATHER, TIME]}
CALL = ['{"', 'name": "get_weather', '", "parameters": {', '"city": ', '"Köln"', "}}"]
SECOND = ['\n{"name": "get_time", "parameters"', ": {}}"]


async def chat(client: httpx.AsyncClient, body: Any) -> dict[str, Any]:
    response = await client.post("/v1/chat/completions", json=body)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    ChatCompletion.model_validate(answer)
    return answer


async def message(client: httpx.AsyncClient, body: Any) -> tuple[dict[str, Any], str]:
    """The first choice's message and the reason for its end; ids of calls are replaced."""
    choice = (await chat(client, body))["choices"][0]
    for number, call in enumerate(choice["message"].get("tool_calls", [])):
        assert call["id"].startswith("call_")
        call["id"] = str(number)
    return choice["message"], choice["finish_reason"]


async def stream(client: httpx.AsyncClient, body: Any) -> list[dict[str, Any]]:
    """The chunks of a stream that ends as it should."""
    response = await client.post("/v1/chat/completions", json={**body, "stream": True})
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith("text/event-stream")
    *frames, done, rest = response.text.split("\n\n")
    assert (done, rest) == ("data: [DONE]", "")
    chunks = [json.loads(frame.removeprefix("data: ")) for frame in frames]
    for chunk in chunks:
        ChatCompletionChunk.model_validate(chunk)
        assert "usage" in chunk
    return chunks


def error(response: httpx.Response) -> tuple[int, str, str]:
    body = response.json()
    return response.status_code, body["error_type"], body["error"]


def call(name: str, arguments: str, number: int = 0) -> dict[str, Any]:
    return {
        "id": str(number),
        "type": "function",
        "function": {"name": name, "arguments": arguments},
    }


async def test_an_answer_has_openai_s_form(client: httpx.AsyncClient) -> None:
    answer = await chat(client, ASKED)
    assert answer.pop("id").startswith("chatcmpl-")
    assert answer.pop("created") > 1_700_000_000
    assert answer == {
        "object": "chat.completion",
        "model": "fake/words",
        "system_fingerprint": "1.2.3-native",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": " <s><user> Where? <assistant>"},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 3, "completion_tokens": 3, "total_tokens": 6},
    }


async def test_the_template_writes_the_prompt_and_its_special_tokens(
    client: httpx.AsyncClient, services: Services
) -> None:
    parts = [{"type": "text", "text": "What"}, {"type": "text", "text": "?"}]
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": parts}]
    await chat(client, {"messages": messages})
    request = services.shard.requests[0]
    assert request.inputs == "<s><system> Be brief. <user> What? <assistant>"
    assert request.HasField("add_special_tokens")
    assert not request.add_special_tokens


async def test_every_parameter_reaches_the_shard(client: httpx.AsyncClient, services: Services) -> None:
    body = {
        **ASKED,
        "temperature": 0.5,
        "top_p": 0.9,
        "presence_penalty": 1.5,
        "frequency_penalty": -0.5,
        "logit_bias": {"5": -100},
        "seed": 7,
        "stop": "x",
        "max_completion_tokens": 9,
        "logprobs": True,
        "top_logprobs": 2,
        "n": 2,
    }
    await chat(client, body)
    request = services.shard.requests[0]
    sampling, stopping = request.sampling, request.stopping
    assert (sampling.do_sample, sampling.temperature, sampling.seed) == (True, 0.5, 7)
    assert (sampling.presence_penalty, sampling.frequency_penalty) == (1.5, -0.5)
    assert dict(sampling.logit_bias) == {5: -100}
    assert (list(stopping.stop), stopping.exclude_stop, stopping.max_new_tokens) == (["x"], True, 9)
    assert (request.n, request.top_n_tokens) == (2, 2)


async def test_explicit_nulls_are_the_same_as_nothing(client: httpx.AsyncClient) -> None:
    fields = set(ChatRequest.model_fields) - {"messages"}
    said = dict.fromkeys(set(ChatMessage.model_fields) - {"role", "content"})
    nothing = dict.fromkeys(fields)
    body = {**nothing, "messages": [{"role": "user", "content": "Where?", **said}]}
    assert (await chat(client, body))["choices"] == (await chat(client, ASKED))["choices"]


@pytest.mark.parametrize(
    ("asked", "told"),
    [(None, "fake/words"), ("tgi", "fake/words"), ("dummy", "dummy"), ("meta-llama/x", "meta-llama/x")],
)
async def test_any_model_may_be_asked_for(client: httpx.AsyncClient, asked: str | None, told: str) -> None:
    assert (await chat(client, {**ASKED, "model": asked}))["model"] == told


async def test_answers_are_generated_n_times(client: httpx.AsyncClient) -> None:
    answer = await chat(client, {**ASKED, "n": 3})
    assert [choice["index"] for choice in answer["choices"]] == [0, 1, 2]
    assert len({choice["message"]["content"] for choice in answer["choices"]}) == 1
    assert answer["usage"] == {"prompt_tokens": 3, "completion_tokens": 9, "total_tokens": 12}


async def test_log_probabilities_are_told_if_asked_for(client: httpx.AsyncClient) -> None:
    body = {"messages": [{"role": "assistant", "content": "é"}], "logprobs": True, "top_logprobs": 1}
    likely = {"token": "likely", "logprob": -0.1, "bytes": list(b"likely")}
    token = {"token": " é", "logprob": -0.3, "bytes": [32, 195, 169], "top_logprobs": [likely]}
    answer = await chat(client, body)
    assert answer["choices"][0]["logprobs"]["content"][-1] == token
    chunks = await stream(client, body)
    assert chunks[-1]["choices"][0]["logprobs"] == {"content": [token]}


async def test_the_headers_tell_what_it_cost(client: httpx.AsyncClient) -> None:
    headers = (await client.post("/v1/chat/completions", json=ASKED)).headers
    assert headers["x-compute-type"] == "gpu+optimized"
    assert headers["x-compute-characters"] == str(len("<s><user> Where? <assistant>"))
    assert (headers["x-prompt-tokens"], headers["x-generated-tokens"]) == ("3", "3")
    streamed = (await client.post("/v1/chat/completions", json={**ASKED, "stream": True})).headers
    for name in ("x-compute-type", "x-compute-characters"):
        assert streamed[name] == headers[name]


async def test_a_stream_has_openai_s_form(client: httpx.AsyncClient) -> None:
    chunks = await stream(client, ASKED)
    assert len({chunk["id"] for chunk in chunks}) == 1
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert [chunk["usage"] for chunk in chunks] == [None] * 3
    assert [chunk["choices"][0] for chunk in chunks] == [
        {
            "index": 0,
            "delta": {"role": "assistant", "content": " <s><user>"},
            "logprobs": None,
            "finish_reason": None,
        },
        {"index": 0, "delta": {"content": " Where?"}, "logprobs": None, "finish_reason": None},
        {"index": 0, "delta": {"content": " <assistant>"}, "logprobs": None, "finish_reason": "stop"},
    ]


async def test_the_usage_of_a_stream_is_an_event_of_its_own(client: httpx.AsyncClient) -> None:
    body = {**ASKED, "n": 2, "stream_options": {"include_usage": True}}
    *chunks, last = await stream(client, body)
    assert last["choices"] == []
    assert last["usage"] == {"prompt_tokens": 3, "completion_tokens": 6, "total_tokens": 9}
    assert not any(chunk["usage"] for chunk in chunks)
    assert {chunk["choices"][0]["index"] for chunk in chunks} == {0, 1}


async def test_a_call_is_told_in_openai_s_form(client: httpx.AsyncClient, services: Services) -> None:
    services.shard.pieces = CALL
    told, reason = await message(client, WITH_TOOLS)
    assert told == {
        "role": "assistant",
        "content": None,
        "tool_calls": [call("get_weather", '{"city": "Köln"}')],
    }
    assert reason == "tool_calls"


async def test_text_and_several_calls_are_told(client: httpx.AsyncClient, services: Services) -> None:
    services.shard.pieces = ["Let me", " see.\n", *CALL, *SECOND]
    told, _ = await message(client, WITH_TOOLS)
    assert told["content"] == "Let me see."
    assert told["tool_calls"] == [call("get_weather", '{"city": "Köln"}'), call("get_time", "{}", 1)]


async def test_calls_have_ids_of_their_own(client: httpx.AsyncClient, services: Services) -> None:
    services.shard.pieces = [*CALL, *SECOND]
    answers = [(await chat(client, WITH_TOOLS))["choices"][0]["message"] for _ in range(2)]
    assert len({each["id"] for answer in answers for each in answer["tool_calls"]}) == 4


async def test_a_call_is_streamed_as_it_comes(client: httpx.AsyncClient, services: Services) -> None:
    services.shard.pieces = [*CALL, *SECOND]
    choices = [chunk["choices"][0] for chunk in await stream(client, WITH_TOOLS)]
    deltas = [choice["delta"] for choice in choices]
    assert deltas[0].pop("role") == "assistant"
    assert deltas[0].pop("content") is None
    assert all(set(delta) == {"tool_calls"} for delta in deltas)
    calls = [delta["tool_calls"][0] for delta in deltas]
    ids = [each.pop("id") for each in (calls[0], calls[4])]
    assert all(each.startswith("call_") for each in ids)
    assert calls == [
        {"index": 0, "type": "function", "function": {"name": "get_weather", "arguments": "{"}},
        {"index": 0, "function": {"arguments": '"city": '}},
        {"index": 0, "function": {"arguments": '"Köln"'}},
        {"index": 0, "function": {"arguments": "}"}},
        {"index": 1, "type": "function", "function": {"name": "get_time", "arguments": "{}"}},
    ]
    assert [choice["finish_reason"] for choice in choices] == [None] * 4 + ["tool_calls"]


async def test_the_last_event_of_a_call_has_a_piece_of_it_and_the_reason(
    client: httpx.AsyncClient, services: Services
) -> None:
    # Clients of TGI look for the call in every event, those of OpenAI for the reason in the last.
    services.shard.pieces = [*CALL[:-1], "}", "}"]
    *_, last = await stream(client, WITH_TOOLS)
    assert last["choices"][0]["delta"] == {"tool_calls": [{"index": 0, "function": {"arguments": ""}}]}
    assert last["choices"][0]["finish_reason"] == "tool_calls"


async def test_a_call_that_is_cut_off_is_told_as_cut_off(
    client: httpx.AsyncClient, services: Services
) -> None:
    services.shard.finish_reason = generation_pb2.FINISH_REASON_LENGTH
    services.shard.pieces = CALL[:5]
    told, reason = await message(client, WITH_TOOLS)
    assert told["tool_calls"] == [call("get_weather", '{"city": "Köln"')]
    assert reason == "length"
    services.shard.pieces = CALL[:2]
    required = {**WITH_TOOLS, "tool_choice": "required"}
    assert await message(client, required) == ({"role": "assistant", "content": ""}, "length")
    (chunk,) = await stream(client, required)
    assert chunk["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert chunk["choices"][0]["finish_reason"] == "length"


async def test_reasoning_is_told_apart(client: httpx.AsyncClient, services: Services) -> None:
    services.shard.chat_templates["default"] += "{# <think> #}"
    services.shard.pieces = ["<think>", "\nHm", ".\n</think>", "\n\n", "Yes."]
    told, reason = await message(client, ASKED)
    assert told == {"role": "assistant", "content": "Yes.", "reasoning_content": "Hm."}
    assert reason == "stop"
    deltas = [chunk["choices"][0]["delta"] for chunk in await stream(client, ASKED)]
    assert deltas == [
        {"role": "assistant", "content": None, "reasoning_content": "Hm"},
        {"reasoning_content": "."},
        {"content": "Yes."},
    ]


async def test_only_reasoning_is_no_content(client: httpx.AsyncClient, services: Services) -> None:
    services.shard.chat_templates["default"] += "<think>"
    services.shard.finish_reason = generation_pb2.FINISH_REASON_LENGTH
    services.shard.pieces = ["So"]
    told = {"role": "assistant", "content": None, "reasoning_content": "So"}
    assert await message(client, ASKED) == (told, "length")


ONLY_TIME = {"type": "function", "function": {"name": "get_time"}}


def allowed(mode: str, *tools: dict[str, Any]) -> dict[str, Any]:
    return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": tools}}


@pytest.mark.parametrize(
    ("choice", "names", "at_least_one", "once"),
    [
        (None, ["get_weather", "get_time"], False, False),
        ("auto", ["get_weather", "get_time"], False, False),
        ("required", ["get_weather", "get_time"], True, False),
        ("get_time", ["get_time"], True, True),
        ({"type": "function", "function": {"name": "get_time"}}, ["get_time"], True, True),
        ({"function": {"name": "get_time"}}, ["get_time"], True, True),
        (allowed("auto", ONLY_TIME), ["get_time"], False, False),
        (allowed("required", ONLY_TIME), ["get_time"], True, False),
        (
            {"type": "allowed_tools", "mode": "auto", "tools": [{"name": "get_time"}]},
            ["get_time"],
            False,
            False,
        ),
        (
            {
                "type": "allowed_tools",
                "mode": "required",
                "tools": [{"type": "function", "name": "get_time"}],
            },
            ["get_time"],
            True,
            False,
        ),
    ],
)
async def test_the_choice_of_tools_is_a_grammar(
    client: httpx.AsyncClient,
    services: Services,
    choice: Any,
    names: list[str],
    at_least_one: bool,
    once: bool,
) -> None:
    await chat(client, {**WITH_TOOLS, "tool_choice": choice})
    tagged = services.grammars.requests[0].grammar.tagged
    assert [json.loads(tag.begin + "0}")["name"] for tag in tagged.tags] == names
    assert (tagged.at_least_one, tagged.stop_after_first) == (at_least_one, once)
    for name in names:
        assert f'"name": "{name}"' in services.shard.requests[0].inputs
    assert services.shard.requests[0].inputs.count('"name": "get_') == len(names)


async def test_calls_need_not_be_several(client: httpx.AsyncClient, services: Services) -> None:
    await chat(client, {**WITH_TOOLS, "parallel_tool_calls": False})
    assert services.grammars.requests[0].grammar.tagged.stop_after_first


async def test_strictness_is_the_tool_s_own(client: httpx.AsyncClient, services: Services) -> None:
    loose = {"function": {"name": "f", "arguments": CITY, "strict": False}}
    await chat(client, {**ASKED, "tools": [WEATHER, loose]})
    contents = [tag.content for tag in services.grammars.requests[0].grammar.tagged.tags]
    assert [json.loads(content.json_schema) for content in contents] == [CITY, CITY]
    assert [content.HasField("strict") for content in contents] == [False, True]
    assert not contents[1].strict


async def test_with_no_choice_at_all_the_model_knows_of_no_tools(
    client: httpx.AsyncClient, services: Services
) -> None:
    services.shard.pieces = CALL
    told, reason = await message(client, {**WITH_TOOLS, "tool_choice": "none"})
    assert (told["content"], reason) == ("".join(CALL), "stop")
    assert services.grammars.requests == []
    assert services.shard.requests[0].inputs == "<s><user> Where? <assistant>"


async def test_a_conversation_with_calls_goes_on(client: httpx.AsyncClient, services: Services) -> None:
    services.shard.pieces = CALL
    answer = (await chat(client, WITH_TOOLS))["choices"][0]["message"]
    call_id = answer["tool_calls"][0]["id"]
    answered = [*ASKED["messages"], answer, {"role": "tool", "tool_call_id": call_id, "content": "18"}]
    services.shard.pieces = ["18 degrees."]
    told, _ = await message(client, {**WITH_TOOLS, "messages": answered})
    assert told == {"role": "assistant", "content": "18 degrees."}
    assert services.shard.requests[1].inputs.endswith(
        '<assistant> Let me look that up. <user> Result of get_weather with {"city": "Köln"}: 18\n'
        "With this, answer in plain text: Where? <assistant>"
    )


async def test_messages_may_have_what_openai_s_client_adds(client: httpx.AsyncClient) -> None:
    function = {"name": "f", "arguments": {"a": 1}, "description": None, "parsed_arguments": {}}
    said = {
        "role": "assistant",
        "content": None,
        "refusal": None,
        "annotations": [],
        "audio": None,
        "function_call": None,
        "parsed": {"a": 1},
        "reasoning": "Hm",
        "tool_calls": [
            {"id": "0", "type": "function", "function": function, "index": 0},
            {"id": None, "type": None, "function": {"name": "g", "arguments": None}, "index": None},
        ],
    }
    await chat(client, {"messages": [*ASKED["messages"], said, {"role": "tool", "content": "1"}]})


async def test_hints_reach_the_template_and_text_is_the_only_modality(
    client: httpx.AsyncClient, services: Services
) -> None:
    services.shard.chat_templates = {"default": "{{ reasoning_effort }} {{ verbosity }}"}
    hints = {"reasoning_effort": "low", "verbosity": "high", "modalities": ["text"]}
    await chat(client, {**ASKED, **hints, "prompt_cache_retention": "24h"})
    assert services.shard.requests[0].inputs == "low high"
    refused = await client.post("/v1/chat/completions", json={**ASKED, "modalities": ["text", "audio"]})
    assert refused.status_code == 422
    assert "modalities.1" in refused.json()["error"]


async def test_a_response_format_is_a_grammar(client: httpx.AsyncClient, services: Services) -> None:
    for response_format in (
        {"type": "json_schema", "json_schema": {"name": "x", "schema": CITY}},
        {"type": "json_object", "value": CITY},
        {"type": "json_object"},
    ):
        await chat(client, {**ASKED, "response_format": response_format})
    first, second, third = (
        request.grammar for request in services.grammars.requests[:1] * 2 + [services.grammars.requests[-1]]
    )
    assert json.loads(first.json_schema) == json.loads(second.json_schema) == CITY
    assert third.HasField("json_object")
    await chat(client, {**WITH_TOOLS, "response_format": {"type": "text"}})


async def test_a_grammar_begins_behind_the_reasoning(client: httpx.AsyncClient, services: Services) -> None:
    services.shard.chat_templates["default"] += "{# <think> #}"
    services.shard.pieces = ["Hm.", "</think>\n\n", "{}"]
    told, _ = await message(client, {**ASKED, "response_format": {"type": "json_object"}})
    assert told == {"role": "assistant", "content": "{}", "reasoning_content": "Hm."}
    assert services.grammars.requests[0].grammar.tagged.tags[0].begin == "</think>\n\n"


@pytest.mark.parametrize(
    ("fields", "kind", "text"),
    [
        ({"messages": []}, "validation", "messages: List should have at least 1 item"),
        ({"messages": [{"role": "user"}]}, "validation", "messages[0]: missing field `content`"),
        ({"messages": [{"content": "a"}]}, "validation", "messages.0: missing field `role`"),
        ({"messages": [{"role": "user", "content": 5}]}, "validation", "messages.0.content: Input should be"),
        ({"tool_choice": {"type": "function"}}, "validation", "tool_choice: missing field `function`"),
        ({"logit_bias": {"<s>": "x"}}, "validation", "logit_bias.<s>: Input should be"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]},
            "validation",
            "messages.0.content.0: unknown field `image_url`",
        ),
        (
            {
                "messages": [
                    {
                        "role": "user",
                        "content": "a",
                        "tool_calls": [{"function": {"name": "a", "arguments": "{}"}}],
                    }
                ]
            },
            "validation",
            "messages[0]: only an assistant has `tool_calls`",
        ),
        ({"messages": [{"role": "user", "content": "a", "audio": {}}]}, "validation", "audio"),
        ({"functions": []}, "validation", "unknown field `functions`"),
        ({"modalities": ["audio"]}, "validation", "modalities.0: Input should be 'text'"),
        ({"n": 0}, "validation", "`n` must be > 0 and <= 16. Given: 0"),
        ({"top_logprobs": 1}, "validation", "`top_logprobs` is only for `logprobs`: true"),
        ({"logprobs": True, "top_logprobs": 21}, "validation", "`top_logprobs` must be >= 0 and <= 20"),
        ({"max_tokens": 0}, "validation", "`max_tokens` must be strictly positive"),
        ({"max_tokens": 1, "max_completion_tokens": 2}, "validation", "contradict each other"),
        ({"presence_penalty": 3}, "validation", "`presence_penalty` must be >= -2.0 and <= 2.0"),
        ({"chat_template_kwargs": {"messages": []}}, "validation", "must not have `messages`"),
        ({"guided_grammar": "x"}, "validation", "`guided_grammar` is not supported"),
        ({"tools": [], "response_format": {"type": "json_object"}}, "tool_error", "mutually exclusive"),
        ({"tools": [WEATHER], "tool_choice": "nope"}, "tool_error", "Tool with name nope not found"),
        ({"tool_choice": "required"}, "tool_error", "A tool is required, but there are none"),
        (
            {"tools": [WEATHER], "tool_choice": allowed("auto", ONLY_TIME)},
            "tool_error",
            "Tool with name get_time not found",
        ),
        ({"tools": [WEATHER], "tool_choice": allowed("auto")}, "validation", "allowed_tools.tools"),
        ({"tools": [WEATHER], "tool_choice": allowed("none", ONLY_TIME)}, "validation", "allowed_tools.mode"),
        (
            {"tools": [WEATHER], "tool_choice": {"type": "custom", "custom": {"name": "a"}}},
            "validation",
            "tool_choice",
        ),
        ({"tools": [TIME, TIME]}, "tool_error", "Two tools have the name get_time"),
        (
            {"tools": [{"function": {"name": "a", "parameters": {"type": "string"}}}]},
            "tool_error",
            "a: `parameters` must be the schema of an object",
        ),
        ({"tools": [{"function": {"name": ""}}]}, "validation", "tools.0.function.name"),
        ({"tools": [{"type": "web_search", "function": {"name": "a"}}]}, "validation", "tools.0.type"),
    ],
)
async def test_what_cannot_be_done_is_refused_by_name(
    client: httpx.AsyncClient, fields: dict[str, Any], kind: str, text: str
) -> None:
    for streaming in (False, True):
        body = {**ASKED, **fields, "stream": streaming}
        status, error_type, words = error(await client.post("/v1/chat/completions", json=body))
        assert (status, error_type) == (422, kind)
        assert text in words


async def test_a_tool_whose_schema_is_refused_is_named(client: httpx.AsyncClient, services: Services) -> None:
    why = 'keyword "$dynamicRef" is not supported'
    for text in (f"tagged.tags[1].content: {why}", f"grammar: tagged.tags[1].content: {why}"):
        for streaming in (False, True):
            services.grammars.failures.append(InvalidRequestError(text))
            response = await client.post("/v1/chat/completions", json={**WITH_TOOLS, "stream": streaming})
            assert error(response) == (422, "tool_error", f"Tool error: get_time: {why}")


async def test_without_a_template_there_are_no_chats(client: httpx.AsyncClient, services: Services) -> None:
    services.shard.chat_templates.clear()
    response = await client.post("/v1/chat/completions", json=ASKED)
    assert error(response) == (422, "template_error", "Template error: template not found")


async def test_what_the_template_refuses_is_told(client: httpx.AsyncClient, services: Services) -> None:
    services.shard.chat_templates["default"] = "{{ raise_exception('Roles must alternate') }}"
    response = await client.post("/v1/chat/completions", json={**ASKED, "stream": True})
    assert error(response) == (422, "template_error", "Template error: Roles must alternate")


async def test_what_the_shard_refuses_is_told_by_the_status(
    client: httpx.AsyncClient, services: Services
) -> None:
    services.shard.failures[0] = InvalidRequestError("`inputs` must have less than 100 tokens. Given: 101")
    for streaming in (False, True):
        response = await client.post("/v1/chat/completions", json={**ASKED, "stream": streaming})
        assert error(response)[:2] == (422, "validation")


async def test_a_failure_in_a_stream_is_an_event(client: httpx.AsyncClient, services: Services) -> None:
    services.shard.failures[1] = GenerationError("no more")
    response = await client.post("/v1/chat/completions", json={**ASKED, "stream": True})
    *_, failure, done, _ = response.text.split("\n\n")
    assert done == "data: [DONE]"
    assert json.loads(failure.removeprefix("data: "))["error"] == {
        "message": "Request failed during generation: Server error: no more",
        "type": "generation",
        "http_status_code": 424,
    }


@pytest.mark.parametrize("streaming", [False, True])
async def test_a_client_that_hangs_up_ends_the_generation(services: Services, streaming: bool) -> None:
    services.shard.gate.clear()
    async with services.http() as client:
        asking = asyncio.create_task(client.post("/v1/chat/completions", json={**ASKED, "stream": streaming}))
        async with asyncio.timeout(PATIENCE):
            await services.shard.started.wait()
            asking.cancel()
            await services.shard.cancelled.wait()


@pytest.mark.parametrize("name", EXAMPLES)
async def test_every_example_of_the_openapi_document_works(client: httpx.AsyncClient, name: str) -> None:
    response = await client.post("/v1/chat/completions", json=EXAMPLES[name]["value"])
    assert response.status_code == 200
    assert '"error"' not in response.text


@pytest.mark.parametrize("model", [ChatRequest, ChatMessage, FunctionDefinition])
def test_every_field_is_described(model: type[Any]) -> None:
    for name, field in model.model_fields.items():
        assert field.description or name in ("role", "name"), name
