"""The token masks of one step, found while the model reads."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING

from shard.sequence import Sequence, Slice

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass
class StepMasks:
    """Masks of all rows of the sequences that have a grammar, unless they fail or are late."""

    rows: dict[Sequence, NDArray[np.int32]] = field(default_factory=dict)
    failures: dict[Sequence, Exception] = field(default_factory=dict)
    late: set[Sequence] = field(default_factory=set)
    """Those whose masks are not known yet, and were not computed, for others had taken the time."""


def find_masks(slices: Iterable[Slice], *, enough: float) -> StepMasks:
    """Ask for the masks of slices that sample and have a grammar.

    New ones are computed, at least one, until `enough` seconds are spent; then only known ones are asked for.
    """
    found = StepMasks()
    spent = 0.0
    for each in slices:
        sequence = each.sequence
        assert sequence.constraint is not None
        if spent > enough and not sequence.constraint.known:
            found.late.add(sequence)
            continue
        began = perf_counter()
        try:
            masks = sequence.constraint.masks(ahead.tokens[-1] for ahead in each.drafts)
            if not masks[0].any():
                raise ValueError("the grammar allows no token here")
            found.rows.update(
                zip(each.rows, masks, strict=False)
            )  # no more after a draft that is not allowed
        except Exception as error:
            found.failures[sequence] = error
        spent += perf_counter() - began
    return found
