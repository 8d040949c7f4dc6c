"""The routes by which hosting platforms call: SageMaker's POST /invocations, Vertex AI's POST /vertex."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Request, Response
from fastapi.openapi.models import Example
from fastapi.responses import JSONResponse
from pydantic import Discriminator, Tag

from router.api.body import Body as Answer
from router.api.body import JsonObject, json_route
from router.api.completions import CompletionRoutes
from router.api.completions_schema import COMPLETION_EXAMPLES, Completion, CompletionChunk, CompletionRequest
from router.api.responses import StreamFailure, answered, client_closed_request
from router.api.tgi import TgiRoutes
from router.api.tgi_examples import EXAMPLES
from router.api.tgi_schema import GenerateRequest, GenerateResponse, StreamResponse
from router.connection import unless_hung_up
from router.errors import ErrorResponse, RequestError
from router.prompts import all_of

FORMS = ("inputs", "prompt")
"""The field that only one kind of request has, and must have."""


def _form(body: Any) -> str | None:
    known = (name for name in FORMS if isinstance(body, dict) and name in body)
    return next(known, None)


Invocation = Annotated[
    Annotated[GenerateRequest, Tag("inputs")] | Annotated[CompletionRequest, Tag("prompt")],
    Discriminator(
        _form,
        custom_error_type="unknown_form",
        custom_error_message="missing field `inputs` or `prompt`",
    ),
]


class VertexRequest(JsonObject):
    """The body of POST /vertex."""

    instances: list[GenerateRequest]
    """Requests as POST /generate takes them, each of which is answered for itself."""


class VertexResponse(Answer):
    """The answer of POST /vertex."""

    predictions: list[str]
    """The generated texts, in the order of the instances."""


INVOCATION_EXAMPLES: dict[str, Example] = {
    "generate": EXAMPLES["json"],
    "completion": COMPLETION_EXAMPLES["text"],
}
VERTEX_EXAMPLES: dict[str, Example] = {
    "two": {
        "summary": "Two prompts",
        "value": {"instances": [EXAMPLES["text"]["value"], EXAMPLES["choice"]["value"]]},
    }
}


class HostedRoutes:
    """Hands each request on to the routes of the dialect that it is in."""

    def __init__(self, *, tgi: TgiRoutes, completions: CompletionRoutes, payload_limit: int) -> None:
        self._tgi = tgi
        self._completions = completions
        self.router = APIRouter(tags=["Hosting platforms"], route_class=json_route(limit=payload_limit))
        self.router.add_api_route(
            "/invocations",
            self.invocations,
            methods=["POST"],
            responses=answered(
                list[GenerateResponse] | Completion,
                event=CompletionChunk,
                other_events=[StreamFailure, StreamResponse, ErrorResponse],
            ),
        )
        self.router.add_api_route(
            "/vertex", self.vertex, methods=["POST"], responses=answered(VertexResponse)
        )

    async def invocations(
        self, request: Request, body: Annotated[Invocation, Body(openapi_examples=INVOCATION_EXAMPLES)]
    ) -> Response:
        """Answer as POST / does if there are `inputs`, as POST /v1/completions if there is a `prompt`."""
        if isinstance(body, GenerateRequest):
            return await self._tgi.compat(request, body)
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
        async def text(instance: GenerateRequest) -> str:
            response, _ = await self._tgi.answer(instance)
            return response.generated_text

        return await all_of([text(instance) for instance in body.instances])
