"""GrammarLibrary over a real Redis server, with a compiler that counts and waits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest
from redis.asyncio import Redis

from grammar_service.cache import RedisCache
from grammar_service.grammar import CanonicalGrammar
from grammar_service.library import GrammarLibrary
from grammar_service.memory import MemoryCache
from grammar_service.outcome import Compiled, Outcome, Refused, encode
from protos import automaton_pb2, grammar_pb2
from protos.errors import InvalidRequestError, OverloadedError
from protos.grammar_pb2 import ORIGIN_COMPILED, ORIGIN_MEMORY, ORIGIN_REDIS

if TYPE_CHECKING:
    from tests.grammar_service.conftest import RedisServer

GRAMMAR = CanonicalGrammar(automaton_id="id", message=b"grammar")
OTHER_GRAMMAR = CanonicalGrammar(automaton_id="other id", message=b"other grammar")
AUTOMATON = automaton_pb2.Automaton(format_version=2, num_states=2)
SUMMARY = grammar_pb2.Summary(num_states=2, compile_seconds=0.25)
COMPILED = Compiled(AUTOMATON, SUMMARY)


class FakeCompiler:
    """Answers `outcome` to everything, once it is allowed to."""

    def __init__(self, outcome: Outcome | Exception | None = None) -> None:
        self.outcome = outcome or COMPILED
        self.calls = 0
        self.called = asyncio.Event()
        self.may_finish = asyncio.Event()
        self.may_finish.set()

    async def compile(self, grammar: CanonicalGrammar) -> Outcome:
        self.calls += 1
        self.called.set()
        await self.may_finish.wait()
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


class Replicas:
    """Libraries that share one Redis, each with a memory of its own."""

    def __init__(self, server: RedisServer, stack: AsyncExitStack) -> None:
        self._url = server.url
        self._stack = stack

    async def cache(self) -> RedisCache:
        cache = RedisCache(
            self._url, prefix="test:", expiry_seconds=1000, claim_seconds=60.0, retry_seconds=0.05
        )
        return await self._stack.enter_async_context(cache)

    async def library(self, compiler: FakeCompiler, *, patience_seconds: float = 60.0) -> GrammarLibrary:
        library = library_of(compiler, redis=await self.cache(), patience_seconds=patience_seconds)
        return await self._stack.enter_async_context(library)


@pytest.fixture
async def replicas(redis_server: RedisServer) -> AsyncIterator[Replicas]:
    async with AsyncExitStack() as stack:
        yield Replicas(redis_server, stack)


def library_of(
    compiler: FakeCompiler, *, redis: RedisCache | None = None, patience_seconds: float = 60.0
) -> GrammarLibrary:
    memory = MemoryCache(max_entries=10, max_bytes=1_000_000, passing_seconds=60.0)
    return GrammarLibrary(compiler=compiler, memory=memory, redis=redis, patience_seconds=patience_seconds)


async def test_a_grammar_is_compiled_once_and_then_remembered() -> None:
    compiler = FakeCompiler()
    library = library_of(compiler)
    first = await library.find(GRAMMAR)
    again = await library.find(GRAMMAR)
    assert (first.automaton_id, first.automaton, first.origin) == ("id", AUTOMATON, ORIGIN_COMPILED)
    assert first.summary == again.summary == SUMMARY
    assert (again.automaton_id, again.automaton, again.origin) == ("id", AUTOMATON, ORIGIN_MEMORY)
    assert compiler.calls == 1


async def test_a_hundred_callers_at_once_cause_one_compilation() -> None:
    compiler = FakeCompiler()
    library = library_of(compiler)
    compiler.may_finish.clear()
    callers = [asyncio.create_task(library.find(GRAMMAR)) for _ in range(100)]
    await compiler.called.wait()
    compiler.may_finish.set()
    assert {found.origin for found in await asyncio.gather(*callers)} == {ORIGIN_COMPILED}
    assert compiler.calls == 1


async def test_a_caller_who_hangs_up_takes_nobody_along() -> None:
    compiler = FakeCompiler()
    library = library_of(compiler)
    compiler.may_finish.clear()
    first, second = (asyncio.create_task(library.find(GRAMMAR)) for _ in range(2))
    await compiler.called.wait()
    first.cancel()
    await asyncio.wait({first})
    assert first.cancelled()
    compiler.may_finish.set()
    assert (await second).automaton == AUTOMATON
    assert compiler.calls == 1


async def test_a_compilation_nobody_waits_for_any_more_is_still_remembered() -> None:
    compiler = FakeCompiler()
    library = library_of(compiler)
    compiler.may_finish.clear()
    caller = asyncio.create_task(library.find(GRAMMAR))
    await compiler.called.wait()
    caller.cancel()
    await asyncio.wait({caller})
    compiler.may_finish.set()
    assert (await library.find(GRAMMAR)).automaton == AUTOMATON
    assert compiler.calls == 1


async def test_different_grammars_do_not_wait_for_each_other() -> None:
    compiler = FakeCompiler()
    library = library_of(compiler)
    compiler.may_finish.clear()
    slow = asyncio.create_task(library.find(GRAMMAR))
    await compiler.called.wait()
    finish_slow, compiler.may_finish = compiler.may_finish, asyncio.Event()
    compiler.may_finish.set()
    assert (await library.find(OTHER_GRAMMAR)).automaton == AUTOMATON
    assert not slow.done()
    finish_slow.set()
    assert (await slow).automaton == AUTOMATON


async def test_refusals_are_remembered_in_memory_and_in_redis(replicas: Replicas) -> None:
    compiler = FakeCompiler(Refused("/a: no"))
    library = await replicas.library(compiler)
    other = await replicas.library(compiler)
    for place in (library, library, other):
        with pytest.raises(InvalidRequestError, match=r"^/a: no$"):
            await place.find(GRAMMAR)
    assert compiler.calls == 1


async def test_passing_refusals_are_remembered_in_memory_only(
    replicas: Replicas, redis_client: Redis
) -> None:
    compiler = FakeCompiler(Refused("too slow", lasting=False))
    library = await replicas.library(compiler)
    for _ in range(2):
        with pytest.raises(InvalidRequestError, match="too slow"):
            await library.find(GRAMMAR)
    assert compiler.calls == 1
    assert await redis_client.keys() == [], "neither a value nor a claim is left behind"


async def test_being_overloaded_is_not_remembered(replicas: Replicas, redis_client: Redis) -> None:
    compiler = FakeCompiler(OverloadedError("full"))
    library = await replicas.library(compiler)
    with pytest.raises(OverloadedError):
        await library.find(GRAMMAR)
    assert await redis_client.keys() == []
    compiler.outcome = COMPILED
    assert (await library.find(GRAMMAR)).origin == ORIGIN_COMPILED


async def test_what_one_replica_compiled_another_finds_in_redis(replicas: Replicas) -> None:
    compiler = FakeCompiler()
    await (await replicas.library(compiler)).find(GRAMMAR)
    other = await replicas.library(compiler)
    assert (await other.find(GRAMMAR)).origin == ORIGIN_REDIS
    assert (await other.find(GRAMMAR)).origin == ORIGIN_MEMORY
    assert compiler.calls == 1


async def test_two_replicas_asked_at_once_compile_once(replicas: Replicas) -> None:
    compiler = FakeCompiler()
    libraries = [await replicas.library(compiler) for _ in range(2)]
    compiler.may_finish.clear()
    callers = [asyncio.create_task(libraries[n % 2].find(GRAMMAR)) for n in range(100)]
    await compiler.called.wait()
    assert not any(caller.done() for caller in callers)
    compiler.may_finish.set()
    origins = [found.origin for found in await asyncio.gather(*callers)]
    assert sorted(set(origins)) == [ORIGIN_REDIS, ORIGIN_COMPILED]
    assert compiler.calls == 1


async def test_a_replica_takes_over_when_the_other_gives_up(replicas: Replicas) -> None:
    failing, working = FakeCompiler(OverloadedError("full")), FakeCompiler()
    failing.may_finish.clear()
    first = asyncio.create_task((await replicas.library(failing)).find(GRAMMAR))
    await failing.called.wait()
    second = asyncio.create_task((await replicas.library(working)).find(GRAMMAR))
    failing.may_finish.set()
    assert (await second).origin == ORIGIN_COMPILED
    with pytest.raises(OverloadedError):
        await first


async def test_a_replica_waits_only_so_long_for_another(replicas: Replicas) -> None:
    compiler = FakeCompiler()
    dead = await replicas.cache()
    await dead.claim(GRAMMAR.automaton_id)  # and nothing ever comes of it
    library = await replicas.library(compiler, patience_seconds=0.05)
    assert (await library.find(GRAMMAR)).origin == ORIGIN_COMPILED


async def test_a_damaged_value_is_compiled_anew_and_overwritten(
    replicas: Replicas, redis_client: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    compiler = FakeCompiler()
    await redis_client.set("test:id", b"garbage")
    library = await replicas.library(compiler)
    assert (await library.find(GRAMMAR)).origin == ORIGIN_COMPILED
    assert await redis_client.get("test:id") == encode(COMPILED)
    assert "damaged" in caplog.text


async def test_a_value_of_the_wrong_type_is_compiled_anew_and_overwritten(
    replicas: Replicas, redis_client: Redis
) -> None:
    await redis_client.hset("test:id", "field", "value")
    library = await replicas.library(FakeCompiler())
    assert (await library.find(GRAMMAR)).origin == ORIGIN_COMPILED
    assert await redis_client.get("test:id") == encode(COMPILED)


async def test_redis_killed_during_a_compilation_costs_no_request(
    replicas: Replicas, redis_server: RedisServer
) -> None:
    compiler = FakeCompiler()
    library = await replicas.library(compiler)
    compiler.may_finish.clear()
    callers = [asyncio.create_task(library.find(GRAMMAR)) for _ in range(10)]
    await compiler.called.wait()
    redis_server.kill()
    compiler.may_finish.set()
    assert {found.origin for found in await asyncio.gather(*callers)} == {ORIGIN_COMPILED}
    assert (await library.find(GRAMMAR)).origin == ORIGIN_MEMORY
    assert (await library.find(OTHER_GRAMMAR)).origin == ORIGIN_COMPILED


async def test_a_frozen_redis_costs_no_request(replicas: Replicas, redis_server: RedisServer) -> None:
    compiler = FakeCompiler()
    library = await replicas.library(compiler)
    await library.find(GRAMMAR)
    with redis_server.frozen():
        grammars = [CanonicalGrammar(automaton_id=f"id {n}", message=b"") for n in range(50)]
        found = await asyncio.gather(*(library.find(grammar) for grammar in grammars))
    assert {one.origin for one in found} == {ORIGIN_COMPILED}


async def test_leaving_the_library_ends_what_is_under_way() -> None:
    compiler = FakeCompiler()
    compiler.may_finish.clear()
    async with library_of(compiler) as library:
        caller = asyncio.create_task(library.find(GRAMMAR))
        await compiler.called.wait()
    with pytest.raises(asyncio.CancelledError):
        await caller
