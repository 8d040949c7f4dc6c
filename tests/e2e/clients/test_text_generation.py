"""TGI's own client, text-generation 0.7.0: its methods, and what the guidance guide does with them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import jsonschema
import pytest

IPV4 = r"((25[0-5]|2[0-4]\d|[01]?\d\d?)\.){3}(25[0-5]|2[0-4]\d|[01]?\d\d?)"
PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 12}, "cats": {"type": "integer", "maximum": 9}},
    "required": ["name", "cats"],
}
UNIT = {
    "type": "string",
    "enum": ["celsius", "fahrenheit"],
    "description": "The temperature unit to use. Infer this from the users location.",
}
PLACE = {"type": "string", "description": "The city and state, e.g. San Francisco, CA"}
CURRENT = {
    "type": "object",
    "properties": {"location": PLACE, "format": UNIT},
    "required": ["location", "format"],
}
FORECAST = {
    "type": "object",
    "properties": {
        "location": PLACE,
        "format": UNIT,
        "num_days": {"type": "integer", "description": "The number of days to forecast"},
    },
    "required": ["location", "format", "num_days"],
}
PARAMETERS = {"get_current_weather": CURRENT, "get_n_day_weather_forecast": FORECAST}
TOOLS = [
    {"type": "function", "function": {"name": name, "description": "Tell the weather", "parameters": schema}}
    for name, schema in PARAMETERS.items()
]


@pytest.fixture(scope="module")
def answers(told: Callable[[str, dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
    return told("text_generation_client.py", {"ipv4": IPV4, "person": PERSON, "tools": TOOLS})


def test_json_matches_its_schema(answers: dict[str, Any]) -> None:
    person = answers["person"]
    assert person["details"]["finish_reason"] == "eos_token"
    jsonschema.validate(json.loads(person["generated_text"]), PERSON)


def test_a_stream_matches_its_regex(answers: dict[str, Any]) -> None:
    *_, last = answers["events"]
    assert re.fullmatch(IPV4, last["generated_text"], re.ASCII)
    pieces = (event["token"]["text"] for event in answers["events"] if not event["token"]["special"])
    assert "".join(pieces) == last["generated_text"]
    assert last["details"]["generated_tokens"] == len(answers["events"])


def test_the_best_of_two_answers_comes_with_the_other(answers: dict[str, Any]) -> None:
    details = answers["best"]["details"]
    assert details["seed"] is not None
    assert len(details["best_of_sequences"]) == 1
    assert all(len(likeliest) == 2 for likeliest in details["top_tokens"])


def test_a_refusal_is_the_client_s_own_error(answers: dict[str, Any]) -> None:
    assert "`inputs` tokens + `max_new_tokens` must be <=" in answers["refused"]


def test_a_chat_is_answered_in_text(answers: dict[str, Any]) -> None:
    (choice,) = answers["chat"]["choices"]
    assert choice["message"]["content"]
    assert answers["chat"]["usage"]["completion_tokens"] <= 5


def test_the_guide_s_regex_shapes_the_answer(answers: dict[str, Any]) -> None:
    answer = answers["guide_regex"]
    prompt = "".join(token["text"] for token in answer["details"]["prefill"])
    assert prompt == "Whats Googles DNS"
    assert answer["details"]["generated_tokens"] <= 10
    if answer["details"]["finish_reason"] == "eos_token":
        assert re.fullmatch(IPV4, answer["generated_text"], re.ASCII)


def test_the_guide_s_tools_are_called_or_not_as_the_model_likes(answers: dict[str, Any]) -> None:
    (choice,) = answers["guide_tools"]["choices"]
    calls = choice["message"]["tool_calls"]
    assert calls or choice["message"]["content"]
    for call in (calls or [])[: -1 if choice["finish_reason"] == "length" else None]:
        function = call["function"]
        jsonschema.validate(json.loads(function["arguments"]), PARAMETERS[function["name"]])


def test_a_named_tool_is_called(answers: dict[str, Any]) -> None:
    (choice,) = answers["named"]["choices"]
    (call,) = choice["message"]["tool_calls"]
    assert choice["finish_reason"] == "tool_calls"
    jsonschema.validate(json.loads(call["function"]["arguments"]), CURRENT)


def test_an_asynchronous_stream_has_an_event_for_each_token(answers: dict[str, Any]) -> None:
    assert len(answers["async_events"]) == 3
    assert answers["async_events"][-1]["details"]["finish_reason"] == "length"
