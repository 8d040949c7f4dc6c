"""The framing of server-sent events, and the response that sends them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest
from starlette.types import Message

from router.streaming import EventStream, frame


class Wire:
    """A connection that keeps what is sent on it."""

    def __init__(self) -> None:
        self.sent: list[Message] = []
        self.bodies: asyncio.Queue[bytes] = asyncio.Queue()
        self.hung_up = asyncio.Event()

    async def receive(self) -> Message:
        await self.hung_up.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        self.sent.append(message)
        if message["type"] == "http.response.body":
            self.bodies.put_nowait(message["body"])


def test_a_frame_is_compact_json_with_its_characters_as_they_are() -> None:
    expected = 'data: {"text":"grüß\\n\\"dich\\" 🐕","name":null}\n\n'
    assert frame({"text": 'grüß\n"dich" 🐕', "name": None}) == expected.encode()


async def test_frames_are_sent_one_by_one_after_the_headers() -> None:
    async def frames() -> AsyncGenerator[bytes, None]:
        yield b"data: 1\n\n"
        yield b"data: 2\n\n"

    wire = Wire()
    await EventStream(frames(), headers={"x-compute-type": "cpu"})({}, wire.receive, wire.send)
    start, *bodies = wire.sent
    headers = dict(start["headers"])
    assert start["status"] == 200
    assert headers[b"content-type"].startswith(b"text/event-stream")
    assert headers[b"x-accel-buffering"] == b"no"
    assert headers[b"x-compute-type"] == b"cpu"
    assert b"content-length" not in headers
    assert [body["body"] for body in bodies] == [b"data: 1\n\n", b"data: 2\n\n", b""]
    assert [body["more_body"] for body in bodies] == [True, True, False]


async def test_a_silence_is_filled_with_comments() -> None:
    speak = asyncio.Event()

    async def frames() -> AsyncGenerator[bytes, None]:
        await speak.wait()
        yield b"data: 1\n\n"

    wire = Wire()
    response = EventStream(frames(), headers={}, keep_alive_seconds=0.001)
    sending = asyncio.create_task(response({}, wire.receive, wire.send))
    for _ in range(3):
        assert await wire.bodies.get() == b":\n\n"
    speak.set()
    await sending
    assert b"data: 1\n\n" in [message.get("body") for message in wire.sent]


async def test_a_client_that_hangs_up_closes_the_source() -> None:
    closed, waiting = asyncio.Event(), asyncio.Event()

    async def frames() -> AsyncGenerator[bytes, None]:
        try:
            yield b"data: 1\n\n"
            waiting.set()
            await asyncio.Event().wait()
        finally:
            closed.set()

    wire = Wire()
    sending = asyncio.create_task(EventStream(frames(), headers={})({}, wire.receive, wire.send))
    await waiting.wait()
    wire.hung_up.set()
    await sending
    assert closed.is_set()


async def test_a_client_that_hung_up_before_the_first_frame_closes_the_source() -> None:
    wire = Wire()
    wire.hung_up.set()
    begun = False

    async def frames() -> AsyncGenerator[bytes, None]:
        nonlocal begun
        begun = True
        await asyncio.Event().wait()
        yield b""

    source = frames()
    await EventStream(source, headers={})({}, wire.receive, wire.send)
    assert begun
    with pytest.raises(StopAsyncIteration):
        await anext(source)
