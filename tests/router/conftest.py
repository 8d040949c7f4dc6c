"""A shard and a grammar service with obvious answers, each behind a real gRPC server, and the router."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from protos import (
    automaton_pb2,
    generation_pb2,
    generation_pb2_grpc,
    grammar_pb2,
    grammar_pb2_grpc,
)
from protos.channel import open_channel
from protos.errors import InvalidRequestError
from protos.server import Server
from router.__main__ import Server as HttpServer
from router.app import create_app
from router.grammar_client import GrammarClient
from router.settings import Settings
from router.shard_client import ShardClient

CHAT_TEMPLATE = """{{ bos_token }}{% for message in messages %}
<{{ message.role }}> {{ message.content }} {% endfor %}
{% if add_generation_prompt %}<assistant>{% endif %}"""


class FakeShard(generation_pb2_grpc.GenerationServiceServicer):
    """Answers with the words of the prompt, one token each, every one as likely as -0.3; n times over."""

    def __init__(self) -> None:
        self.requests: list[generation_pb2.GenerateRequest] = []
        self.failures: dict[int, Exception] = {}
        """What to raise instead of the token at an index."""
        self.pieces: list[str] | None = None
        """The texts of the answer's tokens, instead of the words of the prompt."""
        self.finish_reason = generation_pb2.FINISH_REASON_EOS_TOKEN
        self.chat_templates = {"default": CHAT_TEMPLATE}
        self.best = 1
        """The index of the answer that is likelier than the others."""
        self.truncated = False
        """Whether streams end without a completion."""
        self.gate = asyncio.Event()
        """Closed, answers stop after the first token."""
        self.gate.set()
        self.started = asyncio.Event()
        self.cancelled = asyncio.Event()
        self.statistics = generation_pb2.StatisticsReply(
            running=1,
            waiting=2,
            cache_tokens_used=30,
            cache_tokens=400,
            steps=5,
            mask_first_visits=6,
            mask_hits=7,
            mask_seconds=0.5,
            late_masks=8,
        )

    async def Generate(
        self, request: generation_pb2.GenerateRequest, context: Any
    ) -> AsyncIterator[generation_pb2.GenerateEvent]:
        self.requests.append(request)
        self.started.set()
        words = self.pieces or [f" {word}" for word in request.inputs.split()]
        try:
            for place, word in enumerate(words):
                if place:
                    await self.gate.wait()
                if place in self.failures:
                    raise self.failures[place]
                last = place == len(words) - 1 and not self.truncated
                for index in range(max(request.n, 1)):
                    event = self._event(request, word, place=place, index=index)
                    if last:
                        event.completion.CopyFrom(self._completion(request, words, index))
                    yield event
        except (asyncio.CancelledError, GeneratorExit):  # the latter where gRPC was sending an event
            self.cancelled.set()
            raise

    def _event(
        self, request: generation_pb2.GenerateRequest, word: str, *, place: int, index: int
    ) -> generation_pb2.GenerateEvent:
        likely = generation_pb2.Token(id=7, text="likely", logprob=-0.1)
        prompt = [
            generation_pb2.PrefillToken(id=number, text=each, logprob=-1.5 if number else None)
            for number, each in enumerate(request.inputs.split())
        ]
        return generation_pb2.GenerateEvent(
            token=generation_pb2.Token(id=place + 10, text=word, logprob=-0.3),
            index=index,
            top_tokens=[likely] * request.top_n_tokens,
            prefill=prompt if request.prefill_logprobs and not place and not index else [],
        )

    def _completion(
        self, request: generation_pb2.GenerateRequest, words: list[str], index: int
    ) -> generation_pb2.Completion:
        return generation_pb2.Completion(
            text="".join(words),
            finish_reason=self.finish_reason,
            generated_tokens=len(words),
            input_tokens=len(request.inputs.split()),
            seed=42 + index if request.sampling.do_sample else None,
            cumulative_logprob=(-0.3 if index != self.best else -0.2) * len(words),
            queue_seconds=0.25,
            inference_seconds=1.5,
        )

    async def Tokenize(
        self, request: generation_pb2.TokenizeRequest, context: Any
    ) -> generation_pb2.TokenizeReply:
        """Each word is a token, with the space before it; the special one stands for nothing."""
        spans = [generation_pb2.TokenSpan(id=1)] if request.add_special_tokens else []
        start = 0
        for index, word in enumerate(request.inputs.split(" ")):
            text = f" {word}" if index else word
            span = generation_pb2.TokenSpan(id=index + 10, text=text, start=start, stop=start + len(text))
            start += len(text)
            spans.append(span)
        return generation_pb2.TokenizeReply(tokens=spans)

    async def Statistics(
        self, request: generation_pb2.StatisticsRequest, context: Any
    ) -> generation_pb2.StatisticsReply:
        return self.statistics

    async def Info(self, request: generation_pb2.InfoRequest, context: Any) -> generation_pb2.InfoReply:
        return generation_pb2.InfoReply(
            model_id="fake/words",
            dtype="float32",
            device="cpu",
            max_input_tokens=100,
            max_total_tokens=200,
            version="1.2.3",
            chat_templates=[
                generation_pb2.ChatTemplate(name=name, text=text)
                for name, text in self.chat_templates.items()
            ],
            special_tokens={"bos_token": "<s>"},
        )


