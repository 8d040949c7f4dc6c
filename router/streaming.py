"""Server-sent events: their framing, and a response that sends them while the client listens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

from pydantic_core import to_json
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from router.connection import unless_hung_up

KEEP_ALIVE_SECONDS = 15.0


def frame(data: Any) -> bytes:
    """One event, byte for byte as TGI writes it: compact JSON, characters unescaped."""
    return b"data: %b\n\n" % to_json(data)


class EventStream(Response):
    """Sends frames as they come and closes their source when it ends, or when the client hangs up.

    A silence is filled with comments, as proxies close connections that are silent for long.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        frames: AsyncGenerator[bytes, None],
        *,
        headers: Mapping[str, str],
        keep_alive_seconds: float = KEEP_ALIVE_SECONDS,
    ) -> None:
        super().__init__(headers={"cache-control": "no-cache", "x-accel-buffering": "no", **headers})
        del self.headers["content-length"]  # of the empty body that Response expects
        self._frames = frames
        self._interval = keep_alive_seconds
        self._last_sent = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with aclosing(self._frames):
            await send(
                {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
            )
            keeping_alive = asyncio.create_task(self._keep_alive(send))
            try:
                await unless_hung_up(receive, self._send_frames(send))
            finally:
                keeping_alive.cancel()

    async def _send_frames(self, send: Send) -> None:
        async for data in self._frames:
            await self._send(send, data)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _keep_alive(self, send: Send) -> None:
        clock = asyncio.get_running_loop()
        self._last_sent = clock.time()
        while True:
            await asyncio.sleep(self._last_sent + self._interval - clock.time())
            if clock.time() >= self._last_sent + self._interval:
                await self._send(send, b":\n\n")

    async def _send(self, send: Send, data: bytes) -> None:
        self._last_sent = asyncio.get_running_loop().time()
        await send({"type": "http.response.body", "body": data, "more_body": True})
