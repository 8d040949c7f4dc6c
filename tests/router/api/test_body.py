"""What the router says of bodies that are no requests."""

from __future__ import annotations

import asyncio
import json
from itertools import product
from typing import TYPE_CHECKING, Any

import httpx
import pytest

if TYPE_CHECKING:
    from tests.router.conftest import Services

ROUTES = ["/generate", "/generate_stream"]
JSON = {"content-type": "application/json"}
SYNTAX = "Failed to parse the request body as JSON: "
DATA = "Failed to deserialize the JSON body into the target type: "


async def post(client: httpx.AsyncClient, route: str, content: Any, **headers: str) -> tuple[int, str, str]:
    response = await client.post(route, content=content, headers={**JSON, **headers})
    body = response.json()
    assert set(body) == {"error", "error_type"}
    return response.status_code, body["error_type"], body["error"]


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b'{"inputs": "a"',
        b'{"inputs": "a"}}',
        b'{"inputs": NaN}',
        b'{"inputs": Infinity}',
        b'{"inputs": "\\ud800"}',
        b'{"inputs": "\xff"}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"9" * 100_000,
    ],
    ids=lambda content: repr(content[:20]),
)
async def test_malformed_json_is_a_bad_request(client: httpx.AsyncClient, route: str, content: bytes) -> None:
    status, kind, text = await post(client, route, content)
    assert (status, kind) == (400, "bad_request")
    assert text.startswith(SYNTAX)
    assert len(text) < 200


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(
    ("body", "message"),
    [
        ([], "Input should be"),
        (None, "Input should be"),
        ({}, "missing field `inputs`"),
        ({"inputs": None}, "inputs: Input should be a valid string"),
        ({"inputs": ["a"]}, "inputs: Input should be a valid string"),
        ({"inputs": "a", "parameters": []}, "parameters: Input should be"),
        ({"inputs": "a", "frobnicate": 1}, "unknown field `frobnicate`"),
        ({"inputs": "a", "parameters": {"temprature": 1}}, "parameters: unknown field `temprature`"),
        ({"inputs": "a", "stream": "yes"}, "stream: Input should be a valid boolean"),
    ],
)
async def test_a_body_of_the_wrong_shape_is_refused_with_the_place(
    client: httpx.AsyncClient, route: str, body: Any, message: str
) -> None:
    status, kind, text = await post(client, route, json.dumps(body))
    assert (status, kind) == (422, "validation")
    assert text.startswith(DATA + message)


WHOLE_NUMBERS = ["best_of", "top_k", "max_new_tokens", "truncate", "seed", "top_n_tokens"]
MISTYPED: list[tuple[str, Any]] = [
    *product(["temperature", "top_p"], ["1", True, [], {}, 1e39, 10**400, float("inf")]),
    *product(WHOLE_NUMBERS, ["1", True, 1.0, 1.5, 2**64, []]),
    *product(["best_of", "max_new_tokens", "truncate", "seed", "top_n_tokens"], [-1]),
    *product(["max_new_tokens", "truncate", "top_n_tokens", "top_k"], [2**32]),
    *product(["do_sample", "details", "watermark"], [1, "true", []]),
    *product(["stop"], ["a", [1], [None]]),
    *product(["grammar"], ["json", []]),
    ("adapter_id", 1),
    *product(["complete"], [True, "always", []]),
]


@pytest.mark.parametrize(("name", "value"), MISTYPED)
async def test_a_value_of_the_wrong_type_is_refused_with_its_name(
    client: httpx.AsyncClient, name: str, value: Any
) -> None:
    body = json.dumps({"inputs": "a", "parameters": {name: value}}).replace("Infinity", "1e400")
    status, kind, text = await post(client, "/generate", body)
    assert (status, kind) == (422, "validation")
    assert text.startswith(f"{DATA}parameters.{name}")


