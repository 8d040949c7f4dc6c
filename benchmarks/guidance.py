"""What grammars and drafts do to speed: `python -m benchmarks.guidance`.

The same prompts are answered without a grammar, with one, and with one and drafts, in turn, by two shards
that differ in SHARD_DRAFTS only. The bars: on function calls, drafts make constrained answers at least 1.3
times as fast as free ones, and no answer is other for them (which is exact with --dtype float32).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.case import Case
from benchmarks.coverage import DEFAULT_FOLDER, read_cases
from benchmarks.shard_process import ShardProcess, shard_process
from grammar_service.compiler import compile_grammar
from grammar_service.limits import Limits
from protos import automaton_pb2, generation_pb2, grammar_pb2
from protos.errors import InvalidRequestError

FUNCTION_CALLS = ("Glaiveai2K", "BFCL")
SPLITS = (*FUNCTION_CALLS, "Github_easy", "Github_medium")
FASTER = 1.3
SLOWER = 0.98
"""What a grammar may cost: the bars."""
PROMPT = "Here is what is known:\n{instance}\n\nThe same as JSON:\n"
MODES = ("free", "grammar", "drafts")


@dataclass(frozen=True, kw_only=True)
class Task:
    """A schema with a valid instance, which the prompt tells, and the automaton."""

    case: Case
    prompt: str
    automaton: automaton_pb2.Automaton

    def request(
        self, *, sampling: generation_pb2.Sampling, tokens: int, constrained: bool = True
    ) -> generation_pb2.GenerateRequest:
        """For an answer of at most `tokens` tokens."""
        return generation_pb2.GenerateRequest(
            inputs=self.prompt,
            sampling=sampling,
            stopping=generation_pb2.Stopping(max_new_tokens=tokens),
            automaton=self.automaton if constrained else None,
            automaton_id=self.case.name,
        )


def sampling_at(temperature: float, *, seed: int) -> generation_pb2.Sampling:
    """Sampling at a temperature, of which 0 is greedy."""
    if not temperature:
        return generation_pb2.Sampling()
    return generation_pb2.Sampling(do_sample=True, temperature=temperature, seed=seed)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One answer, and what it took."""

    token_ids: tuple[int, ...]
    seconds: float
    steps: int
    drafted: int
    accepted: int


def tasks(folder: Path, split: str, count: int) -> Iterator[Task]:
    """The first schemas of a split that compile and have a valid instance that makes a prompt."""
    cases = (case for case in read_cases(folder) if case.group == split)
    return islice((task for case in cases if (task := _task(case))), count)


def _task(case: Case) -> Task | None:
    instance = next((json.loads(each.text) for each in case.instances if each.valid), None)
    told = _told(instance)
    if not 20 <= len(told) <= 800:
        return None
    try:
        grammar = grammar_pb2.Grammar(json_schema=case.schema)
        automaton = compile_grammar(grammar, Limits()).automaton
    except InvalidRequestError:
        return None
    return Task(case=case, prompt=PROMPT.format(instance=told), automaton=automaton)


def _told(instance: Any) -> str:
    """A value in plain words: keys and values, but no JSON to copy."""
    if isinstance(instance, dict):
        return "; ".join(f"{key} is {_told(value)}" for key, value in instance.items())
    if isinstance(instance, list):
        return " and ".join(map(_told, instance))
    return str(instance)


def answer(
    shard: ShardProcess, task: Task, *, constrained: bool, sampling: generation_pb2.Sampling, tokens: int
) -> Answer:
    """One answer of at most `tokens` tokens. Nothing else may run on the shard meanwhile."""
    request = task.request(sampling=sampling, tokens=tokens, constrained=constrained)
    before = shard.statistics()
    began = perf_counter()
    token_ids = tuple(event.token.id for event in shard.generate(request))
    seconds = perf_counter() - began
    after = shard.statistics()
    return Answer(
        token_ids=token_ids,
        seconds=seconds,
        steps=after.steps - before.steps,
        drafted=after.drafted_tokens - before.drafted_tokens,
        accepted=after.accepted_tokens - before.accepted_tokens,
    )


def measure(
    task: Task, plain: ShardProcess, drafting: ShardProcess, *, sampling: generation_pb2.Sampling, tokens: int
) -> dict[str, Answer]:
    """An answer of each kind; the free one is as long as the constrained one. Prompts are in the caches."""
    for shard in (plain, drafting):
        answer(shard, task, constrained=False, sampling=sampling, tokens=1)
    constrained = answer(plain, task, constrained=True, sampling=sampling, tokens=tokens)
    drafted = answer(drafting, task, constrained=True, sampling=sampling, tokens=tokens)
    length = max(2, len(constrained.token_ids))
    free = answer(plain, task, constrained=False, sampling=sampling, tokens=length)
    return dict(zip(MODES, (free, constrained, drafted), strict=True))


