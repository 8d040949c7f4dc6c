"""Before the shard is ready, its model has read steps of every size that it will be given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from shard.limits import LimitError
from shard.sequence import Sequence, Slice
from shard.warm_up import warm_up


class Recorder:
    """Notes what each step reads, and of how many blocks; fails where more than `most` tokens are read."""

    def __init__(self, most: int = 10_000) -> None:
        self.most = most
        self.steps: list[list[tuple[int, list[int]]]] = []

    def step(self, slices: list[Slice], masks: Callable[[], Any]) -> dict[Sequence, Any]:
        if sum(each.count for each in slices) > self.most:
            raise torch.OutOfMemoryError("no memory for that")
        self.steps.append([(each.count, each.sequence.blocks.tolist()) for each in slices])
        assert all(each.samples for each in slices)
        return {}


def steps(model: Any, *, batch_tokens: int = 10, running: int = 3, blocks: int = 5) -> None:
    warm_up(model, batch_tokens=batch_tokens, running=running, blocks=blocks, block_size=4)


def test_the_longest_prompt_and_the_most_sequences_are_read() -> None:
    model = Recorder()
    steps(model)
    assert model.steps == [[(10, [1, 2, 3])], [(1, [1]), (1, [2]), (1, [3])]]


def test_no_more_is_read_than_the_cache_holds() -> None:
    model = Recorder()
    steps(model, batch_tokens=100, running=9, blocks=2)
    assert model.steps == [[(8, [1, 2])], [(1, [1]), (1, [2])]]


def test_a_step_that_fails_is_explained() -> None:
    with pytest.raises(LimitError, match=r"10 tokens fails .*no memory.* SHARD_MAX_BATCH_TOKENS"):
        steps(Recorder(most=9))
