"""Health and info, of real gRPC services with fakes behind them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from tests.router.conftest import Services

UNHEALTHY = {"error": "unhealthy", "error_type": "healthcheck"}


async def test_the_router_is_healthy_if_both_services_are(client: httpx.AsyncClient) -> None:
    for route in ("/health", "/ping", "/"):
        response = await client.get(route)
        assert (response.status_code, response.content) == (200, b"")


async def test_without_a_shard_the_router_is_unhealthy(client: httpx.AsyncClient, services: Services) -> None:
    await services.stop_shard()
    for route in ("/health", "/ping", "/", "/info", "/v1/models", "/v1/models/fake/words"):
        response = await client.get(route)
        assert (response.status_code, response.json()) == (503, UNHEALTHY)


async def test_without_a_grammar_service_the_router_is_unhealthy(
    client: httpx.AsyncClient, services: Services
) -> None:
    await services.stop_grammars()
    response = await client.get("/health")
    assert (response.status_code, response.json()) == (503, UNHEALTHY)
    assert (await client.get("/info")).status_code == 200


async def test_info_tells_the_model_and_the_limits(services: Services) -> None:
    async with services.client(max_concurrent_requests=7, max_best_of=3, max_stop_sequences=9) as client:
        assert (await client.get("/info")).json() == {
            "model_id": "fake/words",
            "model_sha": None,
            "model_pipeline_tag": "text-generation",
            "model_dtype": "float32",
            "model_device_type": "cpu",
            "max_concurrent_requests": 7,
            "max_best_of": 3,
            "max_stop_sequences": 9,
            "max_input_tokens": 100,
            "max_total_tokens": 200,
            "validation_workers": 1,
            "max_client_batch_size": 4,
            "router": "guiderail-router",
            "version": "1.2.3",
            "sha": None,
            "docker_label": None,
        }


async def test_the_one_model_is_listed(client: httpx.AsyncClient) -> None:
    card = {"id": "fake/words", "object": "model", "created": 0, "owned_by": "fake/words"}
    assert (await client.get("/v1/models")).json() == {"object": "list", "data": [card]}


async def test_the_one_model_is_there_by_its_name(client: httpx.AsyncClient) -> None:
    card = {"id": "fake/words", "object": "model", "created": 0, "owned_by": "fake/words"}
    for path in ("fake/words", "fake%2Fwords"):
        assert (await client.get(f"/v1/models/{path}")).json() == card


async def test_another_model_is_not_there(client: httpx.AsyncClient) -> None:
    response = await client.get("/v1/models/gpt-4o")
    assert response.status_code == 404
    assert response.json() == {
        "error": "The model `gpt-4o` is not served here, `fake/words` is",
        "error_type": "not_found",
    }


async def test_a_name_too_long_for_any_model_is_refused(client: httpx.AsyncClient) -> None:
    response = await client.get(f"/v1/models/{'a' * 5000}")
    assert response.status_code == 422
    assert response.json() == {
        "error": "model_id: String should have at most 4096 characters",
        "error_type": "validation",
    }
