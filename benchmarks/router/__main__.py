"""`python -m benchmarks.router`: tokens that the router streams a second and core, and how soon the first."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles
from typing import Annotated

import psutil
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.router.load import Load, streams
from launcher.address import Address, free_addresses
from launcher.service import http_healthy
from protos import healthcheck

READY_SECONDS = 30


@contextmanager
def running(*arguments: str, **environment: str) -> Iterator[psutil.Process]:
    """A Python process that is stopped when the block is left."""
    process = subprocess.Popen([sys.executable, "-m", *arguments], env={**os.environ, **environment})
    try:
        yield psutil.Process(process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def wait_until_ready(shard: Address, router: Address) -> None:
    """Wait until both answer.

    Raises:
        RuntimeError: they do not.
    """
    for _ in range(READY_SECONDS * 20):
        if healthcheck.healthy(str(shard), timeout=1) and http_healthy(router, timeout=1):
            return
        time.sleep(0.05)
    raise RuntimeError("the router does not become ready")


@contextmanager
def router_before_a_fake_shard(*module: str) -> Iterator[tuple[Address, psutil.Process]]:
    """The router, started by `module`, before a fake shard, which also passes for a grammar service."""
    router, shard = free_addresses(2)
    environment = {
        "ROUTER_HOST": router.host,
        "ROUTER_PORT": str(router.port),
        "ROUTER_SHARD_ADDRESS": str(shard),
        "ROUTER_GRAMMAR_ADDRESS": str(shard),
    }
    with (
        running("benchmarks.router.shard", str(shard)),
        running(*module, **environment) as process,
    ):
        wait_until_ready(shard, router)
        yield router, process


def loaded(router: Address, process: psutil.Process, load: Load) -> tuple[list[float], float, float]:
    """Latencies of first events, CPU seconds of the router, seconds that have passed."""
    before, began = process.cpu_times(), time.monotonic()
    latencies = asyncio.run(streams(router.host, router.port, load))
    after, ended = process.cpu_times(), time.monotonic()
    spent = after.user + after.system - before.user - before.system
    return latencies, spent, ended - began


def shares(load: Load) -> dict[str, float]:
    """The share of each part in the router's CPU time."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "profile.json"
        with router_before_a_fake_shard("benchmarks.router.profiled", str(file)) as (router, process):
            loaded(router, process, load)
        counts: dict[str, int] = json.loads(file.read_text())
    return {part: count / sum(counts.values()) for part, count in counts.items()}


def main(
    streams: Annotated[int, typer.Option(min=1, help="Clients at the same time.")] = 64,
    tokens: Annotated[int, typer.Option(min=2, help="Of each answer.")] = 500,
    pace: Annotated[float, typer.Option(min=0.1, help="Tokens a second and stream, for the latency.")] = 25.0,
    rounds: Annotated[int, typer.Option(min=1, help="Of each measurement.")] = 5,
) -> None:
    """Stream tokens of a fake shard through the router, and tell what the router takes for them.

    Tokens a second and core are tokens by seconds of CPU time. First events are timed at a pace that a model
    could have, each while the other streams run.
    """
    console = Console()
    flood = Load(streams=streams, tokens=tokens, microseconds=0, spread_seconds=0)
    lasting = 2.0
    paced = Load(
        streams=streams,
        tokens=round(lasting * pace),
        microseconds=round(1e6 / pace),
        spread_seconds=lasting,
    )
    with router_before_a_fake_shard("router") as (router, process):
        loaded(router, process, paced)  # until everything is imported and every connection made
        floods = [loaded(router, process, flood) for _ in range(rounds)]
        latencies = [latency for _ in range(rounds) for latency in loaded(router, process, paced)[0]]
    count = streams * tokens
    table = Table("", "measured", "bar")
    rates = [count / spent for _, spent, _ in floods]
    table.add_row("tokens a second and core, median", f"{median(rates):,.0f}", "≥ 4,000")
    table.add_row("… the slowest of the rounds", f"{min(rates):,.0f}", "")
    table.add_row(
        "tokens a second, as clients saw", f"{median(count / passed for *_, passed in floods):,.0f}", ""
    )
    cuts = quantiles(latencies, n=100)
    for percent in (50, 90, 99):
        latency = f"{cuts[percent - 1] * 1000:.1f} ms"
        table.add_row(f"first event after the shard's, p{percent}", latency, "< 10 ms")
    console.print(table)
    parts = Table("part", "share of CPU time")
    for part, share in shares(flood).items():
        parts.add_row(part, f"{share:.1%}")
    console.print(parts)


if __name__ == "__main__":
    typer.run(main)
