"""The routes of hosting platforms, in front of real gRPC services with fakes behind them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from router.api.hosted import INVOCATION_EXAMPLES, VERTEX_EXAMPLES

if TYPE_CHECKING:
    from tests.router.conftest import Services


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize(
    ("body", "route"),
    [
        ({"inputs": "a b"}, "/"),
        ({"messages": [{"role": "user", "content": "a b"}]}, "/v1/chat/completions"),
        ({"prompt": "a b"}, "/v1/completions"),
    ],
)
async def test_an_invocation_is_answered_as_by_the_route_of_its_form(
    client: httpx.AsyncClient, body: Any, route: str, streaming: bool
) -> None:
    invoked, called = [
        await client.post(path, json={**body, "stream": streaming}) for path in ("/invocations", route)
    ]
    assert invoked.status_code == called.status_code == 200
    assert invoked.headers["content-type"] == called.headers["content-type"]
    if route == "/":
        assert invoked.content == called.content
    else:
        assert invoked.text[-60:] == called.text[-60:]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "missing field `inputs`, `messages` or `prompt`"),
        ([], "missing field `inputs`, `messages` or `prompt`"),
        ({"inputs": "a", "prompt": "b"}, "unknown field `prompt`"),
        ({"inputs": 1}, "inputs"),
        ({"inputs": "a", "parameters": {"top_k": 0}}, "`top_k` must be strictly positive"),
    ],
)
async def test_what_is_wrong_with_an_invocation_is_named(
    client: httpx.AsyncClient, body: Any, message: str
) -> None:
    response = await client.post("/invocations", json=body)
    assert (response.status_code, response.json()["error_type"]) == (422, "validation")
    assert message in response.json()["error"]


async def test_every_instance_has_a_prediction(client: httpx.AsyncClient) -> None:
    response = await client.post("/vertex", json={"instances": [{"inputs": "a b"}, {"inputs": "c"}]})
    assert response.json() == {"predictions": [" a b", " c"]}


async def test_an_instance_may_be_a_conversation(client: httpx.AsyncClient, services: Services) -> None:
    asked = {"messages": [{"role": "user", "content": "Where?"}]}
    services.shard.pieces = ["In ", "Paris"]
    response = await client.post("/vertex", json={"instances": [asked]})
    assert response.json() == {"predictions": ["In Paris"]}


async def test_a_called_tool_is_predicted_as_json(client: httpx.AsyncClient, services: Services) -> None:
    tool = {"type": "function", "function": {"name": "get_time"}}
    asked = {
        "messages": [{"role": "user", "content": "When?"}],
        "tools": [tool],
        "tool_choice": "required",
    }
    services.shard.pieces = ['{"name": "get_time", "parameters": {}}']
    (prediction,) = (await client.post("/vertex", json={"instances": [asked]})).json()["predictions"]
    (call,) = json.loads(prediction)
    assert call["function"] == {"name": "get_time", "arguments": "{}"}


async def test_without_instances_there_is_nothing_to_predict(client: httpx.AsyncClient) -> None:
    response = await client.post("/vertex", json={"instances": []})
    assert response.status_code == 422
    assert response.json() == {"error": "Input validation error", "error_type": "Input validation error"}


async def test_one_instance_that_fails_fails_them_all(client: httpx.AsyncClient, services: Services) -> None:
    response = await client.post("/vertex", json={"instances": [{"inputs": "a"}, {"inputs": ""}]})
    assert response.status_code == 422
    assert response.json()["error"] == "Input validation error: `inputs` cannot be empty"


async def test_every_example_works(client: httpx.AsyncClient) -> None:
    for route, examples in (("/invocations", INVOCATION_EXAMPLES), ("/vertex", VERTEX_EXAMPLES)):
        for example in examples.values():
            assert (await client.post(route, json=example["value"])).status_code == 200
