"""Judges several engines by the same cases, side by side in one run."""

from __future__ import annotations

import traceback
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from benchmarks.case import Case, Clock, Outcome, Verdict
from benchmarks.engines.catalogue import EngineName
from benchmarks.isolation import Child, CrashedError, HungError
from benchmarks.judge import Judge
from benchmarks.vocabulary import save_tokenizer

_PRELOADED = ("torch", "transformers", "benchmarks.judge")


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """The same for all engines."""

    workers: int
    """Cases that are judged at the same time, each by one engine after the other."""
    seconds: float
    """What an engine gets for a case: its schema and all its instances."""
    memory_bytes: int
    """What an engine may take on top of what it needs to start."""
    clock: Clock


def compare(
    cases: Sequence[Case], engines: Sequence[EngineName], conditions: Conditions, *, console: Console
) -> list[Verdict]:
    """The verdicts, by case and then by engine, in the order given. Shows how far it is.

    Raises:
        CheckpointError: the tokenizer is not installed.
    """
    with TemporaryDirectory() as folder, ExitStack() as stack, _progress(console) as progress:
        task = progress.add_task("reading the tokenizer", total=len(cases))
        save_tokenizer(Path(folder))
        count = min(conditions.workers, len(cases))
        lanes = [stack.enter_context(_Lane(engines, Path(folder), conditions)) for _ in range(count)]
        verdicts: dict[int, list[Verdict]] = {}
        progress.update(task, description="judging")
        for position, judged in stack.enter_context(closing(_judged(cases, lanes))):
            verdicts[position] = judged
            progress.advance(task)
    return [verdict for position in range(len(cases)) for verdict in verdicts[position]]


class _Lane:
    """One child for each engine, of which one works at a time: so none has more of the machine."""

    def __init__(self, engines: Sequence[EngineName], tokenizer_folder: Path, conditions: Conditions) -> None:
        self._children = {
            engine: Child(
                partial(_judge, engine, tokenizer_folder, conditions.clock),
                prepare=partial(Judge.of, engine, tokenizer_folder, conditions.clock),
                preload=_PRELOADED,
                seconds=conditions.seconds,
                memory_bytes=conditions.memory_bytes,
            )
            for engine in engines
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for child in self._children.values():
            child.close()

    def judge(self, case: Case) -> list[Verdict]:
        """The verdicts of all engines on one case."""
        return [self._verdict(engine, child, case) for engine, child in self._children.items()]

    def _verdict(self, engine: EngineName, child: Child[Case, Verdict | str], case: Case) -> Verdict:
        try:
            verdict = child.run(case)
        except HungError as error:
            return Verdict(case=case, engine=engine, outcome=Outcome.HUNG, reason=str(error))
        except CrashedError as error:
            return Verdict(case=case, engine=engine, outcome=Outcome.CRASHED, reason=str(error))
        if isinstance(verdict, str):
            return Verdict(case=case, engine=engine, outcome=Outcome.CRASHED, reason=verdict)
        return verdict


def _judge(engine: EngineName, tokenizer_folder: Path, clock: Clock, case: Case) -> Verdict | str:
    """A child's task: the verdict, or the traceback of what went wrong, as that itself may not travel."""
    try:
        return Judge.of(engine, tokenizer_folder, clock).judge(case)
    except MemoryError:
        raise
    except BaseException:  # a Rust panic is no Exception
        return traceback.format_exc()


def _judged(cases: Sequence[Case], lanes: Sequence[_Lane]) -> Generator[tuple[int, list[Verdict]]]:
    """The position of each case and its verdicts, as they come."""
    idle: SimpleQueue[_Lane] = SimpleQueue()
    for lane in lanes:
        idle.put(lane)

    def judge(case: Case) -> list[Verdict]:
        lane = idle.get()
        try:
            return lane.judge(case)
        finally:
            idle.put(lane)

    executor = ThreadPoolExecutor(len(lanes))
    try:
        positions = {executor.submit(judge, case): position for position, case in enumerate(cases)}
        for future in as_completed(positions):
            yield positions[future], future.result()
    finally:
        executor.shutdown(cancel_futures=True)


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, transient=True)
