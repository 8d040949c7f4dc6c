"""`python -m benchmarks.coverage`: real schemas and their instances, Guiderail and its peers side by side."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.case import Case, Clock, Instance
from benchmarks.comparison import Conditions
from benchmarks.engines.catalogue import EngineName
from benchmarks.options import (
    Engines,
    ListFailures,
    MemoryMb,
    Options,
    Output,
    Sample,
    Seconds,
    Workers,
    run,
)

DEFAULT_FOLDER = Path("../shared/data/jsonschemabench")

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")


@app.command()
def coverage(
    folder: Annotated[
        Path,
        typer.Argument(
            exists=True, file_okay=False, help="Splits as NAME.jsonl.gz, in the form of MaskBench."
        ),
    ] = DEFAULT_FOLDER,
    engine: Engines = list(EngineName),  # noqa: B006 (typer copies it)
    sample: Sample = 1,
    by_split: Annotated[bool, typer.Option("--by-split", help="Show each split, too.")] = False,
    list_failures: ListFailures = 0,
    workers: Workers = 2,
    seconds: Seconds = 10.0,
    memory_mb: MemoryMb = 4096,
    clock: Annotated[Clock, typer.Option(help="How the engines' time is measured.")] = Clock.WALL,
    output: Output = None,
) -> None:
    """Compare engines for constrained decoding: what they compile, whether they are right, how fast they are.

    An instance is accepted if every SmolLM2 token of `json.dumps(instance)` is allowed by the mask at its
    place, and the end after the last. Each schema runs in a process that is killed if it takes too long.

    The exit code is 1 if Guiderail accepted an invalid instance.
    """
    options = Options(
        engines=engine,
        sample=sample,
        conditions=Conditions(workers=workers, seconds=seconds, memory_bytes=memory_mb << 20, clock=clock),
        by_group=by_split,
        times=True,
        list_failures=list_failures,
        output=output,
    )
    run(list(read_cases(folder)), options)


def read_cases(folder: Path) -> Iterator[Case]:
    """The schemas of all splits in a folder, as `shared/data/README.md` describes them."""
    for path in sorted(folder.glob("*.jsonl.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                entry = json.loads(line)
                yield Case(
                    name=entry["id"],
                    group=path.name.removesuffix(".jsonl.gz"),
                    schema=json.dumps(entry["schema"]),
                    instances=tuple(
                        Instance(
                            text=json.dumps(test["data"]),
                            valid=test["valid"],
                            description=test["description"],
                        )
                        for test in entry["tests"]
                    ),
                )


if __name__ == "__main__":
    app()
