"""Tries grammars one after the other, and makes a short example of each that shows a flaw."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from time import monotonic
from types import TracebackType
from typing import Self

from benchmarks.fuzz.probe import Compilation, Examination, Flaw, Kind, Probe, attempt, compile_probe
from benchmarks.fuzz.reduction import reduced, simpler_texts, simpler_values
from benchmarks.fuzz.writing import read, write
from benchmarks.isolation import Child, CrashedError, HungError

_CONTRADICTION = "nothing can satisfy"
"""What the compiler says of a schema that it finds no valid value for."""


@dataclass(frozen=True, kw_only=True)
class Find:
    """A flaw, with the simplest probe found that shows it."""

    flaw: Flaw
    probe: Probe


class Hunt:
    """Counts what came of all probes, and keeps the finds, of each kind of flaw only so many."""

    def __init__(
        self, *, seconds: float, memory_bytes: int, reduction_seconds: float, finds_of_a_kind: int
    ) -> None:
        self.counts: Counter[str] = Counter()
        self.flaws: Counter[str] = Counter()
        self.finds: list[Find] = []
        self.over_a_limit: list[Probe] = []
        """What the service would refuse for its time or memory."""
        self._reduction_seconds = reduction_seconds
        self._finds_of_a_kind = finds_of_a_kind
        self._child: Child[Probe | tuple[Probe, bytes], Compilation | Examination] = Child(
            attempt,
            prepare=_prepare,
            preload=(attempt.__module__,),
            seconds=seconds,
            memory_bytes=memory_bytes,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._child.close()

    def try_out(self, probe: Probe) -> Find | None:
        """Compile and examine one probe, unless it was over a limit before; the find, if it is a new one."""
        if any(probe.source == known.source for known in self.over_a_limit):
            return None
        flaw = self._flaw(probe, count=True)
        if flaw is None:
            return None
        self.flaws[flaw.flaw] += 1
        if self.flaws[flaw.flaw] > self._finds_of_a_kind:
            return None
        find = self._reduced(Find(flaw=flaw, probe=probe))
        if any(find.probe.source == known.probe.source for known in self.finds):
            return None
        self.finds.append(find)
        return find

    def _flaw(self, probe: Probe, *, count: bool = False) -> Flaw | None:
        try:
            compilation = self._child.run(probe)
        except (HungError, CrashedError):
            if count:
                self.counts["over a limit"] += 1
                self.over_a_limit.append(probe)
            return None
        assert isinstance(compilation, Compilation)
        self.counts["compiled" if compilation.automaton else "refused"] += count and compilation.flaw is None
        contradiction = _CONTRADICTION in compilation.refusal and not probe.strict
        if not (compilation.automaton or (contradiction and probe.kind is Kind.JSON_SCHEMA)):
            return compilation.flaw
        try:
            examination = self._child.run((probe, compilation.automaton))
        except (HungError, CrashedError):  # of the judge: Python's `re` takes for ever with some patterns
            self.counts["compiled, but not judged"] += count
            return None
        assert isinstance(examination, Examination)
        if count:
            self.counts["answers judged"] += examination.answers
            self.counts["other values judged"] += examination.values
        return examination.flaw

    def _reduced(self, find: Find) -> Find:
        """The find with a simpler source, as simple as the time allows."""
        until = monotonic() + self._reduction_seconds
        simplest = find

        def flawed(probe: Probe) -> bool:
            nonlocal simplest
            flaw = self._flaw(probe) if monotonic() < until else None
            if flaw is None or flaw.flaw != find.flaw.flaw:
                return False
            simplest = Find(flaw=flaw, probe=probe)
            return True

        reduced(find.probe, _simpler, flawed)
        return simplest


def _simpler(probe: Probe) -> Iterator[Probe]:
    if probe.kind is Kind.JSON_SCHEMA:
        try:
            value = read(probe.source)
        except (ValueError, RecursionError):
            pass
        else:
            yield from (replace(probe, source=write(each)) for each in simpler_values(value))
            return
    yield from (replace(probe, source=each) for each in simpler_texts(probe.source))


def _prepare() -> None:
    """Compile something, so that what a first compilation sets up is on nobody's time."""
    compile_probe(Probe(kind=Kind.JSON_SCHEMA, source="{}"))
