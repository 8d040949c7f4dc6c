"""How many constrained answers that end by themselves are valid: `python -m benchmarks.constrained_answers`.

Answers are sampled at temperature 1, where a model follows its grammar least willingly. The bar is 100 %.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Annotated

import httpx
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.asking import ask_all
from benchmarks.grammars import CASES, Case


@dataclass(frozen=True)
class Answer:
    """One answer and the verdict on it. `problem` is None for a valid one and for one that was cut off."""

    case: Case
    seed: int
    text: str
    ended: bool
    problem: str | None


async def ask(client: httpx.AsyncClient, case: Case, *, seed: int, max_new_tokens: int) -> Answer:
    """Have one answer generated and judge it."""
    parameters = {
        "do_sample": True,
        "temperature": 1.0,
        "seed": seed,
        "max_new_tokens": max_new_tokens,
        "details": True,
        "grammar": case.parameter,
    }
    response = await client.post("/generate", json={"inputs": case.prompt, "parameters": parameters})
    if response.status_code != httpx.codes.OK:
        return Answer(case, seed, "", ended=True, problem=f"{response.status_code}: {response.text}")
    answer = response.json()
    text: str = answer["generated_text"]
    ended = answer["details"]["finish_reason"] == "eos_token"
    return Answer(case, seed, text, ended=ended, problem=case.violation(text) if ended else None)


async def measure(url: str, *, answers: int, concurrency: int, max_new_tokens: int) -> list[Answer]:
    """All cases in turn, each time with another seed."""
    async with httpx.AsyncClient(base_url=url, timeout=600) as client:

        def one(number: int) -> Awaitable[Answer]:
            return ask(client, CASES[number % len(CASES)], seed=number, max_new_tokens=max_new_tokens)

        return await ask_all(one, answers=answers, concurrency=concurrency)


def table(answers: list[Answer]) -> Table:
    """The results by grammar."""
    asked, ended, wrong = (
        Counter(answer.case.name for answer in answers if condition(answer))
        for condition in (lambda _: True, lambda answer: answer.ended, lambda answer: answer.problem)
    )
    result = Table("grammar", "answers", "ended by themselves", "of these valid", show_footer=True)
    for name in asked:
        result.add_row(name, str(asked[name]), str(ended[name]), str(ended[name] - wrong[name]))
    totals = (asked.total(), ended.total(), ended.total() - wrong.total())
    for column, footer in zip(result.columns, ("all", *map(str, totals)), strict=True):
        column.footer = footer
    return result


def main(
    url: Annotated[str, typer.Option(help="A running Guiderail.")] = "http://127.0.0.1:3000",
    answers: Annotated[int, typer.Option(min=1, help="Answers to generate, of all grammars in turn.")] = 200,
    concurrency: Annotated[int, typer.Option(min=1, help="Requests at once.")] = 16,
    max_new_tokens: Annotated[int, typer.Option(min=1, help="Where a rambling answer is cut off.")] = 200,
) -> None:
    """Generate answers at temperature 1 for many grammars and check those that ended by themselves.

    Exits with 1 if one is invalid or refused.
    """
    console = Console()
    results = asyncio.run(
        measure(url, answers=answers, concurrency=concurrency, max_new_tokens=max_new_tokens)
    )
    console.print(table(results))
    failures = [answer for answer in results if answer.problem is not None]
    for answer in failures:
        console.print(
            f"{answer.case.name}, seed {answer.seed}: {answer.problem}\n    {answer.text!r}", markup=False
        )
    ended = sum(answer.ended for answer in results)
    valid = ended - len(failures)
    share = f" ({valid / ended:.1%})" if ended else ""
    console.print(
        f"{ended} of {answers} ended by themselves; {valid} of these are valid{share}; the bar: 100 %"
    )
    raise typer.Exit(1 if failures else 0)


if __name__ == "__main__":
    typer.run(main)
