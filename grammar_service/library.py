"""Where automata are found: in memory, in Redis, or by compiling, once however many ask."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from grammar_service.cache import RedisCache
from grammar_service.grammar import CanonicalGrammar
from grammar_service.memory import MemoryCache
from grammar_service.outcome import Compiled, DamagedError, Outcome, Refused, decode, encode
from protos import automaton_pb2, grammar_pb2
from protos.errors import InvalidRequestError

logger = logging.getLogger(__name__)

_POLL_SECONDS = 0.02
"""How often to look whether another replica is done: ten compilations of an ordinary schema."""


class Compiler(Protocol):
    """What turns a grammar into an outcome."""

    async def compile(self, grammar: CanonicalGrammar) -> Outcome:
        """Raises `OverloadedError` if it cannot be done now."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """An automaton and where it came from."""

    automaton_id: str
    automaton: automaton_pb2.Automaton
    summary: grammar_pb2.Summary
    origin: grammar_pb2.Origin


class GrammarLibrary:
    """All automata, as far as their callers can tell.

    At most one flight (look-up and compilation) is under way for a grammar; a caller who hangs up leaves it
    to the others.
    """

    def __init__(
        self,
        *,
        compiler: Compiler,
        memory: MemoryCache,
        redis: RedisCache | None,
        patience_seconds: float,
    ) -> None:
        """`patience_seconds`: how long to wait for another replica that compiles the same grammar."""
        self._compiler = compiler
        self._memory = memory
        self._redis = redis
        self._patience_seconds = patience_seconds
        self._flights: dict[str, asyncio.Task[tuple[Outcome, grammar_pb2.Origin]]] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        flights = list(self._flights.values())
        for flight in flights:
            flight.cancel()
        if flights:
            await asyncio.wait(flights)

    async def find(self, grammar: CanonicalGrammar) -> Found:
        """The automaton of `grammar`.

        Raises:
            InvalidRequestError: the grammar is wrong, or exceeds what the service allows a compilation.
            OverloadedError: too many grammars are being compiled.
        """
        key = grammar.automaton_id
        remembered = self._memory.get(key)
        if remembered is not None:
            outcome, origin = remembered, grammar_pb2.ORIGIN_MEMORY
        else:
            # Shielded: this caller may be cancelled, the flight belongs to all who wait for it.
            outcome, origin = await asyncio.shield(self._flight(grammar))
        if isinstance(outcome, Refused):
            raise InvalidRequestError(outcome.message)
        return Found(automaton_id=key, automaton=outcome.automaton, summary=outcome.summary, origin=origin)

    def _flight(self, grammar: CanonicalGrammar) -> asyncio.Task[tuple[Outcome, grammar_pb2.Origin]]:
        key = grammar.automaton_id
        flight = self._flights.get(key)
        if flight is None:
            flight = asyncio.create_task(self._fetch(grammar))
            self._flights[key] = flight
            flight.add_done_callback(lambda done: self._land(key, done))
        return flight

    def _land(self, key: str, flight: asyncio.Task[tuple[Outcome, grammar_pb2.Origin]]) -> None:
        del self._flights[key]
        if not flight.cancelled():
            flight.exception()  # those who wait get it; if all have hung up, nobody is to be told

    async def _fetch(self, grammar: CanonicalGrammar) -> tuple[Outcome, grammar_pb2.Origin]:
        key = grammar.automaton_id
        if self._redis is None:
            outcome = await self._compiler.compile(grammar)
            origin = grammar_pb2.ORIGIN_COMPILED
        else:
            outcome, origin = await self._fetch_shared(self._redis, grammar)
        self._memory.put(key, outcome)
        return outcome, origin

    async def _fetch_shared(
        self, redis: RedisCache, grammar: CanonicalGrammar
    ) -> tuple[Outcome, grammar_pb2.Origin]:
        key = grammar.automaton_id
        outcome = _decode(key, await redis.get(key)) or await self._await_turn(redis, key)
        if outcome is not None:
            return outcome, grammar_pb2.ORIGIN_REDIS
        try:
            outcome = await self._compiler.compile(grammar)
            if isinstance(outcome, Compiled) or outcome.lasting:
                await redis.publish(key, encode(outcome))
        finally:
            await redis.release(key)
        return outcome, grammar_pb2.ORIGIN_COMPILED

    async def _await_turn(self, redis: RedisCache, key: str) -> Outcome | None:
        """What another replica makes of the grammar; None if it is ours to compile, or it takes long."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._patience_seconds
        while True:
            claim = await redis.claim(key)
            outcome = _decode(key, claim.value)
            if outcome is not None or claim.won or loop.time() > deadline:
                return outcome
            await asyncio.sleep(_POLL_SECONDS)


def _decode(key: str, value: bytes | None) -> Outcome | None:
    if value is None:
        return None
    try:
        return decode(value)
    except DamagedError as error:
        logger.warning("the value of %s in Redis is damaged and will be replaced: %s", key, error)
        return None