@pytest.mark.parametrize(
    ("grammar", "message"),
    [
        ({"type": "ebnf", "value": "x"}, "unknown variant `ebnf`, expected one of `json`"),
        ({"type": "x" * 10_000, "value": "x"}, "unknown variant `xxx"),
        ({"type": None, "value": "x"}, "unknown variant `None`"),
        ({"value": "x"}, "missing field `type`"),
        ({"type": "json"}, "missing field `value`"),
        ({"type": "regex"}, "missing field `value`"),
        ({"type": "regex", "value": {}}, "Input should be a valid string"),
        ({"type": "regex", "value": "a", "strict": True}, "unknown field `strict`"),
        ({"type": "choice", "value": "a"}, "Input should be a valid list"),
        ({"type": "choice", "value": [1]}, "Input should be a valid string"),
        ({"type": "json", "value": {}, "strict": "no"}, "Input should be a valid boolean"),
        ({"type": "json", "value": {}, "whitespace": "lots"}, "Input should be 'single', 'compact' or"),
        ({"type": "json", "value": {}, "schema": {}}, "unknown field `schema`"),
        ({"type": "json_schema", "value": {}}, "missing field `schema`"),
        ({"type": "json_schema", "value": {"schema": "{}"}}, "Input should be a valid"),
        ({"type": "json_schema", "value": {"schema": {}, "schema_": {}}}, "unknown field `schema_`"),
    ],
)
async def test_a_grammar_of_the_wrong_shape_is_refused_with_the_reason(
    client: httpx.AsyncClient, grammar: Any, message: str
) -> None:
    body = json.dumps({"inputs": "a", "parameters": {"grammar": grammar}})
    status, kind, text = await post(client, "/generate", body)
    assert (status, kind) == (422, "validation")
    assert text.startswith(f"{DATA}parameters.grammar")
    assert message in text
    assert len(text) < 500


async def test_hundreds_of_thousands_of_mistakes_are_one_error(client: httpx.AsyncClient) -> None:
    unknown = json.dumps({f"k{number}": 0 for number in range(100_000)})
    mistyped = json.dumps({"inputs": "a", "parameters": {"stop": [0] * 300_000}})
    for body in (unknown, mistyped):
        status, kind, text = await post(client, "/generate", body)
        assert (status, kind) == (422, "validation")
        assert len(text) < 200


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/x-www-form-urlencoded", "json"])
@pytest.mark.parametrize("route", ROUTES)
async def test_another_content_type_is_not_supported(
    client: httpx.AsyncClient, route: str, content_type: str
) -> None:
    status, kind, text = await post(client, route, b'{"inputs": "a"}', **{"content-type": content_type})
    assert (status, kind) == (415, "unsupported_media_type")
    assert text == "Expected request with `Content-Type: application/json`"


@pytest.mark.parametrize(
    "content_type", ["application/json; charset=utf-8", "APPLICATION/JSON", "application/ld+json"]
)
async def test_every_way_to_say_json_is_understood(client: httpx.AsyncClient, content_type: str) -> None:
    response = await client.post(
        "/generate", content=b'{"inputs": "a"}', headers={"content-type": content_type}
    )
    assert response.status_code == 200


@pytest.mark.parametrize("route", ROUTES)
async def test_a_body_over_the_limit_is_refused(services: Services, route: str) -> None:
    async with services.client(payload_limit=100) as client:
        fitting = json.dumps({"inputs": "a" * 86})
        assert len(fitting) == 100
        response = await client.post(route, content=fitting, headers=JSON)
        assert response.status_code == 200
        status, kind, text = await post(client, route, fitting + " ")
    assert (status, kind) == (413, "payload_too_large")
    assert "100 bytes" in text


async def test_a_chunked_body_over_the_limit_is_refused_before_it_ends(services: Services) -> None:
    async with services.http(payload_limit=100) as client:
        url = client.base_url
        reader, writer = await asyncio.open_connection(url.host, url.port)
        head = "POST /generate HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        writer.write(f"{head}transfer-encoding: chunked\r\n\r\n".encode())
        writer.write(b"78\r\n" + b"a" * 120 + b"\r\n")
        async with asyncio.timeout(10):
            assert b"413" in await reader.readline()
        writer.close()
        await writer.wait_closed()
