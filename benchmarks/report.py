"""Prints what a comparison found, and writes it down."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from benchmarks.case import Judgement, Outcome, Verdict
from benchmarks.comparison import Conditions
from benchmarks.engines.catalogue import EngineName
from benchmarks.summary import Correctness, Percentiles, Speed

_FAILED = (Outcome.CRASHED, Outcome.HUNG)
_WRONG = (Judgement.INVALID_ACCEPTED, Judgement.VALID_REFUSED, Judgement.KEY_ORDER)


class Report:
    """The verdicts of one comparison, by engine in the order in which they were compared."""

    def __init__(self, verdicts: Sequence[Verdict]) -> None:
        self._engines: dict[EngineName, list[Verdict]] = {}
        for verdict in verdicts:
            self._engines.setdefault(verdict.engine, []).append(verdict)

    @property
    def unsound(self) -> bool:
        """Whether Guiderail accepted an invalid instance."""
        verdicts = self._engines.get(EngineName.GUIDERAIL, [])
        return any(Judgement.INVALID_ACCEPTED in verdict.judgements for verdict in verdicts)

    def print(self, console: Console, *, by_group: bool, times: bool, failures: int) -> None:
        """The tables, then up to `failures` schemas of each kind of failure, and the refusals by reason."""
        console.print(self._correctness(by_group=by_group))
        console.print(
            "[dim]Instances are those of the schemas that compiled. All right: compiled, and every instance "
            "judged right; but order: or refused for the order of its keys alone. Contradictions: schemas "
            "without a valid instance, of which the engine says that nothing satisfies them; they count "
            "neither as refused nor as right. Both are told for guiderail only."
        )
        if times:
            console.print(self._speed())
            console.print(
                "[dim]In one process, p50 / p90 / p99. Opening: the first mask of a schema, with what "
                "a first answer needs; slowest: of each schema; first and warm mask: asked for after a "
                "beginning that was not, or was, met before; token: what it takes to take one."
            )
        if failures:
            for engine, verdicts in self._engines.items():
                _print_failures(console, engine, verdicts, failures)

    def write(self, path: Path, *, conditions: Conditions) -> None:
        """All numbers, and what was not right, as JSON."""
        described = {
            "conditions": asdict(conditions),
            "engines": [
                {
                    "name": engine,
                    "version": engine.version,
                    "correctness": _plain(Correctness.of(verdicts)),
                    "microseconds": _plain(Speed.of(verdicts)),
                    "groups": {
                        group: _plain(Correctness.of(found)) for group, found in _by_group(verdicts).items()
                    },
                    "schemas": [_described(verdict) for verdict in verdicts],
                }
                for engine, verdicts in self._engines.items()
            ],
        }
        path.write_text(json.dumps(described, indent=1) + "\n")

    def _correctness(self, *, by_group: bool) -> Table:
        table = Table(title="Right or wrong")
        table.add_column("engine", no_wrap=True)
        for name in (
            "schemas",
            "compiled",
            "refused",
            "contradictions",
            "hung",
            "crashed",
            "all right",
            "but order",
        ):
            table.add_column(name, justify="right")
        for name in ("valid accepted", "key order", "invalid rejected", "invalid accepted"):
            table.add_column(name, justify="right")
        for engine, verdicts in self._engines.items():
            table.add_row(engine, *_cells(Correctness.of(verdicts)), style="bold" if by_group else None)
            for group, found in _by_group(verdicts).items() if by_group else ():
                table.add_row(f"  {escape(group)}", *_cells(Correctness.of(found)))
        return table

    def _speed(self) -> Table:
        table = Table(title="Time")
        table.add_column("engine", no_wrap=True)
        for name, unit in (("compile", "ms"), ("opening", "ms"), ("slowest mask", "ms")):
            table.add_column(f"{name}, {unit}", justify="right", no_wrap=True)
        for name in ("first mask", "warm mask", "token"):
            table.add_column(f"{name}, µs", justify="right", no_wrap=True)
        for engine, verdicts in self._engines.items():
            speed = Speed.of(verdicts)
            milliseconds = (speed.compile, speed.opening, speed.slowest)
            microseconds = (speed.first, speed.warm, speed.advance)
            cells = [_percentiles(each, unit=1000) for each in milliseconds]
            table.add_row(engine, *cells, *(_percentiles(each, unit=1) for each in microseconds))
        return table


def _cells(found: Correctness) -> list[str]:
    outcomes, judgements = found.outcomes, found.judgements
    return [
        f"{found.schemas}",
        _share(outcomes[Outcome.COMPILED], found.schemas),
        _share(outcomes[Outcome.REFUSED], found.schemas),
        f"{outcomes[Outcome.CONTRADICTION]}",
        f"{outcomes[Outcome.HUNG]}",
        f"{outcomes[Outcome.CRASHED]}",
        _share(found.all_right, found.schemas),
        _share(found.all_right_but_order, found.schemas),
        _share(found.valid_accepted, found.valid),
        f"{judgements[Judgement.KEY_ORDER]}",
        _share(found.invalid_rejected, found.invalid),
        f"{judgements[Judgement.INVALID_ACCEPTED]}",
    ]


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "–"


def _percentiles(found: Percentiles, *, unit: float) -> str:
    return " / ".join(_rounded(value / unit) for value in (found.p50, found.p90, found.p99))


def _rounded(value: float) -> str:
    if math.isnan(value):
        return "–"
    return f"{value:.2f}" if value < 1 else f"{value:.1f}" if value < 100 else f"{value:.0f}"


def _by_group(verdicts: Sequence[Verdict]) -> dict[str, list[Verdict]]:
    groups: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        groups.setdefault(verdict.case.group, []).append(verdict)
    return groups


def _print_failures(console: Console, engine: EngineName, verdicts: Sequence[Verdict], limit: int) -> None:
    for outcome in _FAILED:
        found = [verdict for verdict in verdicts if verdict.outcome is outcome]
        if found:
            console.print(f"\n[bold]{engine}: {outcome}, {len(found)}")
        for verdict in found[:limit]:
            reason = verdict.reason.strip().rsplit("\n", 1)[-1]
            console.print(f"  {verdict.case.name}: {reason}", markup=False, highlight=False)
    for judgement in _WRONG:
        lines = [
            f"{verdict.case.name}: {instance.description}"
            for verdict in verdicts
            for instance, judged in zip(verdict.case.instances, verdict.judgements, strict=False)
            if judged is judgement
        ]
        if lines:
            console.print(f"\n[bold]{engine}: {judgement}, {len(lines)}")
        for line in lines[:limit]:
            console.print(f"  {line}", markup=False, highlight=False)
    refused = [verdict for verdict in verdicts if verdict.outcome is Outcome.REFUSED]
    if refused:
        console.print(f"\n[bold]{engine}: refused, {len(refused)}")
    for reason, count in Counter(_kind(verdict.reason) for verdict in refused).most_common(limit):
        example = next(verdict.case.name for verdict in refused if _kind(verdict.reason) == reason)
        console.print(f"  {count:5} {reason}  ({example})", markup=False, highlight=False)


def _kind(reason: str) -> str:
    """The reason without what differs from schema to schema: its place, its names and its numbers."""
    line = re.sub(r' at (the root|"(/[^"]*)?")', "", reason.strip().split("\n", 1)[0])
    keyword, colon, why = line.partition(": ") if line.startswith('"') else ("", "", line)
    least = 0 if colon else 24  # a short name in another engine's reason may be that of the keyword
    why = re.sub(rf"\"[^\"]{{{least},}}\"|'[^']{{{least},}}'|`[^`]{{{least},}}`", "…", why)
    return f"{keyword}{colon}{re.sub(r'[0-9]+', 'N', why)}"[:160]


def _described(verdict: Verdict) -> dict[str, Any]:
    described: dict[str, Any] = {"name": verdict.case.name, "outcome": verdict.outcome}
    if verdict.times:
        described["compile_microseconds"] = round(verdict.times.compile, 1)
    if verdict.reason:
        described["reason"] = verdict.reason
    wrong = [
        {"judgement": judgement, "number": number, "description": instance.description}
        for number, (instance, judgement) in enumerate(
            zip(verdict.case.instances, verdict.judgements, strict=False)
        )
        if judgement is not Judgement.RIGHT
    ]
    return described | ({"wrong": wrong} if wrong else {})


def _plain(found: Correctness | Speed) -> dict[str, Any]:
    """As JSON can hold it: NaN, which says that nothing was measured, becomes null."""
    return {
        name: {key: None if value != value else value for key, value in each.items()}
        if isinstance(each, dict)
        else each
        for name, each in asdict(found).items()
    }
