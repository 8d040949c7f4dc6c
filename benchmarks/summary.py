"""The numbers of a comparison: what was right, and how long it took."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.case import Judgement, Microseconds, Outcome, Times, Verdict


@dataclass(frozen=True, kw_only=True)
class Correctness:
    """Counts over the verdicts of one engine. Instances are those of the schemas that it compiled."""

    schemas: int
    outcomes: dict[Outcome, int]
    all_right: int
    all_right_but_order: int
    valid: int
    invalid: int
    judgements: dict[Judgement, int]

    @classmethod
    def of(cls, verdicts: Sequence[Verdict]) -> Correctness:
        """Count."""
        compiled = [verdict for verdict in verdicts if verdict.outcome is Outcome.COMPILED]
        instances = [instance for verdict in compiled for instance in verdict.case.instances]
        outcomes = Counter(verdict.outcome for verdict in verdicts)
        judgements = Counter(judgement for verdict in compiled for judgement in verdict.judgements)
        return cls(
            schemas=len(verdicts),
            outcomes={outcome: outcomes[outcome] for outcome in Outcome},
            all_right=sum(verdict.all_right for verdict in verdicts),
            all_right_but_order=sum(verdict.all_right_but_order for verdict in verdicts),
            valid=sum(instance.valid for instance in instances),
            invalid=sum(not instance.valid for instance in instances),
            judgements={judgement: judgements[judgement] for judgement in Judgement},
        )

    @property
    def valid_accepted(self) -> int:
        """Valid instances that are possible answers."""
        refused = self.judgements[Judgement.VALID_REFUSED] + self.judgements[Judgement.KEY_ORDER]
        return self.valid - refused

    @property
    def invalid_rejected(self) -> int:
        """Invalid instances that are no possible answers."""
        return self.invalid - self.judgements[Judgement.INVALID_ACCEPTED]


@dataclass(frozen=True, kw_only=True)
class Percentiles:
    """Of measurements in microseconds; NaN where nothing was measured."""

    p50: float
    p90: float
    p99: float

    @classmethod
    def of(cls, measurements: Microseconds) -> Percentiles:
        """Compute."""
        if not len(measurements):
            return cls(p50=np.nan, p90=np.nan, p99=np.nan)
        p50, p90, p99 = np.percentile(measurements, (50, 90, 99)).tolist()
        return cls(p50=p50, p90=p90, p99=p99)


@dataclass(frozen=True, kw_only=True)
class Speed:
    """Over the schemas that one engine compiled."""

    compile: Percentiles
    """Of schemas."""
    opening: Percentiles
    """Of schemas: the very first mask, with all that a first answer needs."""
    slowest: Percentiles
    """Of schemas: the slowest of their masks that were asked for the first time."""
    first: Percentiles
    """Of masks asked for the first time."""
    warm: Percentiles
    """Of masks asked for again."""
    advance: Percentiles
    """Of tokens taken."""

    @classmethod
    def of(cls, verdicts: Sequence[Verdict]) -> Speed:
        """Compute."""
        times = [verdict.times for verdict in verdicts if verdict.times]
        answered = [each for each in times if len(each.first)]
        return cls(
            compile=Percentiles.of(np.array([each.compile for each in times], np.float32)),
            opening=Percentiles.of(np.array([each.first[0] for each in answered], np.float32)),
            slowest=Percentiles.of(np.array([each.first.max() for each in answered], np.float32)),
            first=_pooled(times, lambda each: each.first),
            warm=_pooled(times, lambda each: each.warm),
            advance=_pooled(times, lambda each: each.advance),
        )


def _pooled(times: Sequence[Times], choose: Callable[[Times], Microseconds]) -> Percentiles:
    empty = np.zeros(0, np.float32)
    return Percentiles.of(np.concatenate([empty, *(choose(each) for each in times)]))
