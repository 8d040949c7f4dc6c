"""Who may call, and from where."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr, ValidationError

from router.settings import Settings

if TYPE_CHECKING:
    from tests.router.conftest import Services

ASKED = {"inputs": "a"}


@pytest.mark.parametrize(
    "given",
    [
        None,
        "",
        "Bearer",
        "Bearer wrong",
        "Bearer SECRET",
        "secret",
        "Basic secret",
        "Bearer  secret",
        "Bearer sécret",
    ],
)
async def test_without_the_key_no_post_is_answered(services: Services, given: str | None) -> None:
    headers = {} if given is None else {b"authorization": given.encode()}
    async with services.client(api_key="secret") as client:
        for route in ("/generate", "/v1/completions", "/chat_tokenize", "/nowhere"):
            response = await client.post(route, json=ASKED, headers=headers)
            assert response.status_code == 401
            assert response.headers["www-authenticate"] == "Bearer"
            assert response.json() == {
                "error": "The API key is missing or wrong",
                "error_type": "unauthorized",
            }
    assert services.shard.requests == []


async def test_with_the_key_everything_is_answered(services: Services) -> None:
    async with services.client(api_key="secret") as client:
        headers = {"authorization": "Bearer secret"}
        assert (await client.post("/generate", json=ASKED, headers=headers)).status_code == 200
        for route in ("/health", "/info", "/metrics", "/v1/models", "/docs", "/openapi.json"):
            assert (await client.get(route)).status_code == 200


def test_an_empty_key_is_refused_for_it_would_keep_nobody_out() -> None:
    with pytest.raises(ValidationError, match="api_key"):
        Settings(api_key=SecretStr(""))


async def test_the_name_of_the_scheme_may_be_written_as_one_likes(services: Services) -> None:
    async with services.client(api_key="secret") as client:
        for scheme in ("bearer", "BEARER"):
            headers = {"authorization": f"{scheme} secret"}
            assert (await client.post("/generate", json=ASKED, headers=headers)).status_code == 200


async def test_a_page_of_any_origin_may_call_unless_some_are_named(services: Services) -> None:
    asking = {"origin": "https://a.example", "access-control-request-method": "POST"}
    for origins, allowed in (
        (("*",), "*"),
        (("https://a.example",), "https://a.example"),
        (("https://b.example",), None),
    ):
        async with services.client(cors_allow_origin=origins, api_key="secret") as client:
            response = await client.options("/generate", headers=asking)
            assert response.headers.get("access-control-allow-origin") == allowed
