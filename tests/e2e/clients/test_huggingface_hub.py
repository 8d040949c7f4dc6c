"""Hugging Face's client of today: huggingface_hub.InferenceClient."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
from huggingface_hub import AsyncInferenceClient, InferenceClient
from huggingface_hub.errors import HfHubHTTPError

PLACE = {
    "type": "object",
    "properties": {
        "location": {"type": "string", "maxLength": 12},
        "format": {"enum": ["celsius", "fahrenheit"]},
    },
    "required": ["location", "format"],
}
TOOLS: Any = [{"type": "function", "function": {"name": "get_current_weather", "parameters": PLACE}}]
ASKED = [{"role": "user", "content": "What is the weather like in New York?"}]


@pytest.fixture
def client(server: Any) -> InferenceClient:
    return InferenceClient(server.url, timeout=120)


def test_json_matches_its_schema(client: InferenceClient) -> None:
    grammar: Any = {"type": "json", "value": PLACE}
    answer = client.text_generation(
        "A place as JSON: ", max_new_tokens=40, grammar=grammar, return_full_text=False
    )
    jsonschema.validate(json.loads(answer), PLACE)


def test_a_stream_matches_its_regex(client: InferenceClient) -> None:
    grammar: Any = {"type": "regex", "value": "(yes|no), because [a-z ]{3,12}\\."}
    events = list(
        client.text_generation("Is it? ", grammar=grammar, max_new_tokens=30, stream=True, details=True)
    )
    text = events[-1].generated_text
    assert text
    assert text.removeprefix("Is it? ").startswith(("yes, because", "no, because"))
    assert events[-1].details
    assert events[-1].details.finish_reason == "eos_token"


def test_details_tell_of_the_tokens(client: InferenceClient) -> None:
    answer = client.text_generation(
        "The sea is",
        details=True,
        decoder_input_details=True,
        max_new_tokens=2,
        top_n_tokens=2,
        stop=["!"],
        temperature=0.5,
        seed=1,
    )
    assert answer.details
    assert "".join(token.text for token in answer.details.prefill) == "The sea is"
    assert len(answer.details.tokens) == answer.details.generated_tokens == 2
    assert answer.details.top_tokens
    assert [len(likeliest) for likeliest in answer.details.top_tokens] == [2, 2]


@pytest.mark.parametrize(
    "response_format",
    [
        {"type": "json", "value": PLACE},
        {"type": "json_schema", "json_schema": {"name": "place", "schema": PLACE, "strict": True}},
    ],
)
def test_a_chat_is_answered_in_json(client: InferenceClient, response_format: Any) -> None:
    answer = client.chat_completion(ASKED, response_format=response_format, max_tokens=60, seed=1)
    content = answer.choices[0].message.content
    assert content
    jsonschema.validate(json.loads(content), PLACE)


async def test_a_named_tool_is_called_and_streamed(server: Any) -> None:
    named: Any = {"function": {"name": "get_current_weather"}}
    async with AsyncInferenceClient(server.url, timeout=120) as client:
        whole = await client.chat_completion(ASKED, tools=TOOLS, tool_choice=named, temperature=0)
        stream = await client.chat_completion(
            ASKED, tools=TOOLS, tool_choice=named, temperature=0, stream=True
        )
        chunks = [chunk async for chunk in stream]
    calls = whole.choices[0].message.tool_calls
    assert calls
    (call,) = calls
    assert call.function.name == "get_current_weather"
    jsonschema.validate(json.loads(call.function.arguments), PLACE)
    deltas = [delta for chunk in chunks for delta in chunk.choices[0].delta.tool_calls or ()]
    assert "".join(delta.function.arguments for delta in deltas) == call.function.arguments
    assert chunks[-1].choices[0].finish_reason == "tool_calls"


def test_a_refusal_is_the_client_s_own_error(client: InferenceClient) -> None:
    grammar: Any = {"type": "json", "value": PLACE}
    with pytest.raises(HfHubHTTPError, match="Grammar and tools are mutually exclusive"):
        client.chat_completion(ASKED, tools=TOOLS, response_format=grammar)
