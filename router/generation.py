"""The use case: compile the grammar, let the shard generate, hand on its events."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from time import perf_counter
from typing import Protocol

from router.errors import RequestError
from router.grammar import CompiledGrammar, Grammar
from router.metrics import Metrics
from router.model import Model, Span, Statistics
from router.request import GenerationRequest
from router.token_event import TokenEvent


class GrammarCompiler(Protocol):
    """Turns grammars into automata. Every method but `healthy` raises `RequestError`."""

    async def compile(self, grammar: Grammar) -> CompiledGrammar:
        """The automaton of `grammar`, compiled now or found."""
        ...

    async def healthy(self) -> bool:
        """Whether the service behind it would take a request now."""
        ...


class Generator(Protocol):
    """Runs a model. Every method but `healthy` raises `RequestError`."""

    def generate(
        self, request: GenerationRequest, grammar: CompiledGrammar | None
    ) -> AbstractAsyncContextManager[AsyncIterator[TokenEvent]]:
        """The events of the answers; leaving the block for any reason ends the generation."""
        ...

    async def model(self) -> Model:
        """What is served."""
        ...

    async def statistics(self) -> Statistics:
        """What it is doing."""
        ...

    async def tokenize(self, text: str, *, add_special_tokens: bool) -> list[Span]:
        """The tokens of `text`, with those that a prompt gets around it if `add_special_tokens`."""
        ...

    async def healthy(self) -> bool:
        """Whether the service behind it would take a request now."""
        ...


class Generations:
    """The generations under way, at most `limit`: each one holds a permit while its block is open."""

    def __init__(
        self, *, grammars: GrammarCompiler, generator: Generator, limit: int, metrics: Metrics
    ) -> None:
        self._grammars = grammars
        self._metrics = metrics
        self._generator = generator
        self._permits = limit

    @asynccontextmanager
    async def run(self, request: GenerationRequest) -> AsyncIterator[AsyncIterator[TokenEvent]]:
        """The events of the answers to `request`, its grammar compiled by the time the block is entered.

        The stream ends with the last answer's completion, or in a `RequestError`.

        Raises:
            RequestError: no permit is left, the grammar is refused, or a service cannot be reached.
        """
        if not self._permits:
            raise RequestError.overloaded()
        self._permits -= 1
        began = perf_counter()
        try:
            grammar = await self._compiled(request.grammar) if request.grammar else None
            self._metrics.begun(request, perf_counter() - began)
            async with (
                self._generator.generate(request, grammar) as events,
                aclosing(self._completed(events, request.n)) as completed,
            ):
                yield completed
        finally:
            self._permits += 1

    async def _compiled(self, grammar: Grammar) -> CompiledGrammar:
        began = perf_counter()
        try:
            compiled = await self._grammars.compile(grammar)
        except RequestError:
            self._metrics.compiled("refused", perf_counter() - began)
            raise
        self._metrics.compiled(compiled.origin, perf_counter() - began)
        return compiled

    async def _completed(
        self, events: AsyncIterator[TokenEvent], count: int
    ) -> AsyncGenerator[TokenEvent, None]:
        """The events up to the last completion of `count`."""
        async for event in events:
            if event.completion:
                self._metrics.completed(event.completion)
                count -= 1
            yield event
            if not count:
                return
        raise RequestError.incomplete()
