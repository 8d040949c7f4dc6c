"""The application around the routes: its documents, and answers to what no route expects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest
from openapi_spec_validator import validate

from protos.channel import open_channel
from router.api.tgi_examples import EXAMPLES
from router.api.tgi_schema import GenerateParameters, GenerateRequest
from router.app import create_app
from router.grammar import CompiledGrammar, Grammar
from router.settings import Settings
from router.shard_client import ShardClient

if TYPE_CHECKING:
    from tests.router.conftest import Services


async def test_the_openapi_document_is_valid_and_has_every_route(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    validate(document)
    assert set(document["paths"]) == {
        "/",
        "/generate",
        "/generate_stream",
        "/v1/chat/completions",
        "/v1/completions",
        "/tokenize",
        "/chat_tokenize",
        "/invocations",
        "/vertex",
        "/health",
        "/ping",
        "/info",
        "/metrics",
        "/v1/models",
        "/v1/models/{model_id}",
    }


async def test_every_reference_of_the_openapi_document_leads_somewhere(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()

    def references(node: Any) -> list[str]:
        if isinstance(node, dict):
            own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
            return own + [ref for value in node.values() for ref in references(value)]
        return [ref for value in node for ref in references(value)] if isinstance(node, list) else []

    found = references(document)
    assert "#/components/schemas/GenerateRequest" in found
    for reference in found:
        assert reference.removeprefix("#/components/schemas/") in document["components"]["schemas"]


@pytest.mark.parametrize("name", EXAMPLES)
async def test_every_example_of_the_openapi_document_works(client: httpx.AsyncClient, name: str) -> None:
    for route in ("/generate", "/generate_stream"):
        response = await client.post(route, json=EXAMPLES[name]["value"])
        assert response.status_code == 200
        assert '"error"' not in response.text


@pytest.mark.parametrize("model", [GenerateRequest, GenerateParameters])
def test_every_field_is_described(model: type[GenerateRequest | GenerateParameters]) -> None:
    for field in model.model_fields.values():
        assert field.description


async def test_swagger_needs_no_other_host(client: httpx.AsyncClient) -> None:
    page = (await client.get("/docs")).text
    assert "http" not in page
    for asset in ("swagger-ui-bundle.js", "swagger-ui.css"):
        assert asset in page
        response = await client.get(f"/static-offline-docs/{asset}")
        assert response.status_code == 200
        assert len(response.content) > 100_000


async def test_an_unknown_route_and_a_wrong_method_are_answered_in_json(client: httpx.AsyncClient) -> None:
    unknown = await client.get("/nowhere")
    assert (unknown.status_code, unknown.json()["error_type"]) == (404, "not_found")
    wrong = await client.get("/generate")
    assert (wrong.status_code, wrong.json()["error_type"]) == (405, "method_not_allowed")
    assert wrong.headers["allow"] == "POST"
    assert (await client.put("/")).headers["allow"] == "GET, POST"


class BrokenCompiler:
    """Has a bug."""

    async def compile(self, grammar: Grammar) -> CompiledGrammar:
        raise ZeroDivisionError("secret")

    async def healthy(self) -> bool:
        return True


async def test_a_bug_is_an_internal_error_that_tells_nothing(services: Services) -> None:
    async with open_channel(services.shard_address) as channel:
        app = create_app(grammars=BrokenCompiler(), generator=ShardClient(channel), settings=Settings())
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://router") as client:
            body = {"inputs": "a", "parameters": {"grammar": {"type": "regex", "value": "a"}}}
            response = await client.post("/generate", json=body)
            streamed = await client.post("/generate_stream", json=body)
    assert response.status_code == 500
    assert response.json() == {"error": "Internal server error", "error_type": "internal"}
    assert streamed.text == (
        'data: {"error":"Request failed during generation: Server error: internal error",'
        '"error_type":"generation"}\n\n'
    )
