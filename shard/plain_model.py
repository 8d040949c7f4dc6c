"""Any causal language model of transformers, run plainly: each sequence has a cache of its own."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from shard.kv_cache import Footprint
from shard.model import SamplingModel, UnsupportedModelError, keeps_logits
from shard.sequence import Sequence, Slice

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shard.model import Numbers

CACHE_NAMES = ("past_key_values", "cache_params", "state")
"""What transformers' models call the argument, and the output, that holds what they know of the past."""


class Reading(NamedTuple):
    """The tokens that sequences read in one step, one behind the other. All int64.

    A sequence has a number from its first token on; after a preemption, which it begins anew, another one.
    """

    input_ids: NDArray[np.int64]
    """(tokens,)."""
    counts: NDArray[np.int64]
    """(slices,): tokens of each."""
    numbers: NDArray[np.int64]
    """(slices,): of their sequences."""
    samples: NDArray[np.int64]
    """(slices,): 1 if the slice reaches its sequence's end, so that its logits are wanted, else 0."""
    living: NDArray[np.int64]
    """Numbers of all sequences whose caches are still wanted."""


@dataclass
class _Memory:
    """What the model knows of one sequence: of how many tokens; and those that it has yet to read."""

    cache: Any = None
    read: int = 0
    unread: list[int] = field(default_factory=list)


class PlainModel(SamplingModel):
    """Reads sequences one by one, each with a cache that the model makes itself: right, but slow.

    For models that the paged cache cannot serve: recurrent and hybrid ones, and attention that is not
    transformers' interface. A sequence has a cache for as long as it owns blocks.
    """

    def __init__(self, network: PreTrainedModel, *, continues: bool, positioned: bool) -> None:
        """Run `network`, whose attention must be its own.

        Args:
            continues: whether it can read several tokens on top of a cache. A model that cannot (its
                recurrent kernels begin from nothing) reads a prompt at once when its last slice comes, and
                all later tokens one by one.
            positioned: whether to tell it the positions of tokens. Some models that do without find wrong
                ones, some count differently.

        Raises:
            UnsupportedModelError: it keeps nothing from one forward pass to the next.
        """
        parameters = inspect.signature(network.forward).parameters
        names = [name for name in CACHE_NAMES if name in parameters]
        if not names:
            raise UnsupportedModelError(network, "it keeps nothing from one forward pass to the next")
        self._network: Any = network
        self._continues = continues
        self._positioned = positioned and "position_ids" in parameters
        self._cache_name = names[0]
        self._keep = {"logits_to_keep": 1} if keeps_logits(network) else {}
        self._fresh = count()
        self._numbers: WeakKeyDictionary[Sequence, int] = WeakKeyDictionary()
        self._memories: dict[int, _Memory] = {}

    def plan(self, slices: list[Slice]) -> tuple[list[Slice], Reading]:
        """The slices as they come. See `SamplingModel`."""
        token_ids = np.empty(sum(each.count for each in slices), dtype=np.int64)
        offset = 0
        for each in slices:
            sequence = each.sequence
            if not sequence.computed:
                self._numbers[sequence] = next(self._fresh)
            start, stop = sequence.computed, sequence.computed + each.count
            token_ids[offset : offset + each.count] = sequence.tokens[start:stop]
            offset += each.count
        return slices, Reading(
            input_ids=token_ids,
            counts=_int64(each.count for each in slices),
            numbers=_int64(self._numbers[each.sequence] for each in slices),
            samples=_int64(each.samples for each in slices),
            living=_int64(number for sequence, number in self._numbers.items() if sequence.blocks),
        )

    def read(self, numbers: Numbers) -> Tensor:
        """See `SamplingModel`."""
        reading = Reading(*numbers)
        living = set(reading.living.tolist())
        self._memories = {number: each for number, each in self._memories.items() if number in living}
        pieces = np.split(reading.input_ids, np.cumsum(reading.counts)[:-1])
        rows = []
        for number, piece, samples in zip(reading.numbers.tolist(), pieces, reading.samples, strict=True):
            memory = self._memories.setdefault(number, _Memory())
            memory.unread += piece.tolist()
            if samples:
                rows.append(self._read_on(memory))
            elif self._continues:
                self._read_on(memory)
        if rows:
            return torch.stack(rows)
        return torch.empty(0, self._network.config.get_text_config().vocab_size, device=self._network.device)

    @torch.inference_mode()
    def footprint(self) -> Footprint:
        """The bytes that the model's caches take, measured on short ones."""
        short, long = (self._cache_bytes(tokens) for tokens in (16, 48))
        per_token = max(0, long - short) // 32
        return Footprint(per_token=per_token, per_sequence=max(0, short - 16 * per_token))

    def _cache_bytes(self, tokens: int) -> int:
        memory = _Memory(unread=[1] * tokens)
        self._read_on(memory)
        return sum(tensor.nbytes for tensor in _tensors(memory.cache, seen=set()))

    def _read_on(self, memory: _Memory) -> Tensor:
        """Read the unread tokens; (vocabulary,) logits after the last of them."""
        for piece in self._pieces(memory):
            stop = memory.read + len(piece)
            inputs = {"input_ids": self._row(piece)}
            if self._positioned:
                inputs["position_ids"] = self._row(range(memory.read, stop))
            if memory.cache is not None:
                inputs[self._cache_name] = memory.cache
            output = self._network(**inputs, use_cache=True, **self._keep)
            memory.cache, memory.read = getattr(output, self._cache_name), stop
        memory.unread = []
        logits: Tensor = output.logits[0, -1]
        return logits

    def _row(self, numbers: Iterable[int]) -> Tensor:
        return torch.tensor([list(numbers)], device=self._network.device)

    def _pieces(self, memory: _Memory) -> Iterator[list[int]]:
        if self._continues or memory.cache is None:
            yield memory.unread
        else:
            yield from ([token_id] for token_id in memory.unread)


def _int64(values: Iterable[int]) -> NDArray[np.int64]:
    return np.fromiter(values, dtype=np.int64)


def _tensors(held: Any, *, seen: set[int]) -> Iterator[Tensor]:
    """All tensors that an object holds, each once."""
    if id(held) in seen:
        return
    seen.add(id(held))
    if isinstance(held, Tensor):
        yield held
    elif isinstance(held, dict):
        for each in held.values():
            yield from _tensors(each, seen=seen)
    elif isinstance(held, list | tuple):
        for each in held:
            yield from _tensors(each, seen=seen)
    elif hasattr(held, "__dict__") and not isinstance(held, type):
        yield from _tensors(vars(held), seen=seen)
