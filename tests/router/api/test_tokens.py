"""How texts are split, in front of a real gRPC service with a fake behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from tests.router.conftest import Services


async def test_a_prompt_is_told_in_tokens_with_the_special_ones_around_it(client: httpx.AsyncClient) -> None:
    response = await client.post("/tokenize", json={"inputs": "é b", "parameters": {"max_new_tokens": 3}})
    assert response.json() == [
        {"id": 1, "text": "", "start": 0, "stop": 0},
        {"id": 10, "text": "é", "start": 0, "stop": 1},
        {"id": 11, "text": " b", "start": 1, "stop": 3},
    ]


async def test_only_the_last_tokens_are_kept(client: httpx.AsyncClient) -> None:
    response = await client.post("/tokenize", json={"inputs": "a b c", "parameters": {"truncate": 2}})
    assert [token["text"] for token in response.json()] == [" b", " c"]


async def test_what_cannot_be_split_is_refused(client: httpx.AsyncClient, services: Services) -> None:
    assert (await client.post("/tokenize", json={"inputs": ""})).json() == {
        "error": "Input validation error: `inputs` cannot be empty",
        "error_type": "validation",
    }
    nothing = {"inputs": "a", "parameters": {"truncate": 0}}
    assert (await client.post("/tokenize", json=nothing)).status_code == 422
    await services.stop_shard()
    assert (await client.post("/tokenize", json={"inputs": "a"})).status_code == 424


async def test_a_conversation_is_told_as_the_prompt_that_it_makes(client: httpx.AsyncClient) -> None:
    tool = {"type": "function", "function": {"name": "get_time"}}
    body = {"messages": [{"role": "user", "content": "When is it?"}], "tools": [tool]}
    answer = (await client.post("/chat_tokenize", json=body)).json()
    text = answer["templated_text"]
    assert "When is it?" in text
    assert "get_time" in text
    assert "".join(token["text"] for token in answer["tokenize_response"]) == text
    assert answer["tokenize_response"][0]["id"] == 10
