"""Steps of few tokens as recordings of what they launch on a GPU, played again with other numbers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor

from shard.batch import Batch
from shard.decoding import arguments_of
from shard.model import PagedModel

BUCKETS = (1, 2, 4, 8, 16, 24, 32, 48, 64, 96, 128)
"""Tokens of the steps that are recorded; others are filled up to the next."""

MOST_OF_ONE = 32
"""Tokens of one sequence up to which a step is played: it reads the sequence's keys and values for each."""

logger = logging.getLogger(__name__)


class Capture(Protocol):
    """Records what a function does, and plays it again."""

    def __call__(self, function: Callable[[], Tensor]) -> Callable[[], Tensor]:
        """Call `function`, which reads and writes tensors that stay where they are.

        Returns:
            What does the same again with what the tensors then hold; the result is in the same memory each
            time, until any other recording of this object is played.
        """


class CapturedStep:
    """A model over its cache, where every token is a row of its own, with a block table and a length.

    Rows that fill a step up to its bucket are tokens of a sequence of length one in block 0, which is
    nobody's. All of a step's keys and values are stored before any row attends, so tokens of one sequence
    see those before them.
    """

    def __init__(
        self, model: PagedModel, capture: Capture, *, longest: int, buckets: Sequence[int] = BUCKETS
    ) -> None:
        """Nothing is recorded yet.

        Args:
            longest: tokens of the longest sequence whose steps are played.
        """
        cache, rows = model.cache, max(buckets)
        self._compute = model.compute
        self._capture = capture
        self._buckets = sorted(buckets)
        self._blocks = -(-min(longest, cache.tokens) // cache.block_size)
        self._longest = self._blocks * cache.block_size
        numbers = torch.zeros(4, rows, dtype=torch.int64, device=model.device)
        self._input_ids, self._positions, self._slots, self._rows = numbers
        self._rows.copy_(torch.arange(rows))
        self._tables = torch.zeros(rows, self._blocks, dtype=torch.int64, device=model.device)
        self._recordings: dict[int, Callable[[], Tensor]] = {}

    def takes(self, batch: Batch) -> bool:
        """Whether the step is short, and anything of it is wanted."""
        return (
            len(batch.logit_rows) > 0
            and batch.input_ids.shape[1] <= self._buckets[-1]
            and batch.tables.shape[1] <= self._blocks
            and max(batch.counts) <= MOST_OF_ONE
        )

    def __call__(self, batch: Batch) -> Tensor:
        """Logits of the rows that the batch wants, (wanted, vocabulary). What is not recorded yet is now."""
        input_ids, positions, slots, tables, wanted = arguments_of(batch)
        rows = len(slots)
        bucket = next(each for each in self._buckets if each >= rows)
        buffers = (self._input_ids, self._positions, self._slots)
        for buffer, numbers in zip(buffers, (input_ids, positions, slots), strict=True):
            buffer[:rows].copy_(numbers)
            buffer[rows:bucket].zero_()
        self._tables[:rows, : tables.shape[1]].copy_(tables)
        self._tables[rows:bucket, 0].zero_()  # further blocks, of any row, are beyond its length
        if bucket not in self._recordings:
            self._record(bucket)
        return self._recordings[bucket]()[wanted]

    @torch.inference_mode()
    def record(self) -> None:
        """Record steps of all buckets. Writes to block 0 of the cache only."""
        self._tables.zero_()
        for buffer in (self._input_ids, self._positions, self._slots):
            buffer.zero_()
        for bucket in reversed(self._buckets):  # the memory of the largest then holds each of the others
            self._record(bucket)

    def _record(self, bucket: int) -> None:
        self._recordings[bucket] = self._capture(lambda: self._compute(self._batch(bucket)))

    def _batch(self, rows: int) -> Batch:
        """The buffers' first `rows` as a step. What the host says of it holds for whatever they may hold."""
        positions = self._positions[:rows]
        return Batch(
            input_ids=self._input_ids[None, :rows],
            positions=positions[None],
            slots=self._slots[:rows],
            tables=self._tables[:rows],
            lengths=[self._longest] * rows,
            counts=[1] * rows,
            singles=rows,
            ends=positions + 1,
            logit_rows=self._rows[:rows],
        )


def capture_steps(
    model: PagedModel,
    *,
    small: PagedModel,
    verify: Callable[[], None],
    capture: Callable[[], Capture],
    longest: int,
    required: bool,
) -> None:
    """Let `model` play its short steps, if that gives the right outputs; otherwise leave it as it is.

    Args:
        small: the same over a cache for the check, which records for itself, as windows are narrow there.
        verify: raises an exception if the outputs of `small` are wrong.
        capture: what records, one for each model.

    Raises:
        ValueError: it is required, and fails.
    """
    try:
        small.compiled = CapturedStep(small, capture(), longest=longest)
        verify()
        step = CapturedStep(model, capture(), longest=longest)
        step.record()
    except Exception as error:  # such as a layer that asks the GPU which expert to run
        if required:
            raise ValueError(f"SHARD_FORWARD is captured, but {error}") from error
        logger.warning("steps are not captured: %s", error)
    else:
        model.compiled = step
        logger.info("forward pass: CUDA graphs for steps of up to %d tokens", BUCKETS[-1])
    finally:
        small.compiled = None
