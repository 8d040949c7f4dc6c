"""Clients that cost next to nothing: raw sockets, each reading one stream after the other."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import dataclass
from time import monotonic_ns

SENT = re.compile(rb'"text":" (\d+)"')


@dataclass(frozen=True, kw_only=True)
class Load:
    """What the clients ask for together."""

    streams: int
    tokens: int
    """Of each stream."""
    microseconds: int
    """From one step of the shard to the next; 0 is no pause."""
    spread_seconds: float
    """The streams begin evenly within this time."""


async def first_event_latency(reader: asyncio.StreamReader) -> tuple[float, bytes]:
    """Seconds from when the shard sent its first token until its event is here, and the bytes around it.

    Raises:
        RuntimeError: the answer is not a stream.
    """
    head = await reader.readuntil(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(head.decode())
    event = b""
    while (sent := SENT.search(event)) is None:
        event += await reader.read(65536)
    return (monotonic_ns() - int(sent[1])) / 1e9, event


async def stream(host: str, port: int, load: Load) -> float:
    """Read one answer to its end; return the latency of its first event in seconds.

    Raises:
        RuntimeError: it lacks tokens.
    """
    parameters = {"max_new_tokens": load.tokens, "truncate": load.microseconds or None}
    body = json.dumps({"inputs": "a", "parameters": parameters})
    reader, writer = await asyncio.open_connection(host, port)
    head = f"POST /generate_stream HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n"
    writer.write(f"{head}connection: close\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode())
    latency, event = await first_event_latency(reader)
    counted, rest = event.count(b'"index"'), event[-6:]
    while data := await reader.read(1 << 20):
        # What is cut between two reads is counted with the second.
        counted += (rest + data).count(b'"index"')
        rest = data[-6:]
    writer.close()
    if counted != load.tokens:
        raise RuntimeError(f"{counted} of {load.tokens} tokens arrived")
    return latency


async def streams(host: str, port: int, load: Load) -> list[float]:
    """The latencies of the first events of all streams, read at the same time."""

    async def begun(number: int) -> float:
        await asyncio.sleep(load.spread_seconds * number / load.streams)
        return await stream(host, port, load)

    return await asyncio.gather(*(begun(number) for number in range(load.streams)))
