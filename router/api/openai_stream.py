"""Streams of OpenAI's dialect: a refusal before they begin, failures as events, and the mark at their end."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing

from fastapi import Request, Response
from grpc import StatusCode

from router.api.responses import client_closed_request
from router.connection import unless_hung_up
from router.errors import RequestError, tgi_error
from router.streaming import EventStream, frame

logger = logging.getLogger(__name__)

DONE = b"data: [DONE]\n\n"


async def openai_stream(
    request: Request, frames: AsyncGenerator[bytes, None], *, headers: Mapping[str, str]
) -> Response:
    """A response that sends `frames`, once the first one is there.

    Raises:
        RequestError: there is no first one, so that it can still be told by a status.
    """

    async def first_frame() -> bytes:
        return await anext(frames)

    first = await unless_hung_up(request.receive, first_frame())
    if first is None:
        await frames.aclose()
        return client_closed_request()
    return EventStream(_told(first, frames), headers=headers)


async def _told(first: bytes, frames: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    async with aclosing(frames):
        yield first
        try:
            async for data in frames:
                yield data
        except RequestError as failure:
            yield _error(failure)
        except Exception:
            # The status has been sent: an event is the only way left to say it.
            logger.exception("a stream failed unexpectedly")
            yield _error(RequestError(StatusCode.INTERNAL, "Server error: internal error"))
        yield DONE


def _error(failure: RequestError) -> bytes:
    status, body = tgi_error(failure)
    return frame({"error": {"message": body.error, "type": body.error_type, "http_status_code": status}})
