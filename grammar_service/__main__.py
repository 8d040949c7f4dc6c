"""`python -m grammar_service`: the composition root of the grammar service."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack

from grammar_service.cache import RedisCache
from grammar_service.compiler import COMPILER_VERSION, compile_grammar, prepare
from grammar_service.grammar import GrammarReader
from grammar_service.library import GrammarLibrary
from grammar_service.limits import Limits
from grammar_service.memory import MemoryCache
from grammar_service.servicer import SERVICE, GrammarServicer
from grammar_service.settings import Settings
from grammar_service.workers import Workers
from protos import grammar_pb2, grammar_pb2_grpc
from protos.command_line import read_settings
from protos.server import serve

logger = logging.getLogger("grammar_service")


async def run(settings: Settings) -> None:
    """Serve until asked to stop."""
    limits = settings.limits()
    reader = GrammarReader(
        limits=limits, compiler_version=COMPILER_VERSION, max_source_bytes=settings.max_source_bytes
    )
    async with AsyncExitStack() as stack:
        workers = await stack.enter_async_context(open_workers(settings, limits))
        await warm_up(workers, reader, count=settings.workers)
        redis = None
        if settings.redis_url is None:
            logger.info("no GRAMMAR_REDIS_URL: automata are kept in this process only")
        else:
            redis = await stack.enter_async_context(open_redis(settings, settings.redis_url))
        memory = MemoryCache(
            max_entries=settings.cache_entries,
            max_bytes=settings.cache_megabytes << 20,
            passing_seconds=settings.refusal_seconds,
        )
        library = await stack.enter_async_context(
            GrammarLibrary(
                compiler=workers, memory=memory, redis=redis, patience_seconds=settings.replica_seconds
            )
        )
        servicer = GrammarServicer(reader=reader, library=library)
        await serve(
            lambda server: grammar_pb2_grpc.add_GrammarServiceServicer_to_server(servicer, server),
            service=SERVICE,
            address=settings.address,
            grace=settings.drain_seconds,
        )


def open_workers(settings: Settings, limits: Limits) -> Workers:
    """The processes that compile."""
    return Workers(
        compile_grammar,
        prepare=prepare,
        limits=limits,
        workers=settings.workers,
        slow_workers=(settings.workers + 1) // 2,
        seconds=settings.compile_seconds,
        quick_seconds=settings.quick_seconds,
        queue_seconds=settings.queue_seconds,
        queue_length=settings.queue_length,
        memory_bytes=settings.compile_memory_mb << 20,
    )


def open_redis(settings: Settings, url: str) -> RedisCache:
    """The cache that replicas share."""
    return RedisCache(
        url,
        prefix=f"guiderail:automaton:{COMPILER_VERSION}:",
        expiry_seconds=settings.redis_expiry_seconds,
        claim_seconds=settings.queue_seconds + settings.quick_seconds + settings.compile_seconds,
    )


async def warm_up(workers: Workers, reader: GrammarReader, *, count: int) -> None:
    """Start the processes and compile something in them, so that the first caller does not wait for that."""
    grammar = reader.read(
        grammar_pb2.Grammar(json_schema='{"type": "object", "properties": {"a": {"type": "string"}}}')
    )
    await asyncio.gather(*(workers.compile(grammar) for _ in range(count)))


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    asyncio.run(run(read_settings(Settings, service="grammar_service")))


if __name__ == "__main__":
    main()
