"""POST /tokenize: how the model splits a text."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Response
from fastapi.openapi.models import Example
from pydantic_core import to_json

from router.api.body import json_route
from router.api.responses import NEVER_READ, failures
from router.api.tgi_schema import GenerateRequest, SimpleToken
from router.errors import RequestError
from router.generation import Generator, Span

EXAMPLES: dict[str, Example] = {
    "text": {"summary": "A text", "value": {"inputs": "My name is Olivier and I"}},
    "truncated": {
        "summary": "Its last three tokens",
        "value": {"inputs": "My name is Olivier and I", "parameters": {"truncate": 3}},
    },
}


class TokenRoutes:
    """Shows what a request's prompt is for the model; nothing is generated."""

    def __init__(self, generator: Generator, *, payload_limit: int) -> None:
        self._generator = generator
        self.router = APIRouter(
            tags=["Text Generation Inference"], route_class=json_route(limit=payload_limit)
        )
        self.router.add_api_route(
            "/tokenize",
            self.tokenize,
            methods=["POST"],
            responses={
                200: {"model": list[SimpleToken], "description": "The tokens in order"},
                **failures({**NEVER_READ, 424: "The shard is unavailable"}),
            },
        )

    async def tokenize(self, body: Annotated[GenerateRequest, Body(openapi_examples=EXAMPLES)]) -> Response:
        """The tokens of a request's prompt, as POST /generate would read it.

        Of `parameters`, only `truncate` plays a part.
        """
        if not body.inputs:
            raise RequestError.invalid("`inputs` cannot be empty")
        truncate = body.parameters.truncate if body.parameters else None
        if truncate == 0:
            raise RequestError.invalid("`truncate` must be strictly positive")
        spans = await self._generator.tokenize(body.inputs, add_special_tokens=True)
        kept = spans[-truncate:] if truncate else spans
        return Response(to_json(plain(kept)), media_type="application/json")


def plain(spans: list[Span]) -> list[dict[str, int | str]]:
    """Tokens as `SimpleToken` objects."""
    return [{"id": each.id, "text": each.text, "start": each.start, "stop": each.stop} for each in spans]
