"""TGI's routes: POST /generate and POST /generate_stream."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from time import perf_counter
from typing import Annotated, Any

from fastapi import APIRouter, Body, Request, Response
from grpc import StatusCode

from router.api.body import json_route
from router.api.tgi_examples import EXAMPLES
from router.api.tgi_rules import Limits, to_generation
from router.api.tgi_schema import (
    Details,
    GenerateRequest,
    GenerateResponse,
    StreamDetails,
    StreamResponse,
    Token,
)
from router.connection import unless_hung_up
from router.errors import ErrorResponse, RequestError, tgi_error
from router.generation import Answer, Generations, TokenEvent, collect
from router.generation import Token as GeneratedToken
from router.streaming import EventStream, frame

logger = logging.getLogger(__name__)

Wanted = Annotated[GenerateRequest, Body(openapi_examples=EXAMPLES)]

CLIENT_CLOSED_REQUEST = 499
"""nginx's status for its log; the client is not there to read it."""


NEVER_READ = {
    400: "Malformed JSON",
    413: "The body is too large",
    415: "The body is not application/json",
    422: "Input validation error",
}
FAILED = {424: "Generation error", 429: "Model is overloaded", 500: "Incomplete generation"}

Responses = dict[int | str, dict[str, Any]]


def _whole_responses() -> Responses:
    failures = {**NEVER_READ, **FAILED}
    return {
        200: {"model": GenerateResponse, "description": "Generated text"},
        **{status: {"model": ErrorResponse, "description": text} for status, text in failures.items()},
    }


def _stream_responses() -> Responses:
    # FastAPI would give a model the route's own media type, but what fails before the stream is JSON.
    failure = {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorResponse"}}}
    return {
        200: {"model": StreamResponse, "description": "One event a token; a failure is an event too"},
        **{status: {"content": failure, "description": text} for status, text in NEVER_READ.items()},
    }


class TgiRoutes:
    """Translates between TGI's bodies and generations; what it answers depends on nothing but the request."""

    def __init__(
        self, generations: Generations, *, limits: Limits, compute_type: str, payload_limit: int
    ) -> None:
        self._generations = generations
        self._limits = limits
        self._compute_type = compute_type
        self.router = APIRouter(
            tags=["Text Generation Inference"], route_class=json_route(limit=payload_limit)
        )
        self.router.add_api_route(
            "/generate",
            self.generate,
            methods=["POST"],
            responses=_whole_responses(),
        )
        self.router.add_api_route(
            "/generate_stream",
            self.generate_stream,
            methods=["POST"],
            status_code=200,
            response_class=EventStream,
            responses=_stream_responses(),
        )

    async def generate(self, request: Request, body: Wanted) -> Response:
        """Generate an answer and return it whole."""
        answered = await unless_hung_up(request.receive, self._answer(body))
        return answered or Response(status_code=CLIENT_CLOSED_REQUEST)

    async def generate_stream(self, body: Wanted) -> Response:
        """Generate an answer and send its tokens as server-sent events while they come.

        The status is 200 from the first byte, so a failure is an event too: `{"error", "error_type"}`.
        """
        headers = {
            "x-compute-type": self._compute_type,
            "x-compute-characters": str(len(body.inputs)),
        }
        return EventStream(self._frames(body), headers=headers)

    async def _answer(self, body: GenerateRequest) -> Response:
        started = perf_counter()
        wanted = to_generation(body, limits=self._limits, streaming=False)
        async with self._generations.run(wanted) as events:
            validated = perf_counter()
            answer = await collect(events)
        timings = self._timings(answer, started=started, validated=validated, ended=perf_counter())
        headers = {"x-compute-characters": str(len(body.inputs)), **timings}
        content = _generate_response(body, answer).model_dump_json(exclude_unset=True)
        return Response(content, media_type="application/json", headers=headers)

    def _timings(self, answer: Answer, *, started: float, validated: float, ended: float) -> dict[str, str]:
        """TGI's headers. How long the shard let the request wait is not told: it is part of the inference."""
        total, validation, inference = ended - started, validated - started, ended - validated
        generated = answer.completion.generated_tokens
        logger.info("%d tokens in %.3f s, %.3f s of them validation", generated, total, validation)
        return {
            "x-compute-type": self._compute_type,
            "x-compute-time": str(total),
            "x-total-time": str(int(total * 1000)),
            "x-validation-time": str(int(validation * 1000)),
            "x-queue-time": "0",
            "x-inference-time": str(int(inference * 1000)),
            "x-time-per-token": str(int(inference * 1000 / max(generated, 1))),
            "x-prompt-tokens": str(answer.completion.input_tokens),
            "x-generated-tokens": str(generated),
        }

    async def _frames(self, body: GenerateRequest) -> AsyncGenerator[bytes, None]:
        try:
            wanted = to_generation(body, limits=self._limits, streaming=True)
            async with self._generations.run(wanted) as events:
                index = 0
                async for event in events:
                    index += 1
                    yield frame(_stream_response(body, event, index=index))
        except RequestError as failure:
            yield frame(_stream_error(failure))
        except Exception:
            # The status has been sent: an event is the only way left to say it.
            logger.exception("a stream failed unexpectedly")
            yield frame(_stream_error(RequestError(StatusCode.INTERNAL, "Server error: internal error")))


def _full_text(body: GenerateRequest, text: str) -> str:
    full = body.parameters is not None and body.parameters.return_full_text
    return body.inputs + text if full else text


def _generate_response(body: GenerateRequest, answer: Answer) -> GenerateResponse:
    text = _full_text(body, answer.completion.text)
    parameters = body.parameters
    if parameters is None or not (parameters.details or parameters.decoder_input_details):
        return GenerateResponse(generated_text=text)
    details = Details(
        finish_reason=answer.completion.finish_reason,
        generated_tokens=answer.completion.generated_tokens,
        prefill=[],
        tokens=[_token(token) for token in answer.tokens],
        seed=answer.completion.seed,
    )
    return GenerateResponse(generated_text=text, details=details)


def _stream_response(body: GenerateRequest, event: TokenEvent, *, index: int) -> StreamResponse:
    completion, details = event.completion, None
    if completion and body.parameters and body.parameters.details:
        details = StreamDetails(
            finish_reason=completion.finish_reason,
            generated_tokens=completion.generated_tokens,
            seed=completion.seed,
            input_length=completion.input_tokens,
        )
    return StreamResponse(
        index=index,
        token=_token(event.token),
        generated_text=_full_text(body, completion.text) if completion else None,
        details=details,
    )


def _stream_error(failure: RequestError) -> ErrorResponse:
    if failure.code is StatusCode.DATA_LOSS:
        return ErrorResponse(error="Incomplete generation stream", error_type="incomplete_generation_stream")
    return tgi_error(failure)[1]


def _token(token: GeneratedToken) -> Token:
    return Token(id=token.id, text=token.text, logprob=token.logprob, special=token.special)
