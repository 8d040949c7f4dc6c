"""What a grammar costs: `python -m benchmarks.overhead` measures with and without one in turn, in one run.

The bars: at least 95 % of the tokens a second; an unseen schema adds less than 50 ms to the first token, a
known one less than 2 ms.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import Annotated, Any

import httpx
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

PROMPT = (
    "The register of the people who live in house {number} of this street, with all that is known of them:\n"
)


def person(tag: str) -> dict[str, Any]:
    """A schema such as applications have; `tag` makes it one that no server has seen."""
    address = {
        "type": "object",
        "properties": {
            "street": {"type": "string", "maxLength": 40},
            "number": {"type": "integer", "minimum": 1, "maximum": 999},
            "country": {"enum": ["France", "Germany", "Italy", "Spain", "Portugal"]},
        },
        "required": ["street", "number", "country"],
    }
    return {
        "type": "object",
        "properties": {
            f"name_{tag}": {"type": "string"},
            "age": {"type": "integer", "minimum": 0, "maximum": 130},
            "role": {"enum": ["owner", "tenant", None]},
            "born": {"type": "string", "pattern": "^(19|20)[0-9]{2}-[01][0-9]-[0-3][0-9]$"},
            "address": address,
            "languages": {"type": "array", "items": {"type": "string", "maxLength": 20}, "maxItems": 8},
            "remark": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        },
        "required": [f"name_{tag}", "age", "role", "born", "address", "languages"],
    }


def register(tag: str) -> dict[str, Any]:
    """A schema whose answers are too long to end while they are timed."""
    return {"type": "array", "items": person(tag), "minItems": 5}


@dataclass(frozen=True)
class Timing:
    """One answer: seconds to its first token, its tokens, seconds from the first to the last."""

    first: float
    tokens: int
    rest: float

    @property
    def tokens_per_second(self) -> float:
        """After the first token."""
        return (self.tokens - 1) / self.rest


def timed(
    client: httpx.Client, grammar: dict[str, Any] | None, *, number: int, max_new_tokens: int
) -> Timing:
    """Stream one greedy answer to prompt `number` and time it.

    Raises:
        RuntimeError: there is no such answer, or it ended too early to be timed.
    """
    parameters: dict[str, Any] = {"max_new_tokens": max_new_tokens}
    if grammar is not None:
        parameters["grammar"] = {"type": "json", "value": grammar}
    began = perf_counter()
    times = []
    body = {"inputs": PROMPT.format(number=number), "parameters": parameters}
    with client.stream("POST", "/generate_stream", json=body) as response:
        for line in response.iter_lines():
            if not line.startswith("data:"):
                continue
            times.append(perf_counter())
            event = json.loads(line.removeprefix("data:"))
            if "error" in event:
                raise RuntimeError(event["error"])
    if len(times) < max_new_tokens:
        raise RuntimeError(f"the answer to prompt {number} has only {len(times)} tokens")
    return Timing(first=times[0] - began, tokens=len(times), rest=times[-1] - times[0])


def speed(client: httpx.Client, *, rounds: int, tokens: int) -> tuple[float, float]:
    """Tokens a second with a known grammar and without; medians of `rounds` answers of `tokens` tokens."""
    grammar = register(secrets.token_hex(4))
    timed(client, grammar, number=0, max_new_tokens=tokens)
    constrained, free = [], []
    for number in track(range(1, rounds + 1), "tokens a second"):
        constrained.append(timed(client, grammar, number=number, max_new_tokens=tokens).tokens_per_second)
        free.append(timed(client, None, number=number, max_new_tokens=tokens).tokens_per_second)
    return median(constrained), median(free)


def added_to_first_token(client: httpx.Client, *, rounds: int, tag: Callable[[], str], title: str) -> float:
    """Seconds that a schema adds to the first token: the difference of the medians, measured alternately."""
    without, constrained = [], []
    for _ in track(range(rounds), title):
        without.append(timed(client, None, number=0, max_new_tokens=1).first)
        constrained.append(timed(client, person(tag()), number=0, max_new_tokens=1).first)
    return median(constrained) - median(without)


def main(
    url: Annotated[str, typer.Option(help="A running Guiderail, with nothing else to do.")] = (
        "http://127.0.0.1:3000"
    ),
    rounds: Annotated[int, typer.Option(min=5, help="Answers of each kind whose speed is measured.")] = 7,
    tokens: Annotated[int, typer.Option(min=10, help="Tokens of such an answer.")] = 128,
    first_tokens: Annotated[int, typer.Option(min=5, help="First tokens of each kind to time.")] = 101,
) -> None:
    """Measure what a grammar costs in tokens a second and in time to the first token.

    Exits with 1 if a bar is missed.
    """
    console = Console()
    known = secrets.token_hex(4)
    with httpx.Client(base_url=url, timeout=600) as client:
        timed(client, person(known), number=0, max_new_tokens=1)
        unseen_seconds = added_to_first_token(
            client, rounds=first_tokens, tag=lambda: secrets.token_hex(4), title="unseen schemas"
        )
        known_seconds = added_to_first_token(
            client, rounds=first_tokens, tag=lambda: known, title="a known one"
        )
        constrained, free = speed(client, rounds=rounds, tokens=tokens)
    results = [
        ("tokens/s without a grammar", f"{free:.1f}", "", True),
        ("tokens/s with a grammar", f"{constrained:.1f}", "", True),
        ("share", f"{constrained / free:.1%}", ">= 95 %", constrained >= 0.95 * free),
        ("an unseen schema adds", f"{unseen_seconds * 1000:.1f} ms", "< 50 ms", unseen_seconds < 0.050),
        ("a known schema adds", f"{known_seconds * 1000:.1f} ms", "< 2 ms", known_seconds < 0.002),
    ]
    table = Table("medians", "measured", "bar", "")
    for name, measured, bar, kept in results:
        table.add_row(name, measured, bar, ("kept" if kept else "missed") if bar else "")
    console.print(table)
    raise typer.Exit(0 if all(kept for *_, kept in results) else 1)


if __name__ == "__main__":
    typer.run(main)
