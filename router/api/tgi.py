"""TGI's routes: POST /generate and POST /generate_stream."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from time import perf_counter
from typing import Annotated, Any

from fastapi import APIRouter, Body, Request, Response
from grpc import StatusCode

from router.api.body import json_route
from router.api.tgi_bodies import generate_response, stream_response
from router.api.tgi_examples import EXAMPLES
from router.api.tgi_rules import Limits, to_generation
from router.api.tgi_schema import GenerateRequest, GenerateResponse, StreamResponse
from router.connection import unless_hung_up
from router.errors import ErrorResponse, RequestError, tgi_error
from router.generation import Completion, Generations, collect
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
            collected = await collect(events)
        best = max(collected.answers, key=lambda each: each.mean_logprob)
        others = [each for each in collected.answers if each is not best]
        total, validation = perf_counter() - started, validated - started
        timings = self._timings(best.completion, total=total, validation=validation)
        headers = {"x-compute-characters": str(len(body.inputs)), **timings}
        response = generate_response(body, best, others=others, prefill=collected.prefill)
        content = response.model_dump_json(exclude_unset=True)
        return Response(content, media_type="application/json", headers=headers)

    def _timings(self, completion: Completion, *, total: float, validation: float) -> dict[str, str]:
        """TGI's headers: queue and inference as the shard measured them."""
        generated, inference = completion.generated_tokens, completion.inference_seconds
        queue = completion.queue_seconds
        logger.info(
            "%d tokens in %.3f s: validation %.3f, queue %.3f, inference %.3f",
            *(generated, total, validation, queue, inference),
        )
        return {
            "x-compute-type": self._compute_type,
            "x-compute-time": str(total),
            "x-total-time": str(int(total * 1000)),
            "x-validation-time": str(int(validation * 1000)),
            "x-queue-time": str(int(queue * 1000)),
            "x-inference-time": str(int(inference * 1000)),
            "x-time-per-token": str(int(inference * 1000 / max(generated, 1))),
            "x-prompt-tokens": str(completion.input_tokens),
            "x-generated-tokens": str(generated),
        }

    async def _frames(self, body: GenerateRequest) -> AsyncGenerator[bytes, None]:
        try:
            wanted = to_generation(body, limits=self._limits, streaming=True)
            async with self._generations.run(wanted) as events:
                index = 0
                async for event in events:
                    index += 1
                    yield frame(stream_response(body, event, index=index))
        except RequestError as failure:
            yield frame(_stream_error(failure))
        except Exception:
            # The status has been sent: an event is the only way left to say it.
            logger.exception("a stream failed unexpectedly")
            yield frame(_stream_error(RequestError(StatusCode.INTERNAL, "Server error: internal error")))


def _stream_error(failure: RequestError) -> ErrorResponse:
    if failure.code is StatusCode.DATA_LOSS:
        return ErrorResponse(error="Incomplete generation stream", error_type="incomplete_generation_stream")
    return tgi_error(failure)[1]
