"""How many calls of tools are valid that were not cut off: `python -m benchmarks.tool_calls`.

Calls are sampled at temperature 1, where a model follows its grammar least willingly: required ones, ones of
a named tool and ones that the model chooses to make; streamed and not. The bar is 100 %.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Annotated, Any, Literal

import httpx
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.asking import ask_all
from benchmarks.tools import TOOLS, Tool

Choice = Literal["required", "named", "auto"]
CHOICES: tuple[Choice, ...] = ("required", "named", "auto")


@dataclass(frozen=True)
class Kind:
    """How a call is asked for."""

    choice: Choice
    streamed: bool


KINDS = tuple(Kind(choice, streamed) for choice, streamed in product(CHOICES, (False, True)))


@dataclass(frozen=True)
class Answer:
    """One answer: its calls that were not cut off, what is wrong with it, and whether it was cut off."""

    kind: Kind
    seed: int
    calls: int
    cut_off: bool
    problem: str | None


def request(tool: Tool, kind: Kind, *, seed: int, max_tokens: int) -> dict[str, Any]:
    """A request for a call of `tool`."""
    named = {"type": "function", "function": {"name": tool.name}}
    return {
        "messages": [*_examples(), {"role": "user", "content": tool.asked}],
        "tools": [each.definition for each in TOOLS],
        "tool_choice": named if kind.choice == "named" else kind.choice,
        "temperature": 1.0,
        "seed": seed,
        "max_tokens": max_tokens,
        "stream": kind.streamed,
    }


def _examples() -> list[dict[str, Any]]:
    """Turns in which tools are called: a small model has to be shown what it may choose to do."""
    messages: list[dict[str, Any]] = []
    for tool in TOOLS:
        function = {"name": tool.name, "arguments": json.dumps(tool.example, ensure_ascii=False)}
        call = {"id": f"call_{tool.name}", "type": "function", "function": function}
        messages += [
            {"role": "user", "content": tool.example_asked},
            {"role": "assistant", "content": None, "tool_calls": [call]},
        ]
    return messages


def whole(lines: Sequence[str]) -> tuple[list[dict[str, Any]], str]:
    """The calls of a stream and the reason for its end, put together as OpenAI's clients do."""
    calls: dict[int, dict[str, Any]] = {}
    reason = ""
    for line in lines:
        if not line.startswith("data: {"):
            continue
        choice = json.loads(line.removeprefix("data: "))["choices"][0]
        reason = choice["finish_reason"] or reason
        for delta in choice["delta"].get("tool_calls", ()):
            new = {"name": "", "arguments": ""}
            function = calls.setdefault(delta["index"], {"function": new})["function"]
            for key, text in delta["function"].items():
                function[key] += text
    return [calls[index] for index in sorted(calls)], reason


def judged(kind: Kind, seed: int, calls: list[dict[str, Any]], reason: str) -> Answer:
    """The verdict on an answer. Of one that was cut off, the last call is not judged."""
    cut_off = reason == "length"
    finished = calls[:-1] if cut_off else calls
    tools = {tool.name: tool for tool in TOOLS}
    problem = None
    if not calls and kind.choice != "auto" and not cut_off:
        problem = "no call"
    for call in finished:
        function = call["function"]
        problem = problem or tools[function["name"]].violation(function["arguments"])
    return Answer(kind, seed, len(finished), cut_off, problem)


async def ask(client: httpx.AsyncClient, kind: Kind, *, seed: int, max_tokens: int) -> Answer:
    """Have one answer generated and judge it."""
    body = request(TOOLS[seed // len(KINDS) % len(TOOLS)], kind, seed=seed, max_tokens=max_tokens)
    response = await client.post("/v1/chat/completions", json=body)
    if response.status_code != httpx.codes.OK:
        problem = f"{response.status_code}: {response.text}"
        return Answer(kind, seed, 0, cut_off=False, problem=problem)
    if kind.streamed:
        return judged(kind, seed, *whole(response.text.splitlines()))
    choice = response.json()["choices"][0]
    return judged(kind, seed, choice["message"].get("tool_calls", []), choice["finish_reason"])


async def measure(url: str, *, answers: int, concurrency: int, max_tokens: int) -> list[Answer]:
    """All kinds of requests in turn, each time with another seed."""
    async with httpx.AsyncClient(base_url=url, timeout=1200) as client:

        def one(seed: int) -> Awaitable[Answer]:
            return ask(client, KINDS[seed % len(KINDS)], seed=seed, max_tokens=max_tokens)

        return await ask_all(one, answers=answers, concurrency=concurrency)


def table(answers: Sequence[Answer]) -> Table:
    """The results by kind."""
    result = Table("asked for", "answers", "cut off", "whole calls", "answers with a problem")
    for kind in KINDS:
        own = [answer for answer in answers if answer.kind == kind]
        counts = (
            len(own),
            sum(answer.cut_off for answer in own),
            sum(answer.calls for answer in own),
            sum(answer.problem is not None for answer in own),
        )
        result.add_row(f"{kind.choice}{', streamed' if kind.streamed else ''}", *map(str, counts))
    return result


def main(
    url: Annotated[str, typer.Option(help="A running Guiderail.")] = "http://127.0.0.1:3000",
    answers: Annotated[int, typer.Option(min=1, help="Answers to generate, of all kinds in turn.")] = 300,
    concurrency: Annotated[int, typer.Option(min=1, help="Requests at once.")] = 16,
    max_tokens: Annotated[int, typer.Option(min=1, help="Where a rambling answer is cut off.")] = 200,
) -> None:
    """Have tools called at temperature 1 and check every call that was not cut off.

    Exits with 1 if one is invalid, missing or refused.
    """
    console = Console()
    results = asyncio.run(measure(url, answers=answers, concurrency=concurrency, max_tokens=max_tokens))
    console.print(table(results))
    failures = [answer for answer in results if answer.problem is not None]
    for answer in failures:
        console.print(f"{answer.kind}, seed {answer.seed}: {answer.problem}", markup=False)
    console.print(
        f"{sum(answer.calls for answer in results)} whole calls in {answers} answers; "
        f"{len(failures)} answers with a problem; the bar: none"
    )
    raise typer.Exit(1 if failures else 0)


if __name__ == "__main__":
    typer.run(main)
