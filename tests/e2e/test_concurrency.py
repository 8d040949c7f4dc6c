"""Many callers at once, patient and impatient ones."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import httpx
import jsonschema
import pytest

PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 20},
        "age": {"type": "integer", "minimum": 0, "maximum": 120},
        "role": {"enum": ["admin", "user", None]},
    },
    "required": ["name", "age", "role"],
}
MATRIX = {
    "type": "array",
    "items": {"type": "array", "items": {"type": "integer", "minimum": -9, "maximum": 9}, "maxItems": 3},
    "minItems": 1,
    "maxItems": 3,
}
TREE = {
    "$ref": "#/$defs/node",
    "$defs": {
        "node": {
            "type": "object",
            "properties": {
                "leaf": {"type": "boolean"},
                "children": {"type": "array", "items": {"$ref": "#/$defs/node"}, "maxItems": 1},
            },
            "required": ["leaf"],
        }
    },
}
DATE = r"20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
PHONE = r"\+[1-9]\d{6,10}"

PLACES = 40
"""Requests that the shard of the shared server takes, running and waiting ones."""

GRAMMARS: list[dict[str, Any] | None] = [
    {"type": "json", "value": PERSON},
    {"type": "regex", "value": DATE},
    None,
    {"type": "json", "value": MATRIX},
    {"type": "regex", "value": PHONE},
    {"type": "json", "value": TREE},
]

ENDLESS = {
    "type": "json",
    "value": {"type": "array", "items": {"enum": ["red", "green", "blue"]}, "minItems": 400},
}
"""An answer that takes more tokens than any test asks for."""


def violation(grammar: dict[str, Any] | None, text: str) -> str | None:
    """What is wrong with an answer that ended by itself."""
    if grammar is None:
        return None
    if grammar["type"] == "regex":
        return None if re.fullmatch(grammar["value"], text, re.ASCII) else f"{text!r} does not match"
    try:
        jsonschema.validate(json.loads(text), grammar["value"])
    except (ValueError, jsonschema.ValidationError) as error:
        return f"{text!r}: {error}"
    return None


async def test_twenty_mixed_requests_at_once_each_match_their_own_grammar(
    async_client: httpx.AsyncClient,
) -> None:
    grammars = [GRAMMARS[number % len(GRAMMARS)] for number in range(20)]

    async def ask(number: int, grammar: dict[str, Any] | None) -> httpx.Response:
        parameters = {"max_new_tokens": 80, "temperature": 1.0, "seed": number, "details": True}
        body = {
            "inputs": f"Person number {number} says:",
            "parameters": parameters | ({"grammar": grammar} if grammar else {}),
        }
        return await async_client.post("/generate", json=body)

    responses = await asyncio.gather(*(ask(number, grammar) for number, grammar in enumerate(grammars)))
    assert [response.status_code for response in responses] == [200] * 20
    answers = [response.json() for response in responses]
    wrong = [
        violation(grammar, answer["generated_text"])
        for grammar, answer in zip(grammars, answers, strict=True)
        if answer["details"]["finish_reason"] == "eos_token"
    ]
    assert not any(wrong), wrong
    ended = [
        answer["details"]["finish_reason"] == "eos_token"
        for grammar, answer in zip(grammars, answers, strict=True)
        if grammar is not None and grammar["type"] == "regex"
    ]
    assert all(ended), "80 tokens are enough for a date or a number"


async def test_an_answer_is_the_same_alone_and_in_company(async_client: httpx.AsyncClient) -> None:
    async def ask(prompt: str) -> str:
        parameters = {"max_new_tokens": 16, "grammar": {"type": "json", "value": PERSON}}
        response = await async_client.post("/generate", json={"inputs": prompt, "parameters": parameters})
        text: str = response.json()["generated_text"]
        return text

    prompts = [f"Describe the person who lives at number {number}." for number in range(4)]
    alone = [await ask(prompt) for prompt in prompts]
    assert await asyncio.gather(*map(ask, prompts)) == alone


async def test_callers_who_hang_up_free_their_place_and_their_blocks(
    async_client: httpx.AsyncClient,
) -> None:
    """More of them than the server has places, each with an answer that would take most of a minute.

    If they kept their places, requests would soon be refused as overload, by the router or by the shard.
    """
    for number in range(PLACES + 10):
        body = {
            "inputs": f"Story {number}:",
            "parameters": {"max_new_tokens": 900, "grammar": ENDLESS},
        }
        async with async_client.stream("POST", "/generate_stream", json=body) as response:
            first = await anext(response.aiter_lines())
        event = json.loads(first.removeprefix("data:"))
        assert "token" in event, f"after {number} callers had hung up: {event}"


async def test_callers_who_lose_patience_with_a_whole_answer_free_their_place_too(
    async_client: httpx.AsyncClient,
) -> None:
    async def lose_patience() -> None:
        body = {"inputs": "A story:", "parameters": {"max_new_tokens": 900, "grammar": ENDLESS}}
        with pytest.raises(httpx.ReadTimeout):
            (await async_client.post("/generate", json=body, timeout=1.0)).raise_for_status()

    for _ in range(4):  # in all more than router and shard have places for
        await asyncio.gather(*(lose_patience() for _ in range(PLACES // 2)))
    response = await async_client.post(
        "/generate", json={"inputs": "Hi", "parameters": {"max_new_tokens": 1}}
    )
    assert response.status_code == 200
