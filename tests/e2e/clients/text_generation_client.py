"""Calls a server by text-generation's clients and prints what came back.

Usage: text_generation_client.py URL '{"ipv4": REGEX, "person": SCHEMA, "tools": TOOLS}'
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from text_generation import AsyncClient, Client
from text_generation.errors import ValidationError
from text_generation.types import GrammarType

BROOKLYN: list[Any] = [
    {
        "role": "system",
        "content": "You're a helpful assistant! Answer the users question best you can.",
    },
    {"role": "user", "content": "What is the weather like in Brooklyn, New York?"},
]


def whole(client: Client, given: dict[str, Any]) -> dict[str, Any]:
    """What the client that waits gets."""
    person = {"type": GrammarType.Json, "value": given["person"]}
    address = {"type": GrammarType.Regex, "value": given["ipv4"]}
    try:
        client.generate("test", max_new_tokens=10_000)
        refused = ""
    except ValidationError as error:
        refused = str(error)
    return {
        "person": client.generate("A person as JSON: ", max_new_tokens=40, grammar=person).model_dump(),
        "events": [
            event.model_dump()
            for event in client.generate_stream("Whats Googles DNS", max_new_tokens=20, grammar=address)
        ],
        "best": client.generate(
            "The sea is", max_new_tokens=3, do_sample=True, best_of=2, top_n_tokens=2, stop_sequences=["!"]
        ).model_dump(),
        "refused": refused,
        "chat": client.chat(BROOKLYN, max_tokens=5).model_dump(),
    }


async def waited_for(client: AsyncClient, given: dict[str, Any]) -> dict[str, Any]:
    """What the asynchronous client gets; the guide's two examples letter by letter."""
    response = await client.generate(
        "Whats Googles DNS",
        max_new_tokens=10,
        decoder_input_details=True,
        seed=1,
        grammar={
            "type": GrammarType.Regex,
            "value": given["ipv4"],
        },
    )
    tools = given["tools"]
    chat = await client.chat(
        max_tokens=100,
        seed=1,
        tools=tools,
        presence_penalty=-1.1,
        messages=BROOKLYN,
    )
    named = await client.chat(BROOKLYN, max_tokens=100, tools=tools, tool_choice="get_current_weather")
    return {
        "guide_regex": response.model_dump(),
        "guide_tools": chat.model_dump(),
        "named": named.model_dump(),
        "async_events": [
            event.model_dump() async for event in client.generate_stream("The sea is", max_new_tokens=3)
        ],
    }


def main(url: str, given: dict[str, Any]) -> None:
    """Print all answers as one JSON object."""
    answers = whole(Client(url, timeout=120), given)
    print(json.dumps(answers | asyncio.run(waited_for(AsyncClient(url, timeout=120), given))))


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]))
