"""The routes by which hosting platforms call: SageMaker's POST /invocations, Vertex AI's POST /vertex."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Request, Response
from fastapi.openapi.models import Example
from fastapi.responses import JSONResponse
from pydantic import Discriminator, Tag
from pydantic_core import to_json

from router.api.body import Body as Answer
from router.api.body import JsonObject, json_route
from router.api.chat import ChatRoutes
from router.api.chat_bodies import ChatCompletion, ChatCompletionChunk
from router.api.chat_examples import EXAMPLES as CHAT_EXAMPLES
from router.api.chat_schema import ChatRequest
from router.api.completions import CompletionRoutes
from router.api.completions_schema import COMPLETION_EXAMPLES, Completion, CompletionChunk, CompletionRequest
from router.api.responses import StreamFailure, answered, client_closed_request
from router.api.tgi import TgiRoutes
from router.api.tgi_examples import EXAMPLES
from router.api.tgi_schema import GenerateRequest, GenerateResponse, StreamResponse
from router.connection import unless_hung_up
from router.errors import ErrorResponse, RequestError
from router.prompts import all_of

FORMS = ("inputs", "messages", "prompt")
"""The field that only one kind of request has, and must have."""


def _form(body: Any) -> str | None:
    known = (name for name in FORMS if isinstance(body, dict) and name in body)
    return next(known, None)


Invocation = Annotated[
    Annotated[GenerateRequest, Tag("inputs")]
    | Annotated[ChatRequest, Tag("messages")]
    | Annotated[CompletionRequest, Tag("prompt")],
    Discriminator(
        _form,
        custom_error_type="unknown_form",
        custom_error_message="missing field `inputs`, `messages` or `prompt`",
    ),
]
Instance = Annotated[
    Annotated[GenerateRequest, Tag("inputs")] | Annotated[ChatRequest, Tag("messages")],
    Discriminator(
        _form, custom_error_type="unknown_form", custom_error_message="missing field `inputs` or `messages`"
    ),
]


class VertexRequest(JsonObject):
    """The body of POST /vertex."""

    instances: list[Instance]
    """Requests as POST /generate or POST /v1/chat/completions take them, each answered for itself."""


class VertexResponse(Answer):
    """The answer of POST /vertex."""

    predictions: list[str]
    """The generated texts, in the order of the instances; of tools that are called, the calls as JSON."""


INVOCATION_EXAMPLES: dict[str, Example] = {
    "generate": EXAMPLES["json"],
    "chat": CHAT_EXAMPLES["text"],
    "completion": COMPLETION_EXAMPLES["text"],
}
VERTEX_EXAMPLES: dict[str, Example] = {
    "two": {
        "summary": "A prompt and a conversation",
        "value": {"instances": [EXAMPLES["text"]["value"], CHAT_EXAMPLES["text"]["value"]]},
    }
}


class HostedRoutes:
    """Hands each request on to the routes of the dialect that it is in."""

    def __init__(
        self, *, tgi: TgiRoutes, chat: ChatRoutes, completions: CompletionRoutes, payload_limit: int
    ) -> None:
        self._tgi = tgi
        self._chat = chat
        self._completions = completions
        self.router = APIRouter(tags=["Hosting platforms"], route_class=json_route(limit=payload_limit))
        self.router.add_api_route(
            "/invocations",
            self.invocations,
            methods=["POST"],
            responses=answered(
                list[GenerateResponse] | ChatCompletion | Completion,
                event=ChatCompletionChunk,
                other_events=[CompletionChunk, StreamFailure, StreamResponse, ErrorResponse],
            ),
        )
        self.router.add_api_route(
            "/vertex", self.vertex, methods=["POST"], responses=answered(VertexResponse)
        )

    async def invocations(
        self, request: Request, body: Annotated[Invocation, Body(openapi_examples=INVOCATION_EXAMPLES)]
    ) -> Response:
        """Answer as the route of the request's form does: POST / if there are `inputs`, POST
        /v1/chat/completions if there are `messages`, POST /v1/completions if there is a `prompt`.
        """
        match body:
            case GenerateRequest():
                return await self._tgi.compat(request, body)
            case ChatRequest():
                return await self._chat.chat_completions(request, body)
            case CompletionRequest():
                return await self._completions.complete(request, body)

    async def vertex(
        self, request: Request, body: Annotated[VertexRequest, Body(openapi_examples=VERTEX_EXAMPLES)]
    ) -> Response:
        """Answer several requests at once. If one of them fails, all do."""
        if not body.instances:
            raise RequestError.no_instances()
        texts = await unless_hung_up(request.receive, self._predictions(body))
        if texts is None:
            return client_closed_request()
        return JSONResponse({"predictions": texts})

    async def _predictions(self, body: VertexRequest) -> list[str]:
        return await all_of([self._prediction(instance) for instance in body.instances])

    async def _prediction(self, instance: GenerateRequest | ChatRequest) -> str:
        if isinstance(instance, GenerateRequest):
            response, _ = await self._tgi.answer(instance)
            return response.generated_text
        completion, _ = await self._chat.answer(instance)
        message = completion["choices"][0]["message"]
        content: str | None = message["content"]
        return to_json(message["tool_calls"]).decode() if content is None else content
