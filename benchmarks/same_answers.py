"""Whether drafts change any answer: `python -m benchmarks.same_answers`. The bar: none of them, in float32.

Every answer is generated twice, by a shard that drafts and by one that does not, many at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import track

from benchmarks.coverage import DEFAULT_FOLDER
from benchmarks.guidance import SPLITS, Task, sampling_at, tasks
from benchmarks.shard_process import ShardProcess, shard_process
from protos import generation_pb2


def requests(
    chosen: Sequence[Task], count: int, *, temperature: float, tokens: int
) -> list[generation_pb2.GenerateRequest]:
    """`count` requests for answers to the schemas in turn, each with its own seed."""
    return [
        task.request(sampling=sampling_at(temperature, seed=number), tokens=tokens)
        for number, task in enumerate(islice(cycle(chosen), count))
    ]


def answers(
    shard: ShardProcess, asked: Sequence[generation_pb2.GenerateRequest], *, streams: int, title: str
) -> list[list[int]]:
    """The tokens of each answer."""
    with ThreadPoolExecutor(streams) as threads:
        made = threads.map(lambda request: [event.token.id for event in shard.generate(request)], asked)
        return list(track(made, title, total=len(asked)))


def main(
    folder: Annotated[Path, typer.Option(help="Splits of JSONSchemaBench.")] = DEFAULT_FOLDER,
    count: Annotated[int, typer.Option("--answers", min=1, help="Answers of each shard.")] = 200,
    temperature: Annotated[float, typer.Option(help="0 is greedy.")] = 0.0,
    tokens: Annotated[int, typer.Option(min=1, help="The most tokens of an answer.")] = 64,
    streams: Annotated[int, typer.Option(min=1, help="Answers at a time.")] = 16,
    dtype: Annotated[str, typer.Option(help="SHARD_DTYPE.")] = "float32",
) -> None:
    """Generate the answers twice and compare. Exits with 1 if any differ."""
    chosen = [task for split in SPLITS for task in tasks(folder, split, -(-count // len(SPLITS)))]
    asked = requests(chosen, count, temperature=temperature, tokens=tokens)
    found = []
    for drafts in ("false", "true"):
        with shard_process({"SHARD_DTYPE": dtype, "SHARD_DRAFTS": drafts}) as shard:
            found.append(answers(shard, asked, streams=streams, title=f"SHARD_DRAFTS={drafts}"))
            told = shard.statistics()
    same = sum(one == other for one, other in zip(*found, strict=True))
    console = Console()
    console.print(
        f"{told.accepted_tokens} of {told.drafted_tokens} draft tokens were kept, "
        f"of {sum(map(len, found[-1]))} tokens in all"
    )
    console.print(f"{same} of {count} answers are the same with drafts and without; the bar: all of them")
    raise typer.Exit(0 if same == count else 1)


if __name__ == "__main__":
    typer.run(main)
