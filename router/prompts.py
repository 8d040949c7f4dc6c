"""Several generations for one request: all of their answers, or their events as they come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from typing import Any, TypeVar

from router.answers import Collected, collect
from router.generation import Generations
from router.request import GenerationRequest
from router.token_event import TokenEvent

T = TypeVar("T")

Numbered = tuple[int, TokenEvent]
"""Which of the requests, and an event of its answers."""


async def collect_all(
    generations: Generations, requests: Sequence[GenerationRequest], *, begun: Callable[[], None]
) -> list[Collected]:
    """The answers to each request; `begun` is called whenever one has passed what comes before the shard.

    Raises:
        RequestError: one of them failed; the others are cancelled.
    """

    async def answers(request: GenerationRequest) -> Collected:
        async with generations.run(request) as events:
            begun()
            return await collect(events)

    return await all_of([answers(request) for request in requests])


async def all_of(work: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """The results of all of the work; whatever one part of it raises, with the others cancelled."""
    tasks = [asyncio.create_task(each) for each in work]
    try:
        return await asyncio.gather(*tasks)
    finally:
        await _end(tasks)


async def merged(
    generations: Generations, requests: Sequence[GenerationRequest]
) -> AsyncGenerator[Numbered, None]:
    """The events of all requests, in the order in which they come.

    Raises:
        RequestError: one of them failed; the others are cancelled.
    """
    if len(requests) == 1:  # needs no queue
        async with generations.run(requests[0]) as events:
            async for event in events:
                yield 0, event
        return
    queue: asyncio.Queue[Numbered | asyncio.Task[None]] = asyncio.Queue()

    async def pump(number: int, request: GenerationRequest) -> None:
        async with generations.run(request) as events:
            async for event in events:
                queue.put_nowait((number, event))

    tasks = [asyncio.create_task(pump(number, request)) for number, request in enumerate(requests)]
    for task in tasks:
        task.add_done_callback(queue.put_nowait)
    running = len(tasks)
    try:
        while running:
            item = await queue.get()
            if isinstance(item, asyncio.Task):
                item.result()
                running -= 1
            else:
                yield item
    finally:
        await _end(tasks)


async def _end(tasks: Sequence[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
