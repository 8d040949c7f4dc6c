"""OpenAI's POST /v1/completions."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any
from uuid import uuid4

from fastapi import APIRouter, Body, Request, Response
from pydantic_core import to_json

from router.answers import Answer, Collected
from router.api.body import json_route
from router.api.completions_bodies import choice, usage
from router.api.completions_rules import Completions, to_completions
from router.api.completions_schema import COMPLETION_EXAMPLES, Completion, CompletionChunk, CompletionRequest
from router.api.completions_stream import StreamWriter
from router.api.openai_rules import Limits
from router.api.openai_stream import openai_stream
from router.api.responses import answered, client_closed_request
from router.api.timings import Timing
from router.connection import unless_hung_up
from router.generation import Generations
from router.metrics import Metrics
from router.prompts import collect_all, merged
from router.served import ServedModel
from router.streaming import frame

Wanted = Annotated[CompletionRequest, Body(openapi_examples=COMPLETION_EXAMPLES)]


class CompletionRoutes:
    """Translates between the bodies of OpenAI's completions and generations."""

    def __init__(
        self,
        generations: Generations,
        *,
        metrics: Metrics,
        served: ServedModel,
        limits: Limits,
        compute_type: str,
        payload_limit: int,
    ) -> None:
        self._generations = generations
        self._metrics = metrics
        self._served = served
        self._limits = limits
        self._compute_type = compute_type
        self.router = APIRouter(tags=["OpenAI"], route_class=json_route(limit=payload_limit))
        self.router.add_api_route(
            "/v1/completions",
            self.complete,
            methods=["POST"],
            responses=answered(Completion, event=CompletionChunk),
        )

    async def complete(self, request: Request, body: Wanted) -> Response:
        """Continue a prompt or several.

        A stream ends with `[DONE]`. What fails before its first event is an answer like any other; what fails
        later is an event: `{"error": {"message", "type", "http_status_code"}}`.
        """
        characters = len("".join(body.prompt))
        headers = {"x-compute-type": self._compute_type, "x-compute-characters": str(characters)}
        if body.stream:
            return await openai_stream(request, self._frames(body), headers=headers)
        answer = await unless_hung_up(request.receive, self._answer(body))
        if answer is None:
            return client_closed_request()
        content, timings = answer
        return Response(content, media_type="application/json", headers={**headers, **timings})

    async def _answer(self, body: CompletionRequest) -> tuple[bytes, dict[str, str]]:
        timing = Timing()
        with self._metrics.request():
            wanted = to_completions(body, limits=self._limits)
            head = await self._head()
            collected = await collect_all(self._generations, wanted.requests, begun=timing.validated)
        completions = [answer.completion for each in collected for answer in each.answers]
        prompt_tokens = sum(each.answers[0].completion.input_tokens for each in collected)
        generated = sum(each.generated_tokens for each in completions)
        answer = {
            **head,
            "choices": _choices(wanted, collected),
            "usage": usage(prompt_tokens=prompt_tokens, completion_tokens=generated),
        }
        return to_json(answer), timing.headers(completions, prompt_tokens=prompt_tokens)

    async def _frames(self, body: CompletionRequest) -> AsyncGenerator[bytes, None]:
        with self._metrics.request():
            wanted = to_completions(body, limits=self._limits)
            writer = StreamWriter(wanted, head=await self._head())
            async with aclosing(merged(self._generations, wanted.requests)) as events:
                async for number, event in events:
                    yield frame(writer.chunk(number, event))
            if wanted.with_usage_event:
                yield frame(writer.usage_chunk())

    async def _head(self) -> dict[str, Any]:
        """What every answer and every event begins with."""
        model = await self._served.get()
        return {
            "id": f"cmpl-{uuid4().hex}",
            "object": "text_completion",
            "created": int(time.time()),
            "model": model.id,
            "system_fingerprint": f"{model.version}-native",
        }


def _choices(wanted: Completions, collected: list[Collected]) -> list[dict[str, Any]]:
    return [
        choice(
            number * wanted.n + rank,
            answer,
            echo=wanted.requests[number].inputs if wanted.echo else None,
            prefill=each.prefill,
            with_logprobs=wanted.with_logprobs,
        )
        for number, each in enumerate(collected)
        for rank, answer in enumerate(_best(each.answers, wanted.n))
    ]


def _best(answers: list[Answer], count: int) -> list[Answer]:
    if count == len(answers):
        return answers
    return sorted(answers, key=lambda each: each.mean_logprob, reverse=True)[:count]
