"""The token masks of one step."""

from __future__ import annotations

from collections.abc import Iterable
from time import perf_counter
from typing import TYPE_CHECKING

from shard.sequence import Sequence, Slice

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class StepMasks:
    """Masks of all rows of the sequences that sample and have a grammar, unless they fail or are late."""

    def __init__(self, slices: Iterable[Slice], *, enough: float) -> None:
        """New masks are computed, at least one, until `enough` seconds are spent."""
        self._slices = [each for each in slices if each.samples and each.sequence.constraint is not None]
        self._enough = enough
        self.failures: dict[Sequence, Exception] = {}
        self.late: set[Sequence] = set()
        """Those whose masks are not known yet, and were not computed, for others had taken the time."""

    def find(self) -> dict[Sequence, NDArray[np.int32]]:
        """The masks, by the rows' sequences."""
        rows: dict[Sequence, NDArray[np.int32]] = {}
        began, spent = perf_counter(), 0.0
        for each in self._slices:
            sequence = each.sequence
            assert sequence.constraint is not None
            if spent > self._enough and not sequence.constraint.known:
                self.late.add(sequence)
                continue
            try:
                masks = sequence.constraint.masks(ahead.tokens[-1] for ahead in each.drafts)
                rows.update(zip(each.rows, masks, strict=False))  # none after a draft that is not allowed
            except Exception as error:
                self.failures[sequence] = error
            spent = perf_counter() - began
        return rows