class FakeGrammarService(grammar_pb2_grpc.GrammarServiceServicer):
    """Compiles everything to one automaton, but refuses what contains the word `forbidden`."""

    def __init__(self) -> None:
        self.requests: list[grammar_pb2.CompileRequest] = []
        self.failures: list[Exception] = []
        """What to raise, one a call, before anything is compiled."""
        self.gate = asyncio.Event()
        """Closed, compilations take for ever."""
        self.gate.set()
        self.started = asyncio.Event()
        self.cancelled = asyncio.Event()

    async def Compile(self, request: grammar_pb2.CompileRequest, context: Any) -> grammar_pb2.CompileReply:
        self.requests.append(request)
        self.started.set()
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        if self.failures:
            raise self.failures.pop(0)
        if "forbidden" in str(request):
            raise InvalidRequestError("/properties/a: keyword `forbidden` is not supported")
        automaton = automaton_pb2.Automaton(format_version=2, start=7)
        return grammar_pb2.CompileReply(
            automaton_id="the-id", automaton=automaton, origin=grammar_pb2.ORIGIN_COMPILED
        )


class Services:
    """Both fakes and the servers around them."""

    def __init__(self) -> None:
        self.shard = FakeShard()
        self.grammars = FakeGrammarService()
        self.shard_server = Server(
            lambda server: generation_pb2_grpc.add_GenerationServiceServicer_to_server(self.shard, server),
            service="guiderail.generation.v1.GenerationService",
        )
        self.grammar_server = Server(
            lambda server: grammar_pb2_grpc.add_GrammarServiceServicer_to_server(self.grammars, server),
            service="guiderail.grammar.v1.GrammarService",
        )
        self.shard_address = ""
        self.grammar_address = ""

    async def start(self) -> None:
        self.shard_address = f"127.0.0.1:{await self.shard_server.start('127.0.0.1:0')}"
        self.grammar_address = f"127.0.0.1:{await self.grammar_server.start('127.0.0.1:0')}"

    async def stop_shard(self) -> None:
        await self.shard_server.stop(grace=0)

    async def stop_grammars(self) -> None:
        await self.grammar_server.stop(grace=0)

    @asynccontextmanager
    async def app(self, **settings: Any) -> AsyncIterator[FastAPI]:
        """The router's application in front of these services."""
        chosen = Settings(**settings)
        async with (
            open_channel(self.shard_address) as shard,
            open_channel(self.grammar_address) as grammars,
        ):
            yield create_app(
                grammars=GrammarClient(grammars, seconds=chosen.compile_seconds),
                generator=ShardClient(shard),
                settings=chosen,
            )

    @asynccontextmanager
    async def client(self, **settings: Any) -> AsyncIterator[httpx.AsyncClient]:
        """A client that calls the application without a network: whole answers only."""
        async with self.app(**settings) as app:
            transport = httpx.ASGITransport(app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://router") as client:
                yield client

    @asynccontextmanager
    async def http(self, **settings: Any) -> AsyncIterator[httpx.AsyncClient]:
        """A client of a real HTTP server."""
        async with self.app(**settings) as app:
            with socket.socket() as listening:
                listening.bind(("127.0.0.1", 0))
                listening.listen()
                port = listening.getsockname()[1]
                server = HttpServer(uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=5))
                serving = asyncio.create_task(server.serve(sockets=[listening]))
                async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
                    yield client
                server.should_exit = True
                await serving


@pytest.fixture
async def services() -> AsyncIterator[Services]:
    """Fakes that serve."""
    services = Services()
    await services.start()
    yield services
    await services.stop_shard()
    await services.stop_grammars()


@pytest.fixture
async def client(services: Services) -> AsyncIterator[httpx.AsyncClient]:
    """The router with its default settings."""
    async with services.client() as client:
        yield client
