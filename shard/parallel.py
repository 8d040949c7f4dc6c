"""Tensor parallel: the ranks of one model, and how rank 0 tells the others what to read."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.distributed as dist

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from transformers import PreTrainedConfig

    from shard.model import Numbers, SamplingModel

MESSAGE_NUMBERS = 4096
"""What one broadcast carries. Most steps fit; the rest of a longer one takes a second broadcast."""

IDLE = timedelta(days=3650)
"""How long a rank waits for the next step."""


class RankError(Exception):
    """The ranks cannot work together, or one of them is gone. The message says why."""


class Ranks:
    """The processes that run one model together, this one among them. Rank 0 leads, the others follow it.

    Every rank loads and checks the model by the same calls in the same order. Once rank 0 serves, it
    announces what it is about to read, and every rank reads just that. These messages travel over gloo,
    between CPUs, whatever the layers of the model use: a rank that waits keeps no GPU busy, and may wait for
    ever.
    """

    def __init__(self, rank: int, size: int) -> None:
        """`torch.distributed` has been initialised with these numbers, unless the rank is alone."""
        self.rank = rank
        self.size = size
        self._group: Any = dist.new_group(backend="gloo", timeout=IDLE) if size > 1 else None

    def least(self, value: int) -> int:
        """The least of all ranks' values."""
        return int(self._reduced(value, dist.ReduceOp.MIN))

    def most(self, value: float) -> float:
        """The greatest of all ranks' values."""
        return float(self._reduced(value, dist.ReduceOp.MAX))

    def announce(self, arrays: Numbers) -> None:
        """On rank 0: tell the others what to read; no arrays at all: that it is over."""
        numbers = np.concatenate([[len(arrays)], [len(each) for each in arrays], *arrays]).astype(np.int64)
        first = np.zeros(MESSAGE_NUMBERS, dtype=np.int64)
        first[0] = len(numbers)
        rest = numbers[MESSAGE_NUMBERS - 1 :]
        first[1 : 1 + len(numbers)] = numbers[: MESSAGE_NUMBERS - 1]
        self._broadcast(first)
        if len(rest):
            self._broadcast(rest)

    def receive(self) -> Numbers:
        """On the others: wait for what rank 0 announces.

        Raises:
            RankError: rank 0 is gone.
        """
        first = np.empty(MESSAGE_NUMBERS, dtype=np.int64)
        self._broadcast(first)
        length = int(first[0])
        rest = np.empty(max(0, length - MESSAGE_NUMBERS + 1), dtype=np.int64)
        if len(rest):
            self._broadcast(rest)
        numbers = np.concatenate([first[1 : 1 + length], rest])
        count = int(numbers[0])
        starts = np.cumsum(numbers[1 : 1 + count])[:-1]
        return tuple(np.split(numbers[1 + count :], starts)) if count else ()

    def _broadcast(self, numbers: NDArray[np.int64]) -> None:
        try:
            dist.broadcast(torch.from_numpy(numbers), src=0, group=self._group)
        except RuntimeError as error:  # what torch raises when a connection is lost
            lost = "another rank" if self.rank == 0 else "rank 0"
            raise RankError(f"{lost} is gone") from error

    def _reduced(self, value: float, operation: Any) -> float:
        if self.size == 1:
            return value
        reduced = torch.tensor([value], dtype=torch.float64)
        dist.all_reduce(reduced, op=operation, group=self._group)
        return float(reduced)


def follow(model: SamplingModel, ranks: Ranks) -> None:
    """Read what rank 0 announces until it says that it is over.

    Raises:
        RankError: rank 0 is gone.
    """
    with torch.inference_mode():
        while numbers := ranks.receive():
            model.read(numbers)


def require_divisible(config: PreTrainedConfig, *, name: str, ranks: int) -> None:
    """Check that a model can be split over so many ranks.

    Raises:
        RankError: it has no plan for that, or heads that do not divide.
    """
    text = config.get_text_config()
    plan: dict[str, str] = getattr(text, "base_model_tp_plan", None) or {}
    if not plan:
        raise RankError(f"{name} (model type {config.model_type}) cannot be split: it runs on 1 rank only")
    queries = getattr(text, "num_attention_heads", None)
    keys = getattr(text, "num_key_value_heads", queries)
    split = any("attn" in part and style == "colwise" for part, style in plan.items())
    if split and not (_divisible(queries, ranks) and _divisible(keys, ranks)):
        raise RankError(
            f"{name} cannot be split over {ranks} ranks: its {queries} attention heads and {keys} key-value"
            f" heads do not divide by {ranks}"
        )


def _divisible(heads: int | list[int] | None, ranks: int) -> bool:
    """Whether heads, of all layers or of each, divide."""
    counts = heads if isinstance(heads, list) else [heads or 0]
    return all(each % ranks == 0 for each in counts)
