"""Work that ends with the client's connection."""

from __future__ import annotations

import asyncio

import pytest
from starlette.types import Message

from router.connection import unless_hung_up


class Client:
    """Hangs up when told to, and says something else before."""

    def __init__(self) -> None:
        self.messages: asyncio.Queue[Message] = asyncio.Queue()

    async def receive(self) -> Message:
        return await self.messages.get()

    def hang_up(self) -> None:
        self.messages.put_nowait({"type": "http.request", "body": b"", "more_body": False})
        self.messages.put_nowait({"type": "http.disconnect"})


async def test_the_result_is_that_of_the_work() -> None:
    async def work() -> str:
        return "done"

    assert await unless_hung_up(Client().receive, work()) == "done"


async def test_a_failure_is_that_of_the_work() -> None:
    async def work() -> None:
        raise LookupError("it failed")

    with pytest.raises(LookupError, match="it failed"):
        await unless_hung_up(Client().receive, work())


async def test_a_client_that_hangs_up_cancels_the_work() -> None:
    client, cancelled = Client(), asyncio.Event()

    async def work() -> str:
        client.hang_up()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return "done"

    assert await unless_hung_up(client.receive, work()) is None
    assert cancelled.is_set()


async def test_cancelling_from_outside_cancels_the_work() -> None:
    begun, cancelled = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    outer = asyncio.create_task(unless_hung_up(Client().receive, work()))
    await begun.wait()
    outer.cancel()
    with pytest.raises(asyncio.CancelledError):
        await outer
    assert cancelled.is_set()
