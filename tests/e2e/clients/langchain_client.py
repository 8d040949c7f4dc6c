"""Calls a server by LangChain's client of OpenAI, and prints what came back.

Usage: langchain_client.py URL '{}'
"""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any, Literal

from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel, Field

ASKED = "How is the weather in New York?"


class Weather(BaseModel):
    """The weather of a place."""

    place: Annotated[str, Field(max_length=10)]
    sky: Literal["sunny", "cloudy"]
    degrees: Annotated[int, Field(ge=-50, le=60)]


@tool  # type: ignore[untyped-decorator] # it is not in the environment that is checked
def get_weather(place: Annotated[str, Field(max_length=10)], unit: Literal["celsius", "fahrenheit"]) -> str:
    """Get the weather of a place."""
    return f"It is sunny in {place}, 18 {unit}."


def structured(model: ChatOpenAI) -> dict[str, Any]:
    """What each method gives for one and the same pydantic model."""
    answers: dict[str, Any] = {}
    for method in ("json_schema", "function_calling"):
        weather = model.with_structured_output(Weather, method=method).invoke(ASKED)
        assert isinstance(weather, Weather)
        answers[method] = weather.model_dump()
    return answers


def tools(model: ChatOpenAI) -> dict[str, Any]:
    """A call, the same one streamed, and the answer behind its result."""
    calling = model.bind_tools([get_weather], tool_choice="get_weather", temperature=0)
    called: Any = calling.invoke(ASKED)
    streamed: Any = None
    for chunk in calling.stream(ASKED):
        streamed = chunk if streamed is None else streamed + chunk
    (call,) = called.tool_calls
    result = ToolMessage(get_weather.invoke(call["args"]), tool_call_id=call["id"])
    conversation = [HumanMessage(ASKED), called, result]
    answer = model.bind_tools([get_weather]).invoke(conversation, temperature=0)
    return {
        "call": call,
        "reason": called.response_metadata["finish_reason"],
        "streamed": streamed.tool_calls[0],
        "usage": streamed.usage_metadata,
        "answer": answer.content,
    }


def main(url: str) -> None:
    """Print all answers as one JSON object."""
    model = ChatOpenAI(
        base_url=url, api_key="_", model="tgi", max_tokens=100, max_retries=0, stream_usage=True
    )
    print(json.dumps(structured(model) | tools(model)))


if __name__ == "__main__":
    main(f"{sys.argv[1]}/v1")