class Totals:
    """The answers to one split's schemas."""

    def __init__(self) -> None:
        self._answers: dict[str, list[Answer]] = {mode: [] for mode in MODES}

    def add(self, answers: dict[str, Answer]) -> None:
        """Take the answers to one prompt."""
        for mode, each in answers.items():
            self._answers[mode].append(each)

    @property
    def answers(self) -> int:
        """Answers of each kind."""
        return len(self._answers["drafts"])

    @property
    def same(self) -> int:
        """Answers that drafts did not change."""
        pairs = zip(self._answers["grammar"], self._answers["drafts"], strict=True)
        return sum(one.token_ids == other.token_ids for one, other in pairs)

    def speed(self, mode: str) -> float:
        """Tokens a second: the median of the answers' own."""
        return median(len(each.token_ids) / each.seconds for each in self._answers[mode])

    def ratio(self, mode: str) -> float:
        """How many times as fast as free answers: the median over pairs made one after the other."""
        pairs = zip(self._answers[mode], self._answers["free"], strict=True)
        return median(
            len(own.token_ids) / own.seconds / (len(free.token_ids) / free.seconds) for own, free in pairs
        )

    def total(self, mode: str) -> Counter[str]:
        """Sums over all answers."""
        sums: Counter[str] = Counter()
        for each in self._answers[mode]:
            sums += Counter(
                tokens=len(each.token_ids), steps=each.steps, drafted=each.drafted, accepted=each.accepted
            )
        return sums

    def row(self, name: str) -> list[str]:
        """The cells of a table."""
        drafts = self.total("drafts")
        return [
            name,
            str(self.answers),
            *(f"{self.speed(mode):.1f}" for mode in MODES),
            f"{self.ratio('grammar'):.3f}",
            f"{self.ratio('drafts'):.2f}",
            f"{drafts['tokens'] / max(1, drafts['steps']):.2f}",
            f"{drafts['accepted'] / max(1, drafts['drafted']):.0%}",
            f"{self.same / self.answers:.1%}",
        ]


COLUMNS = (
    *("schemas", "answers", "free, tokens/s", "grammar", "with drafts", "grammar / free", "drafts / free"),
    *("tokens a step", "drafts kept", "answers the same"),
)


def main(
    folder: Annotated[Path, typer.Option(help="Splits of JSONSchemaBench.")] = DEFAULT_FOLDER,
    schemas: Annotated[int, typer.Option(min=1, help="Schemas of each split.")] = 10,
    rounds: Annotated[int, typer.Option(min=1, help="Answers to each schema.")] = 3,
    tokens: Annotated[int, typer.Option(min=8, help="The most tokens of an answer.")] = 128,
    temperature: Annotated[float, typer.Option(help="0 is greedy; else each round has its own seed.")] = 0.0,
    dtype: Annotated[str, typer.Option(help="SHARD_DTYPE.")] = "auto",
    splits: Annotated[list[str], typer.Option("--split", help="May be given more than once.")] = list(SPLITS),  # noqa: B006 (typer copies it)
) -> None:
    """Measure and print a table. Exits with 1 if a bar is missed."""
    console = Console(width=160)
    with (
        shard_process({"SHARD_DTYPE": dtype, "SHARD_DRAFTS": "false"}) as plain,
        shard_process({"SHARD_DTYPE": dtype, "SHARD_DRAFTS": "true"}) as drafting,
    ):
        totals = {split: Totals() for split in splits}
        chosen = [(split, task) for split in splits for task in tasks(folder, split, schemas)]
        measure(chosen[0][1], plain, drafting, sampling=generation_pb2.Sampling(), tokens=tokens)
        for number, (split, task) in enumerate(track(chosen * rounds, "answers", console=console)):
            sampling = sampling_at(temperature, seed=number)
            totals[split].add(measure(task, plain, drafting, sampling=sampling, tokens=tokens))
    table = Table(*COLUMNS)
    for split, total in totals.items():
        table.add_row(*total.row(split))
    console.print(table)
    other = sum(total.answers - total.same for total in totals.values())
    cost = median(total.ratio("grammar") for total in totals.values())
    slow = [split for split in splits if split in FUNCTION_CALLS and totals[split].ratio("drafts") < FASTER]
    console.print(
        f"a grammar alone: {cost:.3f} times as fast (the bar: {SLOWER}); "
        f"below {FASTER} times as fast with drafts: {', '.join(slow) or 'none'}; "
        f"answers that drafts changed: {other}"
    )
    raise typer.Exit(1 if slow or cost < SLOWER or (other and dtype == "float32") else 0)


if __name__ == "__main__":
    typer.run(main)
