"""`python -m benchmarks.suite`: the official JSON-Schema-Test-Suite, with the instances as whole answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

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

DEFAULT_FOLDER = Path("../shared/data/json-schema-test-suite")

DRAFTS = {
    "draft2020-12": "https://json-schema.org/draft/2020-12/schema",
    "draft7": "http://json-schema.org/draft-07/schema#",
}
"""The folders that are read, and what "$schema" says in those schemas that do not say it themselves."""

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")


@app.command()
def suite(
    folder: Annotated[
        Path, typer.Argument(exists=True, file_okay=False, help="The test suite, with its folder `tests`.")
    ] = DEFAULT_FOLDER,
    engine: Engines = [EngineName.GUIDERAIL],  # noqa: B006 (typer copies it)
    sample: Sample = 1,
    by_file: Annotated[bool, typer.Option("--by-file", help="Show each file, too.")] = False,
    list_failures: ListFailures = 0,
    workers: Workers = 2,
    seconds: Seconds = 10.0,
    memory_mb: MemoryMb = 4096,
    output: Output = None,
) -> None:
    """Run the required tests of drafts 2020-12 and 7. Remote schemas are not served.

    An instance is accepted if every SmolLM2 token of `json.dumps(instance)` is allowed by the mask at its
    place, and the end after the last. Each schema runs in a process that is killed if it takes too long.

    The exit code is 1 if Guiderail accepted an invalid instance.
    """
    options = Options(
        engines=engine,
        sample=sample,
        conditions=Conditions(
            workers=workers, seconds=seconds, memory_bytes=memory_mb << 20, clock=Clock.WALL
        ),
        by_group=by_file,
        times=False,
        list_failures=list_failures,
        output=output,
    )
    run(list(read_cases(folder)), options)


def read_cases(folder: Path) -> Iterator[Case]:
    """The schemas of the required tests; those in `optional` are left out."""
    for draft, identifier in DRAFTS.items():
        for path in sorted((folder / "tests" / draft).glob("*.json")):
            group = f"{draft}/{path.stem}"
            for number, entry in enumerate(json.loads(path.read_text(encoding="utf-8"))):
                yield Case(
                    name=f"{group}[{number}], {entry['description']}",
                    group=group,
                    schema=json.dumps(_with_draft(entry["schema"], identifier)),
                    instances=tuple(
                        Instance(
                            text=json.dumps(test["data"]),
                            valid=test["valid"],
                            description=test["description"],
                        )
                        for test in entry["tests"]
                    ),
                )


def _with_draft(schema: Any, identifier: str) -> Any:
    return {"$schema": identifier, **schema} if isinstance(schema, dict) else schema


if __name__ == "__main__":
    app()
