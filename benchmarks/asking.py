"""Many answers of a running server, some at a time, with a bar that shows how far they are."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn

Answer = TypeVar("Answer")


async def ask_all(ask: Callable[[int], Awaitable[Answer]], *, answers: int, concurrency: int) -> list[Answer]:
    """`ask` for the answers numbered from 0, `concurrency` at a time; in the order of their numbers."""
    places = asyncio.Semaphore(concurrency)
    with Progress("answers", BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()) as progress:
        task = progress.add_task("answers", total=answers)

        async def one(number: int) -> Answer:
            async with places:
                answer = await ask(number)
            progress.advance(task)
            return answer

        return await asyncio.gather(*map(one, range(answers)))
