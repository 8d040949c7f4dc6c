"""Conversations with the real model: what is promised of their form, whatever the model chooses to say."""

from __future__ import annotations

import json
from typing import Any

import httpx
import jsonschema
import pytest

from benchmarks.tool_calls import whole

PLACE = {
    "$defs": {"unit": {"enum": ["celsius", "fahrenheit"]}},
    "type": "object",
    "properties": {
        "location": {"type": "string", "maxLength": 20},
        "format": {"$ref": "#/$defs/unit"},
        "days": {"type": "array", "items": {"type": "integer", "minimum": 1, "maximum": 7}, "maxItems": 3},
    },
    "required": ["location", "format", "days"],
}
WEATHER = {
    "type": "function",
    "function": {"name": "get_weather", "description": "Get the weather", "parameters": PLACE},
}
TIME = {"type": "function", "function": {"name": "get_time"}}
ASKED = {"role": "user", "content": "What is the weather like in New York?"}
NAMED = {"type": "function", "function": {"name": "get_weather"}}


def chat(client: httpx.Client, **body: Any) -> dict[str, Any]:
    """The first choice of an answer."""
    response = client.post("/v1/chat/completions", json={"messages": [ASKED], "max_tokens": 150, **body})
    assert response.status_code == 200, response.text
    choice: dict[str, Any] = response.json()["choices"][0]
    return choice


def test_a_question_is_answered_in_text(client: httpx.Client) -> None:
    asked = {"role": "user", "content": "What is the capital of France?"}
    choice = chat(client, messages=[asked], temperature=0, max_tokens=20)
    assert "Paris" in choice["message"]["content"]


@pytest.mark.parametrize("choice", ["get_weather", NAMED])
@pytest.mark.parametrize("seed", [1, 2])
def test_the_arguments_of_a_named_tool_match_its_schema(client: httpx.Client, choice: Any, seed: int) -> None:
    answer = chat(client, tools=[WEATHER, TIME], tool_choice=choice, seed=seed, temperature=1)
    assert answer["finish_reason"] == "tool_calls"
    assert answer["message"]["content"] is None
    (call,) = answer["message"]["tool_calls"]
    assert call["function"]["name"] == "get_weather"
    jsonschema.validate(json.loads(call["function"]["arguments"]), PLACE)


def test_a_required_call_is_made(client: httpx.Client) -> None:
    answer = chat(client, tools=[TIME], tool_choice="required", parallel_tool_calls=False)
    (call,) = answer["message"]["tool_calls"]
    assert call["function"] == {"name": "get_time", "arguments": "{}"}


@pytest.mark.parametrize("choice", ["auto", None])
def test_the_model_chooses_between_text_and_calls(client: httpx.Client, choice: str | None) -> None:
    message = chat(client, tools=[WEATHER, TIME], tool_choice=choice, seed=3, max_tokens=40)["message"]
    assert message["content"] or message["tool_calls"]


def test_a_stream_puts_together_the_same_call(client: httpx.Client) -> None:
    body = {"tools": [WEATHER], "tool_choice": NAMED, "temperature": 0}
    expected = chat(client, **body)["message"]["tool_calls"]
    streamed = {"messages": [ASKED], "max_tokens": 150, "stream": True, **body}
    response = client.post("/v1/chat/completions", json=streamed)
    calls, reason = whole(response.text.splitlines())
    assert [call["function"] for call in calls] == [call["function"] for call in expected]
    assert reason == "tool_calls"
    assert response.text.endswith("data: [DONE]\n\n")


def test_a_result_is_answered(client: httpx.Client) -> None:
    function = {"name": "get_time", "arguments": "{}"}
    call = {"id": "call_0", "type": "function", "function": function}
    messages = [
        {"role": "user", "content": "What time is it?"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_0", "content": "It is noon."},
    ]
    message = chat(client, messages=messages, tools=[TIME], temperature=0, max_tokens=40)["message"]
    assert message["content"] or message["tool_calls"]


def test_a_schema_shapes_the_answer(client: httpx.Client) -> None:
    named = {"name": "place", "strict": True, "schema": PLACE}
    choice = chat(client, response_format={"type": "json_schema", "json_schema": named}, seed=5)
    assert choice["finish_reason"] == "stop"
    jsonschema.validate(json.loads(choice["message"]["content"]), PLACE)


def test_all_parameters_together_are_served(client: httpx.Client) -> None:
    body = {
        "messages": [ASKED],
        "max_tokens": 5,
        "n": 2,
        "seed": 7,
        "temperature": 0.7,
        "top_p": 0.9,
        "stop": ["."],
        "presence_penalty": 1.5,
        "frequency_penalty": 0.5,
        "logit_bias": {"1": -100},
        "logprobs": True,
        "top_logprobs": 2,
    }
    first, second = (client.post("/v1/chat/completions", json=body).json() for _ in range(2))
    assert first["choices"] == second["choices"]
    assert [choice["index"] for choice in first["choices"]] == [0, 1]
    for choice in first["choices"]:
        tokens = choice["logprobs"]["content"]
        assert "".join(token["token"] for token in tokens).startswith(choice["message"]["content"])
        assert all(len(token["top_logprobs"]) == 2 for token in tokens)
    assert first["usage"]["completion_tokens"] <= 10
