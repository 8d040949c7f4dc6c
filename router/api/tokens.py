"""POST /tokenize and POST /chat_tokenize: what a request's prompt is for the model."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Response
from fastapi.openapi.models import Example
from pydantic_core import to_json

from router.api.body import json_route
from router.api.chat_examples import EXAMPLES as CHAT_EXAMPLES
from router.api.chat_rules import to_prompt
from router.api.chat_schema import ChatRequest
from router.api.responses import NEVER_READ, failures
from router.api.tgi_schema import ChatTokenizeResponse, GenerateRequest, SimpleToken
from router.errors import RequestError
from router.generation import Generator
from router.model import Span
from router.served import ServedModel

EXAMPLES: dict[str, Example] = {
    "text": {"summary": "A text", "value": {"inputs": "My name is Olivier and I"}},
    "truncated": {
        "summary": "Its last three tokens",
        "value": {"inputs": "My name is Olivier and I", "parameters": {"truncate": 3}},
    },
}


class TokenRoutes:
    """Shows prompts as they would be read; nothing is generated."""

    def __init__(self, generator: Generator, *, served: ServedModel, payload_limit: int) -> None:
        self._generator = generator
        self._served = served
        self.router = APIRouter(
            tags=["Text Generation Inference"], route_class=json_route(limit=payload_limit)
        )
        failed = failures({**NEVER_READ, 424: "The shard is unavailable"})
        self.router.add_api_route(
            "/tokenize",
            self.tokenize,
            methods=["POST"],
            responses={200: {"model": list[SimpleToken], "description": "The tokens in order"}, **failed},
        )
        self.router.add_api_route(
            "/chat_tokenize",
            self.chat_tokenize,
            methods=["POST"],
            responses={200: {"model": ChatTokenizeResponse, "description": "The prompt"}, **failed},
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
        return Response(to_json(_plain(kept)), media_type="application/json")

    async def chat_tokenize(
        self, body: Annotated[ChatRequest, Body(openapi_examples=CHAT_EXAMPLES)]
    ) -> Response:
        """The prompt that the model's chat template makes of a conversation and its tools, and its tokens."""
        prompt = to_prompt(body, await self._served.get())
        # The template has written the special tokens itself.
        spans = await self._generator.tokenize(prompt.text, add_special_tokens=False)
        answer = {"tokenize_response": _plain(spans), "templated_text": prompt.text}
        return Response(to_json(answer), media_type="application/json")


def _plain(spans: list[Span]) -> list[dict[str, int | str]]:
    """Tokens as `SimpleToken` objects."""
    return [{"id": each.id, "text": each.text, "start": each.start, "stop": each.stop} for each in spans]
