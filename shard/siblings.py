"""Several answers to one prompt, as one stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing
from typing import TypeAlias

from shard import sequence
from shard.answer import Answer, Event
from shard.engine import Engine

Member: TypeAlias = "tuple[sequence.Sequence, Answer]"


async def answers(engine: Engine, members: Sequence[Member]) -> AsyncGenerator[tuple[int, Event], None]:
    """The events of all answers as they come, each with its answer's place in `members`.

    The first answer reads the prompt; the others start when it has, and find the prompt in the cache. Closing
    the stream ends all of them. Raises what `Engine.generation` raises, for any of them.
    """
    async with AsyncExitStack() as running:
        first = await running.enter_async_context(engine.generation(*members[0]))
        event = await anext(first)
        streams = {} if event.finish_reason else {0: first}
        for index, member in enumerate(members[1:], start=1):
            streams[index] = await running.enter_async_context(engine.generation(*member))
        yield 0, event
        if len(streams) == 1:
            for index, stream in streams.items():
                async for event in stream:
                    yield index, event
            return
        async with aclosing(_merged(streams)) as merged:
            async for pair in merged:
                yield pair


async def _merged(streams: Mapping[int, AsyncIterator[Event]]) -> AsyncGenerator[tuple[int, Event], None]:
    coming = {index: asyncio.ensure_future(anext(stream)) for index, stream in streams.items()}
    try:
        while coming:
            await asyncio.wait(coming.values(), return_when=asyncio.FIRST_COMPLETED)
            for index in [index for index, each in coming.items() if each.done()]:
                event = coming[index].result()
                if event.finish_reason:
                    del coming[index]
                else:
                    coming[index] = asyncio.ensure_future(anext(streams[index]))
                yield index, event
    finally:
        for each in coming.values():
            each.cancel()
        await asyncio.gather(*coming.values(), return_exceptions=True)
