"""Whether any answer is cut off: `python -m benchmarks.complete_answers`, beside a running Guiderail.

Real schemas are answered at temperature 1.5, where a model rambles, in budgets between the fewest tokens that
an answer takes and twice as many. The bar: every answer parses and is valid.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections import Counter
from collections.abc import Awaitable, Iterator
from dataclasses import dataclass
from itertools import chain, islice, zip_longest
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.asking import ask_all
from benchmarks.case import Case
from benchmarks.coverage import DEFAULT_FOLDER, read_cases
from benchmarks.violation import schema_violation

FEWEST = re.compile(r"takes (\d+) tokens, the end-of-sequence token included")
PROMPT = "{description}\nAn example in JSON:\n"


@dataclass(frozen=True, kw_only=True)
class Task:
    """A schema that Guiderail compiles, and the fewest tokens of an answer."""

    case: Case
    schema: Any
    fewest: int

    @property
    def prompt(self) -> str:
        """What the schema says of itself, as far as it is text."""
        told = self.schema.get("description") if isinstance(self.schema, dict) else None
        return PROMPT.format(description=str(told or self.case.name)[:200])


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One answer."""

    task: Task
    budget: int
    text: str
    reason: str
    problem: str | None


def spread(cases: Iterator[Case]) -> Iterator[Case]:
    """Schemas of all splits in turn, in an order that is random but always the same."""
    splits: dict[str, list[Case]] = {}
    for case in cases:
        splits.setdefault(case.group, []).append(case)
    for split in splits.values():
        random.Random(0).shuffle(split)
    return (case for case in chain.from_iterable(zip_longest(*splits.values())) if case is not None)


async def find_tasks(
    client: httpx.AsyncClient, cases: Iterator[Case], *, count: int, longest: int
) -> list[Task]:
    """The first `count` schemas that compile and have an answer of 3 to `longest` tokens."""
    tasks: list[Task] = []
    while len(tasks) < count and (some := list(islice(cases, 16))):
        found = await asyncio.gather(*(fewest_tokens(client, case) for case in some))
        tasks += [
            Task(case=case, schema=json.loads(case.schema), fewest=fewest)
            for case, fewest in zip(some, found, strict=True)
            if fewest and 3 <= fewest <= longest
        ]
    return tasks[:count]


async def fewest_tokens(client: httpx.AsyncClient, case: Case) -> int | None:
    """The fewest tokens of an answer, as Guiderail tells them; None if it refuses the schema."""
    response = await generate(
        client, json.loads(case.schema), inputs="x", max_new_tokens=1, complete="required"
    )
    told = FEWEST.search(response.text)
    return int(told[1]) if told else None


async def generate(
    client: httpx.AsyncClient, schema: Any, *, inputs: str, **parameters: Any
) -> httpx.Response:
    grammar = {"type": "json", "value": schema}
    body = {"inputs": inputs, "parameters": {"grammar": grammar, "details": True, **parameters}}
    return await client.post("/generate", json=body)


async def answer(client: httpx.AsyncClient, task: Task, *, temperature: float, seed: int) -> Outcome:
    """One answer in a budget that the seed decides."""
    budget = random.Random(seed).randint(task.fewest, 2 * task.fewest)
    response = await generate(
        client,
        task.schema,
        inputs=task.prompt,
        max_new_tokens=budget,
        temperature=temperature,
        seed=seed,
    )
    if response.status_code != httpx.codes.OK:
        problem = f"{response.status_code}: {response.text}"
        return Outcome(task=task, budget=budget, text="", reason="none", problem=problem)
    body = response.json()
    text, reason = body["generated_text"], body["details"]["finish_reason"]
    return Outcome(
        task=task, budget=budget, text=text, reason=reason, problem=schema_violation(task.schema, text)
    )


async def measure(
    url: str, folder: Path, *, answers: int, schemas: int, longest: int, temperature: float, concurrency: int
) -> list[Outcome]:
    """`answers` answers, to all schemas in turn."""
    async with httpx.AsyncClient(base_url=url, timeout=900) as client:
        tasks = await find_tasks(client, spread(read_cases(folder)), count=schemas, longest=longest)

        def one(number: int) -> Awaitable[Outcome]:
            return answer(client, tasks[number % len(tasks)], temperature=temperature, seed=number)

        return await ask_all(one, answers=answers, concurrency=concurrency)


def table(outcomes: list[Outcome]) -> Table:
    """The results by split."""
    result = Table("split", "answers", "valid", "ended by themselves", "tokens at least")
    groups = Counter(outcome.task.case.group for outcome in outcomes)
    for group, count in groups.items():
        own = [outcome for outcome in outcomes if outcome.task.case.group == group]
        needs = [outcome.task.fewest for outcome in own]
        valid = sum(outcome.problem is None for outcome in own)
        ended = sum(outcome.reason == "eos_token" for outcome in own)
        result.add_row(group, str(count), str(valid), str(ended), f"{min(needs)} to {max(needs)}")
    return result


def main(
    url: Annotated[str, typer.Option(help="A running Guiderail.")] = "http://127.0.0.1:3000",
    folder: Annotated[Path, typer.Option(help="Splits of JSONSchemaBench.")] = DEFAULT_FOLDER,
    answers: Annotated[int, typer.Option(min=1, help="Answers to generate.")] = 300,
    schemas: Annotated[int, typer.Option(min=1, help="Schemas that they answer in turn.")] = 60,
    longest: Annotated[int, typer.Option(help="Leave out schemas that take more tokens.")] = 200,
    temperature: Annotated[float, typer.Option(help="How much the model rambles.")] = 1.5,
    concurrency: Annotated[int, typer.Option(min=1, help="Requests at once.")] = 16,
) -> None:
    """Generate answers to real schemas in tight budgets. Exits with 1 if one is not valid."""
    console = Console()
    outcomes = asyncio.run(
        measure(
            url,
            folder,
            answers=answers,
            schemas=schemas,
            longest=longest,
            temperature=temperature,
            concurrency=concurrency,
        )
    )
    console.print(table(outcomes))
    wrong = [outcome for outcome in outcomes if outcome.problem is not None]
    for outcome in wrong:
        told = f"{outcome.task.case.name}, {outcome.budget} tokens ({outcome.task.fewest} at least)"
        console.print(f"{told}, {outcome.reason}: {outcome.problem}\n    {outcome.text!r}", markup=False)
    console.print(
        f"{len(outcomes) - len(wrong)} of {len(outcomes)} answers parse and are valid; the bar: all of them"
    )
    raise typer.Exit(1 if wrong else 0)


if __name__ == "__main__":
    typer.run(main)
