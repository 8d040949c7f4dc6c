"""Whether new grammars hold up other streams: `python -m benchmarks.new_schemas`, beside a running Guiderail.

A few streams without a grammar go on while many requests come at once: each with the same known schema, then
each with a schema of its own that no server has seen. The bar: with new schemas, the time between two tokens
of a stream at most doubles at the 99th percentile, compared with known ones.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import Annotated, Any

import httpx
import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.overhead import person

STORY = "Once upon a time, in a town by the sea, there was a lighthouse whose keeper"
REQUEST = "Describe a person who lives here, as JSON:\n"


class Streams:
    """Streams that never end, and the times between their tokens."""

    def __init__(self, client: httpx.AsyncClient, *, count: int, tokens: int) -> None:
        self._client = client
        self._tokens = tokens
        self._gaps: list[float] = []
        self._tasks = [asyncio.create_task(self._run(number)) for number in range(count)]

    async def _run(self, number: int) -> None:
        while True:
            last = None
            body = {"inputs": STORY + " " * number, "parameters": {"max_new_tokens": self._tokens}}
            async with self._client.stream("POST", "/generate_stream", json=body) as response:
                async for line in response.aiter_lines():
                    if line.startswith("data:"):
                        now = perf_counter()
                        if last is not None:
                            self._gaps.append(now - last)
                        last = now

    async def gaps(self, during: Callable[[], Awaitable[None]]) -> list[float]:
        """The times between tokens, in seconds, for as long as something else goes on."""
        self._gaps = []
        await during()
        return self._gaps

    def stop(self) -> None:
        """End them."""
        for task in self._tasks:
            task.cancel()


async def ask_all(client: httpx.AsyncClient, schemas: list[dict[str, Any]], *, tokens: int) -> None:
    """One request with each schema, all at once."""

    async def ask(schema: dict[str, Any]) -> None:
        parameters = {
            "max_new_tokens": tokens,
            "grammar": {"type": "json", "value": schema},
            "complete": "off",
        }
        response = await client.post("/generate", json={"inputs": REQUEST, "parameters": parameters})
        if response.status_code != httpx.codes.OK:
            raise RuntimeError(f"{response.status_code}: {response.text}")

    await asyncio.gather(*map(ask, schemas))


async def measure(
    url: str, *, streams: int, requests: int, tokens: int, rounds: int
) -> dict[str, list[float]]:
    """The times between tokens with nothing else going on, with known schemas and with new ones."""
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=url, timeout=900, limits=limits) as client:
        running = Streams(client, count=streams, tokens=400)
        known = person(secrets.token_hex(4))
        await ask_all(client, [known], tokens=tokens)
        found: dict[str, list[float]] = {"nothing else": [], "known schemas": [], "new schemas": []}
        for _ in range(rounds):
            new = [person(secrets.token_hex(4)) for _ in range(requests)]
            found["nothing else"] += await running.gaps(lambda: asyncio.sleep(8))
            found["known schemas"] += await running.gaps(
                lambda: ask_all(client, [known] * requests, tokens=tokens)
            )
            found["new schemas"] += await running.gaps(lambda: ask_all(client, new, tokens=tokens))  # noqa: B023 (awaited at once)
        running.stop()
        return found


def main(
    url: Annotated[str, typer.Option(help="A running Guiderail, with nothing else to do.")] = (
        "http://127.0.0.1:3000"
    ),
    streams: Annotated[int, typer.Option(min=1, help="Streams whose tokens are timed.")] = 4,
    requests: Annotated[int, typer.Option(min=1, help="Requests that come at once.")] = 100,
    tokens: Annotated[int, typer.Option(min=1, help="Tokens that each of them gets.")] = 16,
    rounds: Annotated[int, typer.Option(min=1, help="How often it is measured.")] = 3,
) -> None:
    """Measure and print a table. Exits with 1 if the bar is missed."""
    console = Console()
    found = asyncio.run(measure(url, streams=streams, requests=requests, tokens=tokens, rounds=rounds))
    table = Table("meanwhile", "tokens", "p50, ms", "p99, ms", "longest, ms")
    p99 = {}
    for name, gaps in found.items():
        p50, p99[name], longest = np.percentile(np.array(gaps) * 1000, [50, 99, 100]).tolist()
        table.add_row(name, str(len(gaps)), f"{p50:.0f}", f"{p99[name]:.0f}", f"{longest:.0f}")
    console.print(table)
    ratio = p99["new schemas"] / p99["known schemas"]
    console.print(f"p99 with new schemas is {ratio:.2f} times that with known ones; the bar: 2")
    raise typer.Exit(0 if ratio <= 2 else 1)


if __name__ == "__main__":
    typer.run(main)
