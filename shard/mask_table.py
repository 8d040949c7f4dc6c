"""What token masks do to scores, on the model's device."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from numpy.typing import NDArray

FIRST_ROWS = 256
_FORBIDDEN = torch.tensor(-torch.inf)


class MaskTable:
    """A table of masks, in whose rows the most recently used ones lie; a step gathers rows by their index.

    It has twice as many rows whenever it is full, up to `most_rows`, or to as many as one step asks for.
    """

    def __init__(self, device: torch.device, *, most_rows: int = 4096) -> None:
        self._device = device
        self._most_rows = most_rows
        self._table = torch.empty(0, 0, dtype=torch.uint8, device=device)
        self._bits = torch.tensor([1 << bit for bit in range(8)], dtype=torch.uint8).to(device)
        self._rows: OrderedDict[int, tuple[int, NDArray[np.int32]]] = OrderedDict()
        """By the identity of a mask, which is kept so that no other can have it: the index of its row."""

    def apply(self, scores: Tensor, masks: Sequence[NDArray[np.int32]]) -> Tensor:
        """As `Unpacked.apply`, on the device."""
        return scores.where(self.gather(masks)[:, : scores.shape[1]], -torch.inf)

    def gather(self, masks: Sequence[NDArray[np.int32]]) -> Tensor:
        """The masks as flags, (masks, 32 * words), on the device."""
        indices = [self._row(mask, at_once=len(masks)) for mask in masks]
        rows = self._table[torch.tensor(indices).to(self._device, non_blocking=True)]
        return (rows[:, :, None] & self._bits).ne(0).flatten(1)

    def _row(self, mask: NDArray[np.int32], *, at_once: int) -> int:
        known = self._rows.get(id(mask))
        if known is not None:
            self._rows.move_to_end(id(mask))
            return known[0]
        row = len(self._rows)
        if row == len(self._table) and row >= max(self._most_rows, at_once):
            _, (row, _) = self._rows.popitem(last=False)
        elif row == len(self._table):
            self._grow(mask.nbytes, max(2 * row, FIRST_ROWS))
        self._table[row].copy_(torch.tensor(mask.view(np.uint8)), non_blocking=True)
        self._rows[id(mask)] = (row, mask)
        return row

    def _grow(self, width: int, rows: int) -> None:
        table = torch.empty(rows, width, dtype=torch.uint8, device=self._device)
        if len(self._table):
            table[: len(self._table)] = self._table
        self._table = table


class Unpacked:
    """Masks on the CPU. What it gives lies in the same memory at every step, so it lasts until the next one.

    Fresh memory for the scores of a step takes as long as all else that its masks ask for.
    """

    def __init__(self) -> None:
        self._memory = torch.empty(0, 0)

    def apply(self, scores: Tensor, masks: Sequence[NDArray[np.int32]]) -> Tensor:
        """Scores, (masks, vocabulary), float32, with -inf wherever the row's mask, (words,), has no bit."""
        count, width = scores.shape
        if self._memory.shape[1] != width or len(self._memory) < count:
            self._memory = torch.empty(count, width)
        flags = np.unpackbits(np.concatenate(masks).view(np.uint8), bitorder="little")
        allowed = torch.from_numpy(flags.view(np.bool_).reshape(count, -1))[:, :width]
        return torch.where(allowed, scores, _FORBIDDEN, out=self._memory[:count])
