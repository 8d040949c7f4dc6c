"""`python -m benchmarks.fuzz`: random and hostile grammars against the compiler, for as long as one likes."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from itertools import cycle
from pathlib import Path
from time import monotonic
from typing import Annotated

import typer
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from benchmarks.coverage import DEFAULT_FOLDER
from benchmarks.fuzz.hunt import Find, Hunt
from benchmarks.fuzz.probe import Probe
from benchmarks.fuzz.sources import Source, probes, real_schemas
from grammar_service.settings import Settings

_ROUND = 50
"""Probes of one source before the next has its turn."""

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="markdown")


@app.command()
def fuzz(
    minutes: Annotated[float, typer.Option(min=0, help="How long to go on.")] = 10.0,
    seed: Annotated[int, typer.Option(min=0, help="Decides which grammars are tried.")] = 0,
    source: Annotated[list[Source], typer.Option(help="May be given more than once.")] = list(Source),  # noqa: B006
    folder: Annotated[
        Path, typer.Option(help="Real schemas to change; see `benchmarks.coverage`.")
    ] = DEFAULT_FOLDER,
    reduction_seconds: Annotated[float, typer.Option(min=0, help="For making a find short.")] = 20.0,
    finds_of_a_kind: Annotated[int, typer.Option(min=1, help="More of the same are only counted.")] = 3,
    output: Annotated[
        Path | None, typer.Option(dir_okay=False, help="Write the finds to this file, as JSON.")
    ] = None,
) -> None:
    """Try random grammars on the compiler: JSON Schemas with all keywords, small ones whose keywords evaluate
    the same keys and items, real ones with parts exchanged, regular expressions, and hostile texts.

    Each must become an automaton or be refused; what exceeds the grammar service's time or memory is counted.
    Of what compiles, random answers must be valid by the `jsonschema` package (or match by Python's `re`),
    and values like them must be accepted if they are valid, in some order of their keys, and refused if not.

    The exit code is 1 if there were finds.
    """
    console = Console(width=None if Console().is_terminal else 200)
    real = real_schemas(folder)
    if not real:
        console.print(f"there are no schemas in {folder}: none are changed", markup=False)
        source = [each for each in source if each is not Source.REAL]
    limits = Settings()
    hunt = Hunt(
        seconds=limits.compile_seconds,
        memory_bytes=limits.compile_memory_mb << 20,
        reduction_seconds=reduction_seconds,
        finds_of_a_kind=finds_of_a_kind,
    )
    with hunt:
        _go_on(hunt, source, real, console, seconds=minutes * 60, first_round=seed * 1_000_000)
    console.print(_told(hunt), markup=False)
    for flaw, times in hunt.flaws.most_common():
        console.print(f"{times:6} times: {flaw}", markup=False)
    if output:
        _write(hunt, output)
    if hunt.flaws:
        raise typer.Exit(1)


def _go_on(
    hunt: Hunt, sources: list[Source], real: list[str], console: Console, *, seconds: float, first_round: int
) -> None:
    """Round after round until the time is over, telling of each find at once."""
    columns = (BarColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
    start = monotonic()
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=seconds)

        def try_out(probe: Probe) -> None:
            passed = monotonic() - start
            progress.update(task, completed=passed, description=_told(hunt))
            if passed < seconds and (find := hunt.try_out(probe)):
                _print(console, find)

        for number, source in enumerate(cycle(sources), first_round):
            if monotonic() - start >= seconds:
                break
            _round(source, real, try_out, number=number)


def _round(source: Source, real: list[str], try_out: Callable[[Probe], None], *, number: int) -> None:
    """Have hypothesis make some probes of one source."""

    @seeded(number)
    @settings(
        max_examples=_ROUND,
        phases=(Phase.generate,),
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(probes(source, real))
    def each(probe: Probe) -> None:
        try_out(probe)

    each()


def _told(hunt: Hunt) -> str:
    counts = ", ".join(f"{name}: {number}" for name, number in sorted(hunt.counts.items()))
    return f"finds: {len(hunt.finds)}; {counts}"


def _print(console: Console, find: Find) -> None:
    console.rule(style="dim")
    console.print(f"{find.flaw.flaw}\n  {find.probe}\n  {find.flaw.detail}", markup=False, highlight=False)


def _write(hunt: Hunt, path: Path) -> None:
    found = {
        "finds": [asdict(find.probe) | find.flaw._asdict() for find in hunt.finds],
        "over a limit": [asdict(probe) for probe in hunt.over_a_limit],
    }
    path.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    app()
