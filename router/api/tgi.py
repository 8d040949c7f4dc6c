"""TGI's routes that generate: POST /, POST /generate and POST /generate_stream."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Mapping
from typing import Annotated

from fastapi import APIRouter, Body, Request, Response
from grpc import StatusCode

from router.answers import collect
from router.api.body import json_route
from router.api.responses import answered, client_closed_request, streamed
from router.api.tgi_bodies import generate_response, stream_event, with_default_full_text
from router.api.tgi_examples import EXAMPLES
from router.api.tgi_rules import Limits, to_generation
from router.api.tgi_schema import GenerateRequest, GenerateResponse, StreamResponse
from router.api.timings import Timing
from router.connection import unless_hung_up
from router.errors import ErrorResponse, RequestError, tgi_error
from router.generation import Generations
from router.metrics import Metrics
from router.streaming import EventStream, frame

logger = logging.getLogger(__name__)

Wanted = Annotated[GenerateRequest, Body(openapi_examples=EXAMPLES)]


class TgiRoutes:
    """Translates between TGI's bodies and generations; what it answers depends on nothing but the request."""

    def __init__(
        self,
        generations: Generations,
        *,
        metrics: Metrics,
        limits: Limits,
        compute_type: str,
        payload_limit: int,
    ) -> None:
        self._generations = generations
        self._metrics = metrics
        self._limits = limits
        self._compute_type = compute_type
        self.router = APIRouter(
            tags=["Text Generation Inference"], route_class=json_route(limit=payload_limit)
        )
        self.router.add_api_route(
            "/",
            self.compat,
            methods=["POST"],
            responses=answered(
                list[GenerateResponse], event=StreamResponse, other_events=[ErrorResponse], done=False
            ),
        )
        self.router.add_api_route(
            "/generate", self.generate, methods=["POST"], responses=answered(GenerateResponse)
        )
        self.router.add_api_route(
            "/generate_stream",
            self.generate_stream,
            methods=["POST"],
            status_code=200,
            response_class=EventStream,
            responses=streamed(StreamResponse, ErrorResponse),
        )

    async def compat(self, request: Request, body: Wanted) -> Response:
        """Generate an answer: a list of it, or with `stream` its tokens as on /generate_stream.

        Unlike on the other routes, the prompt stands before the answer unless `return_full_text` is false.
        """
        body = with_default_full_text(body)
        if body.stream:
            return self._stream(body)
        return await self._whole(request, body, listed=True)

    async def generate(self, request: Request, body: Wanted) -> Response:
        """Generate an answer and return it whole."""
        return await self._whole(request, body, listed=False)

    async def generate_stream(self, body: Wanted) -> Response:
        """Generate an answer and send its tokens as server-sent events while they come.

        The status is 200 from the first byte, so a failure is an event too: `{"error", "error_type"}`.
        """
        return self._stream(body)

    async def answer(self, body: GenerateRequest) -> tuple[GenerateResponse, Mapping[str, str]]:
        """An answer and the headers that tell what it cost.

        Raises:
            RequestError: there is none.
        """
        timing = Timing()
        with self._metrics.request():
            wanted = to_generation(body, limits=self._limits, streaming=False)
            async with self._generations.run(wanted) as events:
                timing.validated()
                collected = await collect(events)
        best = max(collected.answers, key=lambda each: each.mean_logprob)
        others = [each for each in collected.answers if each is not best]
        response = generate_response(body, best, others=others, prefill=collected.prefill)
        timings = timing.headers([best.completion], prompt_tokens=best.completion.input_tokens)
        return response, {**self._headers(body), **timings}

    async def _whole(self, request: Request, body: GenerateRequest, *, listed: bool) -> Response:
        answer = await unless_hung_up(request.receive, self.answer(body))
        if answer is None:
            return client_closed_request()
        response, headers = answer
        content = response.model_dump_json(exclude_unset=True)
        return Response(
            f"[{content}]" if listed else content, media_type="application/json", headers=dict(headers)
        )

    def _stream(self, body: GenerateRequest) -> Response:
        return EventStream(self._frames(body), headers=self._headers(body))

    def _headers(self, body: GenerateRequest) -> dict[str, str]:
        return {"x-compute-type": self._compute_type, "x-compute-characters": str(len(body.inputs))}

    async def _frames(self, body: GenerateRequest) -> AsyncGenerator[bytes, None]:
        try:
            with self._metrics.request():
                wanted = to_generation(body, limits=self._limits, streaming=True)
                async with self._generations.run(wanted) as events:
                    index = 0
                    async for event in events:
                        index += 1
                        yield frame(stream_event(body, event, index=index))
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
