"""Answers of an OpenAI-compatible server, streamed to clients that cost next to nothing: raw sockets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from launcher.address import Address

EVENT = b"data: {"
USAGE = b'"completion_tokens":'


@dataclass(frozen=True, kw_only=True)
class Request:
    """A prompt and how many tokens its answer has, exactly."""

    prompt: str
    tokens: int
    schema: dict[str, Any] | None = None
    """Of the answer, which must not be able to end before."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """When the pieces of one answer came. All times are `perf_counter`'s."""

    began: float
    times: tuple[float, ...]
    """Of each event with text; one event may be more than one token."""
    tokens: int

    @property
    def first_token(self) -> float:
        """Seconds from the request to the first event."""
        return self.times[0] - self.began

    @property
    def per_token(self) -> float:
        """Seconds from one token to the next, on average."""
        return (self.times[-1] - self.times[0]) / max(1, self.tokens - 1)


async def answer(address: Address, model: str, request: Request) -> Answer:
    """Stream one greedy answer of /v1/completions that does not end early.

    Raises:
        RuntimeError: it is not what was asked for.
    """
    body = json.dumps(_body(model, request))
    head = f"POST /v1/completions HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n"
    began = perf_counter()
    reader, writer = await asyncio.open_connection(address.host, address.port)
    writer.write(f"{head}connection: close\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode())
    times: list[float] = []
    received = b""
    while data := await reader.read(1 << 20):
        now = perf_counter()
        cut = max(0, len(received) - len(EVENT) + 1)  # an event's beginning may be cut between two reads
        received += data
        times += [now] * received.count(EVENT, cut)
    writer.close()
    if not received.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(received.decode(errors="replace")[-2000:])
    tokens = int(received.rpartition(USAGE)[2].split(b",")[0].split(b"}")[0] or 0)
    if tokens != request.tokens:
        raise RuntimeError(f"{tokens} tokens instead of {request.tokens}")
    return Answer(began=began, times=tuple(times[:-1]), tokens=tokens)  # the last one is the usage


def _body(model: str, request: Request) -> dict[str, Any]:
    body: dict[str, Any] = {
        "model": model,
        "prompt": request.prompt,
        "max_tokens": request.tokens,
        "temperature": 0,
        "ignore_eos": request.schema is None,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if request.schema is not None:
        form = {"name": "answer", "schema": request.schema}
        body["response_format"] = {"type": "json_schema", "json_schema": form}
    return body


@dataclass(frozen=True, kw_only=True)
class Round:
    """Answers that were asked for at the same time."""

    tokens_per_second: float
    """Of all, from the first request to the last token."""
    first_token: float
    """Seconds, the median of the answers."""
    per_token: float
    """Seconds, the median of the answers."""


def together(address: Address, model: str, requests: Sequence[Request]) -> Round:
    """Ask for all at the same time."""

    async def run() -> list[Answer]:
        return await asyncio.gather(*(answer(address, model, request) for request in requests))

    answers = asyncio.run(run())
    seconds = max(each.times[-1] for each in answers) - min(each.began for each in answers)
    middle = len(answers) // 2
    return Round(
        tokens_per_second=sum(each.tokens for each in answers) / seconds,
        first_token=sorted(each.first_token for each in answers)[middle],
        per_token=sorted(each.per_token for each in answers)[middle],
    )
