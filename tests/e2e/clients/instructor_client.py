"""Calls a server by instructor, in the modes that ask for a schema, and prints what came back.

Usage: instructor_client.py URL '{}'
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Annotated, Any, Literal

import instructor
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel, Field

ASKED: list[Any] = [{"role": "user", "content": "How is the weather in New York?"}]
OPTIONS: dict[str, Any] = {"model": "tgi", "max_tokens": 100, "max_retries": 0}


class Weather(BaseModel):
    """The weather of a place."""

    place: Annotated[str, Field(max_length=10)]
    sky: Literal["sunny", "cloudy"]
    degrees: Annotated[int, Field(ge=-50, le=60)]


async def by_schema(url: str) -> Weather:
    """What the asynchronous client gets."""
    client = instructor.from_openai(AsyncOpenAI(base_url=url, api_key="_"), mode=instructor.Mode.JSON_SCHEMA)
    weather: Weather = await client.chat.completions.create(response_model=Weather, messages=ASKED, **OPTIONS)
    return weather


def by_tools(url: str) -> Weather:
    """What the client that waits gets."""
    client = instructor.from_openai(OpenAI(base_url=url, api_key="_"), mode=instructor.Mode.TOOLS)
    weather: Weather = client.chat.completions.create(response_model=Weather, messages=ASKED, **OPTIONS)
    return weather


def main(url: str) -> None:
    """Print all answers as one JSON object."""
    answers = {"tools": by_tools(url), "json_schema": asyncio.run(by_schema(url))}
    print(json.dumps({mode: weather.model_dump() for mode, weather in answers.items()}))


if __name__ == "__main__":
    main(f"{sys.argv[1]}/v1")
