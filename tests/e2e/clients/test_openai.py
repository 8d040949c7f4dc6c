"""OpenAI's client: nothing changes for its users but the base URL."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any, Literal

import jsonschema
import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types.chat import ChatCompletionMessageParam
from pydantic import BaseModel, Field

Short = Annotated[str, Field(max_length=10)]


class Pet(BaseModel):
    """An animal."""

    kind: Literal["cat", "dog"]
    age: int | None = Field(ge=0, le=30)


class Person(BaseModel):
    """A human, with animals of theirs."""

    name: Short
    pets: list[Pet] = Field(min_length=1, max_length=2)


class GetWeather(BaseModel):
    """Get the weather of a place."""

    place: Short
    unit: Literal["celsius", "fahrenheit"]


WEATHER = openai.pydantic_function_tool(GetWeather, name="get_weather")
ASKED: ChatCompletionMessageParam = {"role": "user", "content": "How is the weather in New York?"}
FRANCE: ChatCompletionMessageParam = {"role": "user", "content": "What is the capital of France?"}
PEOPLE: ChatCompletionMessageParam = {"role": "user", "content": "Tell me of a person as JSON."}


@pytest.fixture
def client(server: Any) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{server.url}/v1", api_key="_", max_retries=0) as client:
        yield client


@pytest.fixture
async def async_client(server: Any) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=f"{server.url}/v1", api_key="_", max_retries=0) as client:
        yield client


def test_a_chat_is_answered_with_all_that_the_client_asks_for(client: OpenAI) -> None:
    answer = client.chat.completions.create(
        model="gpt-4o",
        messages=[{"role": "developer", "content": "Be brief."}, FRANCE],
        max_completion_tokens=8,
        n=2,
        seed=1,
        stop=["!"],
        logprobs=True,
        top_logprobs=1,
        logit_bias={"1": -100},
        presence_penalty=0.1,
        frequency_penalty=0.1,
        user="me",
    )
    assert (answer.object, answer.model) == ("chat.completion", "gpt-4o")
    assert answer.id != client.chat.completions.create(model="gpt-4o", messages=[FRANCE], max_tokens=1).id
    assert [choice.index for choice in answer.choices] == [0, 1]
    for choice in answer.choices:
        assert choice.message.content
        assert choice.logprobs
        assert choice.logprobs.content
        assert all(len(token.top_logprobs) == 1 for token in choice.logprobs.content)
    assert answer.usage
    assert answer.usage.completion_tokens <= 16


async def test_an_asynchronous_stream_is_the_answer_that_comes_whole(async_client: AsyncOpenAI) -> None:
    create = async_client.chat.completions.create
    whole = await create(model="tgi", messages=[FRANCE], max_tokens=8, temperature=0)
    stream = await create(
        model="tgi",
        messages=[FRANCE],
        max_tokens=8,
        temperature=0,
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = [chunk async for chunk in stream]
    *pieces, usage = chunks
    text = "".join(chunk.choices[0].delta.content or "" for chunk in pieces)
    assert text == whole.choices[0].message.content
    assert pieces[-1].choices[0].finish_reason == whole.choices[0].finish_reason
    assert (usage.choices, usage.usage) == ([], whole.usage)
    assert len({chunk.id for chunk in chunks}) == 1


def test_an_answer_is_parsed_into_a_pydantic_model(client: OpenAI) -> None:
    answer = client.chat.completions.parse(
        model="tgi", messages=[PEOPLE], response_format=Person, max_tokens=120, temperature=1, seed=2
    )
    person = answer.choices[0].message.parsed
    assert isinstance(person, Person)
    assert person.pets


def test_a_streamed_answer_is_parsed_into_a_pydantic_model(client: OpenAI) -> None:
    with client.chat.completions.stream(
        model="tgi", messages=[PEOPLE], response_format=Person, max_tokens=120, seed=3
    ) as stream:
        told = [event.delta for event in stream if event.type == "content.delta"]
        message = stream.get_final_completion().choices[0].message
    assert message.role == "assistant"
    assert "".join(told) == message.content
    assert isinstance(message.parsed, Person)


def test_the_arguments_of_a_call_are_parsed_and_its_result_is_answered(client: OpenAI) -> None:
    parse = client.chat.completions.parse
    first = parse(model="tgi", messages=[ASKED], tools=[WEATHER], tool_choice="required", max_tokens=80)
    choice = first.choices[0]
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content is None
    assert choice.message.tool_calls
    assert all(isinstance(call.function.parsed_arguments, GetWeather) for call in choice.message.tool_calls)
    results: list[ChatCompletionMessageParam] = [
        {"role": "tool", "tool_call_id": call.id, "content": "18 degrees"}
        for call in choice.message.tool_calls
    ]
    conversation: Any = [ASKED, choice.message, *results]
    second = parse(model="tgi", messages=conversation, tools=[WEATHER], max_tokens=60, temperature=0)
    assert second.choices[0].message.content


def test_a_streamed_call_is_put_together(client: OpenAI) -> None:
    with client.chat.completions.stream(
        model="tgi",
        messages=[ASKED],
        tools=[WEATHER],
        tool_choice={"type": "function", "function": {"name": "get_weather"}},
        max_tokens=80,
    ) as stream:
        done = [event for event in stream if event.type == "tool_calls.function.arguments.done"]
        choice = stream.get_final_completion().choices[0]
    assert choice.finish_reason == "tool_calls"
    assert choice.message.tool_calls
    (call,) = choice.message.tool_calls
    assert (call.type, call.function.name) == ("function", "get_weather")
    assert [event.arguments for event in done] == [call.function.arguments]
    assert isinstance(call.function.parsed_arguments, GetWeather)


def test_a_call_that_was_cut_off_ends_by_length(client: OpenAI) -> None:
    answer = client.chat.completions.create(
        model="tgi", messages=[ASKED], tools=[WEATHER], tool_choice="required", max_tokens=5
    )
    assert answer.choices[0].finish_reason == "length"


def test_the_guide_s_tools_are_called_or_not_as_the_model_likes(client: OpenAI) -> None:
    instruction = (
        "Don't make assumptions about what values to plug into functions. "
        "Ask for clarification if a user request is ambiguous."
    )
    parameters: dict[str, Any] = {
        "type": "object",
        "properties": {
            "location": {"type": "string", "description": "The city and state, e.g. San Francisco, CA"},
            "format": {"type": "string", "enum": ["celsius", "fahrenheit"]},
            "num_days": {"type": "integer", "description": "The number of days to forecast"},
        },
        "required": ["location", "format", "num_days"],
    }
    description = "Get an N-day weather forecast"
    function: Any = {
        "name": "get_n_day_weather_forecast",
        "description": description,
        "parameters": parameters,
    }
    answer = client.chat.completions.create(
        model="tgi",
        messages=[
            {"role": "system", "content": instruction},
            {"role": "user", "content": "What's the weather like the next 3 days in San Francisco, CA?"},
        ],
        tools=[{"type": "function", "function": function}],
        tool_choice="auto",
        max_tokens=100,  # the guide's 500 leave a small model much room to ramble
    )
    choice = answer.choices[0]
    calls = choice.message.tool_calls or []
    assert calls or choice.message.content
    for call in calls[: -1 if choice.finish_reason == "length" else None]:
        assert call.type == "function"
        jsonschema.validate(json.loads(call.function.arguments), parameters)


def test_several_prompts_are_completed_and_the_model_is_listed(client: OpenAI) -> None:
    answer = client.completions.create(model="tgi", prompt=["Is water wet?", "def mai"], max_tokens=3)
    assert [choice.index for choice in answer.choices] == [0, 1]
    (model,) = client.models.list().data
    assert model.object == "model"


def test_a_refusal_is_the_client_s_own_error(client: OpenAI) -> None:
    with pytest.raises(openai.UnprocessableEntityError) as refused:
        client.chat.completions.create(model="tgi", messages=[ASKED], temperature=-1)
    assert refused.value.body == "Input validation error: `temperature` must be >= 0.0"
    with pytest.raises(openai.UnprocessableEntityError) as refused:
        client.chat.completions.create(
            model="tgi",
            messages=[ASKED],
            tools=[WEATHER],
            tool_choice={"type": "function", "function": {"name": "nope"}},
            stream=True,
        )
    assert refused.value.body == "Tool error: Tool with name nope not found"
