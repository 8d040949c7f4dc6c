"""`python -m benchmarks.engine.latency`: what a shared prefix saves, and what new schemas cost other streams.

The bars: a prompt whose first 1,500 tokens another had gets its first token in at most 0.2 of the time; 100
new schemas at once no more than double the p99 of the gaps of other streams, beside as many requests without.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from itertools import pairwise
from statistics import median, quantiles
from typing import Annotated

import typer
from rich.progress import track

from benchmarks.engine.servers import guiderail
from benchmarks.engine.streams import Answer, Request, answer
from benchmarks.overhead import PROMPT, person
from launcher.address import Address
from shard.checkpoint import locate
from shard.settings import Settings

MODEL = "tgi"
PREFIX_TOKENS = 1500
PREFIX_BAR = 0.2
NEWCOMERS = 100
OTHERS = 4
GAP_BAR = 2.0


async def prefix_ratio(address: Address) -> float:
    """Seconds to the first token of the second prompt with a prefix, by those of the first."""
    prefix = f" {secrets.token_hex(4)}" + " word" * (PREFIX_TOKENS - 9)
    first, second = [
        await answer(address, MODEL, Request(prompt=prefix + question, tokens=2))
        for question in ("\nWhat is the first word?", "\nHow many words are there?")
    ]
    return second.first_token / first.first_token


async def gap_p99(address: Address, *, schemas: bool, tokens: int) -> float:
    """Seconds, of streams that run while others come, all at once, each with a new schema or with none."""
    others = [
        asyncio.create_task(
            answer(address, MODEL, Request(prompt=PROMPT.format(number=number), tokens=tokens))
        )
        for number in range(OTHERS)
    ]
    await answer(address, MODEL, Request(prompt="So that all of them have begun:", tokens=4))
    newcomers = [
        Request(
            prompt=PROMPT.format(number=secrets.randbelow(10**6)),
            tokens=8,
            schema=person(secrets.token_hex(4)) if schemas else None,
        )
        for _ in range(NEWCOMERS)
    ]
    await asyncio.gather(*(answer(address, MODEL, each) for each in newcomers))
    return _p99(await asyncio.gather(*others))


def _p99(answers: Sequence[Answer]) -> float:
    gaps = [later - earlier for each in answers for earlier, later in pairwise(each.times)]
    return quantiles(gaps, n=100)[98]


def main(
    rounds: Annotated[int, typer.Option(min=1, help="Of each measurement.")] = 5,
    tokens: Annotated[int, typer.Option(min=16, help="Of the streams whose gaps are measured.")] = 64,
    dtype: Annotated[str, typer.Option(help="bfloat16 or float32.")] = "bfloat16",
) -> None:
    """Measure both, with and without schemas in turn. Exits with 1 if a bar is missed."""
    folder = locate(None, cache_dir=Settings().cache_dir.expanduser()).source
    with guiderail(folder, dtype=dtype) as address:
        ratios = [asyncio.run(prefix_ratio(address)) for _ in track(range(rounds), "prefixes")]
        plain, constrained = [], []
        for _ in track(range(rounds), "schemas"):
            plain.append(asyncio.run(gap_p99(address, schemas=False, tokens=tokens)))
            constrained.append(asyncio.run(gap_p99(address, schemas=True, tokens=tokens)))
    gap_ratio = median(constrained) / median(plain)
    typer.echo(f"second of a prefix, first token: {median(ratios):.2f} of the first's (bar: {PREFIX_BAR})")
    typer.echo(
        f"gaps beside {NEWCOMERS} newcomers, p99: {median(plain) * 1000:.0f} ms, with new schemas "
        f"{median(constrained) * 1000:.0f} ms: {gap_ratio:.2f} (bar: {GAP_BAR})"
    )
    raise typer.Exit(0 if median(ratios) <= PREFIX_BAR and gap_ratio <= GAP_BAR else 1)


if __name__ == "__main__":
    typer.run(main)
