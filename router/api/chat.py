"""OpenAI's route for conversations: POST /v1/chat/completions."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import APIRouter, Body, Request, Response
from pydantic_core import to_json

from router.api.body import json_route
from router.api.chat_answers import ChunkedChoice, WholeChoice, envelope, usage
from router.api.chat_bodies import ChatCompletion, ChatCompletionChunk
from router.api.chat_examples import EXAMPLES
from router.api.chat_rules import Chat, to_chat
from router.api.chat_schema import ChatRequest
from router.api.openai_rules import Limits
from router.api.openai_stream import openai_stream
from router.api.responses import answered, client_closed_request
from router.api.timings import Timing
from router.connection import unless_hung_up
from router.errors import RequestError
from router.generation import Generations
from router.metrics import Metrics
from router.served import ServedModel
from router.streaming import frame
from router.token_event import Completion, TokenEvent

Wanted = Annotated[ChatRequest, Body(openapi_examples=EXAMPLES)]


class ChatRoutes:
    """Translates between OpenAI's bodies and generations, by the chat template of the model."""

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
            "/v1/chat/completions",
            self.chat_completions,
            methods=["POST"],
            responses=answered(ChatCompletion, event=ChatCompletionChunk),
        )

    async def chat_completions(self, request: Request, body: Wanted) -> Response:
        """Answer the last message of a conversation: with text, with calls of tools, or with JSON.

        A stream ends with `[DONE]`. What fails before its first event is an answer like any other; what fails
        later is an event: `{"error": {"message", "type", "http_status_code"}}`.
        """
        if body.stream:
            headers: dict[str, str] = {}
            return await openai_stream(request, self._frames(body, headers), headers=headers)
        answer = await unless_hung_up(request.receive, self.answer(body))
        if answer is None:
            return client_closed_request()
        completion, headers = answer
        return Response(to_json(completion), media_type="application/json", headers=headers)

    async def answer(self, body: ChatRequest) -> tuple[dict[str, Any], dict[str, str]]:
        """A `ChatCompletion` and the headers that tell what it cost.

        Raises:
            RequestError: there is none.
        """
        timing = Timing()
        completions: list[Completion] = []
        with self._metrics.request():
            model = await self._served.get()
            chat = to_chat(body, model, limits=self._limits)
            choices = [WholeChoice(index, chat) for index in range(chat.wanted.n)]
            async with self._events(chat) as events:
                timing.validated()
                async for event in events:
                    choices[event.index].add(event)
                    if event.completion:
                        completions.append(event.completion)
        completion = {
            **envelope(body, model, kind="chat.completion"),
            "choices": [choice.body() for choice in choices],
            "usage": usage(completions),
        }
        timings = timing.headers(completions, prompt_tokens=completions[0].input_tokens)
        return completion, {**self._headers(chat), **timings}

    async def _frames(self, body: ChatRequest, headers: dict[str, str]) -> AsyncGenerator[bytes, None]:
        """The events of a stream. `headers` are put in before the first of them."""
        completions: list[Completion] = []
        with self._metrics.request():
            model = await self._served.get()
            chat = to_chat(body, model, limits=self._limits)
            headers.update(self._headers(chat))
            start = envelope(body, model, kind="chat.completion.chunk")
            choices = [ChunkedChoice(index, chat) for index in range(chat.wanted.n)]
            async with self._events(chat) as events:
                async for event in events:
                    choice = choices[event.index].add(event)
                    if choice is not None:
                        yield frame({**start, "choices": [choice], "usage": None})
                    if event.completion:
                        completions.append(event.completion)
            if body.stream_options and body.stream_options.include_usage:
                yield frame({**start, "choices": [], "usage": usage(completions)})

    def _headers(self, chat: Chat) -> dict[str, str]:
        return {"x-compute-type": self._compute_type, "x-compute-characters": str(len(chat.prompt.text))}

    @asynccontextmanager
    async def _events(self, chat: Chat) -> AsyncIterator[AsyncIterator[TokenEvent]]:
        try:
            async with self._generations.run(chat.wanted) as events:
                yield events
        except RequestError as failure:
            raise chat.prompt.explained(failure) from failure
