"""The command-line options that the comparisons share, and what they come to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks.case import Case
from benchmarks.comparison import Conditions, compare
from benchmarks.engines.catalogue import EngineName
from benchmarks.isolation import UnableToStartError
from benchmarks.report import Report
from shard.checkpoint import CheckpointError

UNSOUND = 1
"""The exit code if Guiderail accepted an invalid instance."""

USAGE_ERROR = 2
"""The exit code of a command line that asks for what is not there."""

Engines = Annotated[
    list[EngineName],
    typer.Option("--engine", "-e", help="May be given more than once; those not installed are left out."),
]
Sample = Annotated[int, typer.Option(min=1, metavar="N", help="Take every N-th schema.")]
Workers = Annotated[int, typer.Option(min=1, help="Schemas that are judged at the same time.")]
Seconds = Annotated[float, typer.Option(min=0.1, help="What an engine gets for a schema and its instances.")]
MemoryMb = Annotated[int, typer.Option(min=64, help="What an engine's process may take on top of its start.")]
ListFailures = Annotated[
    int, typer.Option(min=0, metavar="N", help="Name N failures of each kind, and N reasons for refusals.")
]
Output = Annotated[Path | None, typer.Option(dir_okay=False, help="Write all results to this file, as JSON.")]


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to compare, and what to tell of it."""

    engines: Sequence[EngineName]
    sample: int
    conditions: Conditions
    by_group: bool
    times: bool
    list_failures: int
    output: Path | None


def run(cases: Sequence[Case], options: Options) -> None:
    """Compare and report. Ends the program if there is nothing to compare, or Guiderail is unsound."""
    console = Console(width=None if Console().is_terminal else 200)
    cases = cases[:: options.sample]
    if not cases:
        typer.echo("there are no schemas in this folder", err=True)
        raise typer.Exit(USAGE_ERROR)
    engines = _installed(options.engines, console)
    try:
        report = Report(compare(cases, engines, options.conditions, console=console))
    except (CheckpointError, UnableToStartError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(USAGE_ERROR) from error
    report.print(console, by_group=options.by_group, times=options.times, failures=options.list_failures)
    if options.output:
        report.write(options.output, conditions=options.conditions)
    if report.unsound:
        raise typer.Exit(UNSOUND)


def _installed(engines: Sequence[EngineName], console: Console) -> list[EngineName]:
    """Those of the engines that are installed, each once; says what they are and which are not."""
    installed = []
    for engine in dict.fromkeys(engines):
        if engine.version is None:
            hint = "`pip install 'guiderail[bench]'` brings it"
            console.print(f"{engine}: not installed, left out; {hint}", markup=False)
        else:
            console.print(f"{engine}: {engine.version}")
            installed.append(engine)
    if not installed:
        raise typer.Exit(USAGE_ERROR)
    return installed
