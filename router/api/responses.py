"""What the OpenAPI document says of the answers of routes that generate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import Response
from pydantic import BaseModel

from router.api.body import Body
from router.api.document import COMPONENTS, event_schema
from router.errors import ErrorResponse

NEVER_READ = {
    400: "Malformed JSON",
    401: "The API key is missing or wrong",
    413: "The body is too large",
    415: "The body is not application/json",
    422: "Input validation error",
}
FAILED = {424: "Generation error", 429: "Model is overloaded", 500: "Incomplete generation"}


class Failure(Body):
    """What failed."""

    message: str
    type: str
    http_status_code: int
    """The status that would have been, had the stream not begun."""


class StreamFailure(Body):
    """The event of a failure in OpenAI's dialect."""

    error: Failure


Responses = dict[int | str, dict[str, Any]]


def client_closed_request() -> Response:
    """nginx's status for its log; the client is not there to read it."""
    return Response(status_code=499)


def answered(
    model: Any,
    *,
    event: type[BaseModel] | None = None,
    other_events: Sequence[type[BaseModel]] = (StreamFailure,),
    done: bool = True,
) -> Responses:
    """A whole answer that is a `model`, or a failure.

    With `event`, also server-sent events of that type, or of the others, that end with `[DONE]` if `done`.
    """
    success: dict[str, Any] = {"model": model, "description": "The answer"}
    if event is not None:
        success["description"] = "The answer, or with `stream` one event a token; a failure is an event too"
        schema = event_schema([event, *other_events], done=done)
        success["content"] = {"text/event-stream": {"schema": schema}}
    return {200: success, **failures({**NEVER_READ, **FAILED})}


def failures(descriptions: Mapping[int, str]) -> Responses:
    """The failures with these statuses."""
    return {status: {"model": ErrorResponse, "description": text} for status, text in descriptions.items()}


def streamed(*events: type[BaseModel]) -> Responses:
    """Server-sent events of some types, or a failure before the first of them."""
    # FastAPI would give a model the route's own media type, but what fails before the stream is JSON.
    failure = {"application/json": {"schema": {"$ref": COMPONENTS + ErrorResponse.__name__}}}
    return {
        200: {
            "content": {"text/event-stream": {"schema": event_schema(events, done=False)}},
            "description": "One event a token; a failure is an event too",
        },
        **{status: {"content": failure, "description": text} for status, text in NEVER_READ.items()},
    }
