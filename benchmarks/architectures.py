"""`python -m benchmarks.architectures`: how the shard serves each causal language model of transformers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Annotated

import torch
import transformers
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.isolation import Child, CrashedError, HungError
from benchmarks.miniature import build, model_types
from shard.model import UnsupportedModelError
from shard.runner import choose_runner

USAGE_ERROR = 2
"""The exit code of a command line that names a type that does not exist."""

CACHE_TOKENS = 256

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")


class Way(StrEnum):
    """How a model is run."""

    PAGED = "paged"
    PLAIN = "plain runner"
    REFUSED = "refused"
    NOT_BUILT = "not built"
    """transformers cannot build it small, or cannot run what it built; so nothing is known of it."""
    FAILED = "failed"
    """Its process hung or died."""


@dataclass(frozen=True)
class Verdict:
    """How one type is run, and why not in a better way."""

    model_type: str
    way: Way
    why: str = ""


def judge(model_type: str) -> Verdict:
    """Build a small random model of this type in float32, and choose as the shard does."""
    try:
        network = build(model_type)
        runs(network)
    except Exception as error:
        return Verdict(model_type, Way.NOT_BUILT, f"{type(error).__name__}: {_line(error)}")
    try:
        runner = choose_runner(network, block_size=16, room=lambda _: CACHE_TOKENS)
    except UnsupportedModelError as error:
        return Verdict(model_type, Way.REFUSED, error.why)
    return Verdict(model_type, Way.PAGED if runner.paged else Way.PLAIN, runner.reason)


@torch.inference_mode()
def runs(network: Callable[..., object]) -> None:
    """Raise what a model raises that fails on its own."""
    network(input_ids=torch.arange(1, 41)[None], use_cache=False)


def _line(error: Exception) -> str:
    """The first line of what an error says."""
    return next((line for line in str(error).splitlines() if line.strip()), "").strip()


@app.command()
def architectures(
    only: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Judge this type only; may be given repeatedly.")
    ] = None,
    seconds: Annotated[float, typer.Option(min=1, help="What a type gets.")] = 120,
    memory_mb: Annotated[int, typer.Option(min=256, help="What a type's process may take.")] = 4096,
) -> None:
    """Run the shard's self-check on every causal language model type that transformers can build small.

    Prints which run over the paged cache, which by the plain runner, and which are refused, with reasons.
    """
    kinds = model_types()
    unknown = sorted(set(only or ()) - set(kinds))
    if unknown:
        typer.echo(f"transformers has no causal language model of type {', '.join(unknown)}", err=True)
        raise typer.Exit(USAGE_ERROR)
    console = Console(width=None if Console().is_terminal else 200)
    child: Child[str, Verdict] = Child(
        judge,
        prepare=partial(torch.set_num_threads, 1),
        preload=("benchmarks.architectures",),
        seconds=seconds,
        memory_bytes=memory_mb << 20,
    )
    with closing(child):
        verdicts = [judged(child, kind) for kind in track(only or kinds, "self-checks", console=console)]
    report(verdicts, console)


def judged(child: Child[str, Verdict], model_type: str) -> Verdict:
    """The verdict of the child's process, or what became of it."""
    try:
        return child.run(model_type)
    except (HungError, CrashedError) as error:
        return Verdict(model_type, Way.FAILED, str(error))


def report(verdicts: Sequence[Verdict], console: Console) -> None:
    """Print a row for each type, then the sums."""
    table = Table("type", "runs", "why not better")
    for verdict in sorted(verdicts, key=lambda each: (list(Way).index(each.way), each.model_type)):
        table.add_row(verdict.model_type, verdict.way, verdict.why)
    console.print(table)
    counts = Counter(verdict.way for verdict in verdicts)
    sums = ", ".join(f"{counts[way]} {way}" for way in Way)
    console.print(f"{len(verdicts)} types of transformers {transformers.__version__}: {sums}")


if __name__ == "__main__":
    app()
