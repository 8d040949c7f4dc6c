"""A transformers model that reads one step of many sequences, over the paged cache."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import torch
from torch import Tensor
from transformers import PreTrainedModel

from shard.adapters import Adapters
from shard.answer import Sampled
from shard.attention import NAME, Attention, PagedAttention, Probe, attending, register
from shard.batch import Batch, Layout
from shard.drafts import verified
from shard.kv_cache import KVCache, LayerShape
from shard.logprobs import record_prompt_logprobs
from shard.mask_table import MaskTable, Unpacked
from shard.sampling import sample
from shard.sequence import Sequence, Slice

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Masks: TypeAlias = Mapping[Sequence, NDArray[np.int32]]
    Numbers: TypeAlias = tuple[NDArray[np.int64], ...]


class UnsupportedModelError(Exception):
    """The model works in a way that cannot be served. The message names it."""

    def __init__(self, network: PreTrainedModel, why: str) -> None:
        kind = network.config.model_type
        super().__init__(f"{type(network).__name__} (model type {kind}) cannot be served: {why}")
        self.why = why


class SamplingModel(ABC):
    """Turns the slices of a step into plain numbers, reads those, and samples.

    What it reads depends on the numbers alone, so that other ranks, told of them, read the same.
    """

    _announce: Callable[[Numbers], None] | None = None
    _adapters: Adapters | None = None
    _masks: MaskTable | Unpacked | None = None

    def lead(self, announce: Callable[[Numbers], None]) -> None:
        """From now on tell other ranks the numbers of each step, before reading it."""
        self._announce = announce

    def adapt(self, adapters: Adapters) -> None:
        """Let sequences name one of `adapters`, which are the network's."""
        self._adapters = adapters

    @torch.inference_mode()
    def step(self, slices: list[Slice], masks: Callable[[], Masks]) -> dict[Sequence, list[Sampled]]:
        """Read the slices and sample tokens for each that reaches its sequence's end. See `engine.Model`."""
        ordered, logits = self._read(slices)
        rows = [row for each in ordered for row in each.rows]
        record_prompt_logprobs(ordered, logits[len(rows) :])
        if not rows:
            return {}
        on_cpu = logits.device.type == "cpu"
        own = self._masks = self._masks or (Unpacked() if on_cpu else MaskTable(logits.device))
        return verified(ordered, sample(logits[: len(rows)], rows, masks(), apply=own.apply))

    @torch.inference_mode()
    def forward(self, slices: list[Slice]) -> Tensor:
        """Read the slices: (rows of the slices, vocabulary) logits, in the order that `plan` gives them.

        The logits of tokens of which a prompt's log-probabilities are wanted come after them.
        """
        return self._read(slices)[1]

    def _read(self, slices: list[Slice]) -> tuple[list[Slice], Tensor]:
        ordered, numbers = self.plan(slices)
        if self._announce is not None:
            self._announce(numbers)
        with self._adapters.applied(ordered) if self._adapters else nullcontext():
            return ordered, self.read(numbers)

    @abstractmethod
    def plan(self, slices: list[Slice]) -> tuple[list[Slice], Numbers]:
        """The slices in the order of their logits, and all that `read` needs to know of them."""

    @abstractmethod
    def read(self, numbers: Numbers) -> Tensor:
        """Read what was planned: (tokens of wanted logits, vocabulary). In inference mode only."""


class ShortStep(Protocol):
    """Reads steps of some kinds faster than the model itself does."""

    def takes(self, batch: Batch) -> bool:
        """Whether it reads this one."""

    def __call__(self, batch: Batch) -> Tensor:
        """Logits of the rows that the batch wants, (wanted, vocabulary)."""


class PagedModel(SamplingModel):
    """transformers' own model, untouched, whose attention layers read and write `cache`."""

    def __init__(self, network: PreTrainedModel, cache: KVCache) -> None:
        """`cache` has the shapes that `probe` found in `network`."""
        self._network: Any = network
        self.cache = cache
        self.attends: Callable[[KVCache, Batch], Attention] = PagedAttention
        """Makes the attention of a step."""
        self.compiled: ShortStep | None = None
        """Runs the steps that it takes, compiled or captured; may be set at any time."""
        self._keeps_logits = keeps_logits(network)

    @property
    def device(self) -> torch.device:
        """Where it runs."""
        device: torch.device = self._network.device
        return device

    @property
    def positions(self) -> int | None:
        """Tokens of the longest text that it was made for."""
        return getattr(self._network.config.get_text_config(), "max_position_embeddings", None)

    def plan(self, slices: list[Slice]) -> tuple[list[Slice], Layout]:
        """Slices of a single token first. See `SamplingModel`."""
        ordered = sorted(slices, key=lambda each: each.count > 1)
        return ordered, Layout.of(ordered, block_size=self.cache.block_size)

    def read(self, numbers: Numbers) -> Tensor:
        """See `SamplingModel`."""
        layout = Layout(*numbers)
        batch = Batch.of(layout, block_size=self.cache.block_size, device=self.device)
        compiled = self.compiled
        if compiled is not None and compiled.takes(batch):
            return compiled(batch)
        return self.compute(batch)

    def compute(self, batch: Batch) -> Tensor:
        """Logits of the rows that the batch wants, (wanted, vocabulary), by transformers' own modules."""
        rows = batch.logit_rows
        keep = {"logits_to_keep": rows} if self._keeps_logits else {}
        with attending(self.attends(self.cache, batch)):
            logits: Tensor = self._network(
                input_ids=batch.input_ids, position_ids=batch.positions, use_cache=False, **keep
            ).logits[0]
        return logits if self._keeps_logits else logits[rows]


def keeps_logits(network: PreTrainedModel) -> bool:
    """Whether the model can be told for which tokens logits are wanted."""
    return "logits_to_keep" in inspect.signature(network.forward).parameters


@torch.inference_mode()
def probe(network: PreTrainedModel, found: Probe | None = None) -> dict[int, LayerShape]:
    """Switch the model to paged attention, and find what each attention module keeps of a token.

    Args:
        found: where to note it, and what else the layers do.

    Raises:
        UnsupportedModelError: it has no attention layer that can be paged, or fails with one.
    """
    register()
    found = found or Probe()
    token_ids = torch.tensor([[1, 2]], device=network.device)
    positions = torch.tensor([[0, 1]], device=network.device)
    forward: Any = network
    try:
        network.set_attn_implementation(NAME)
        with attending(found):
            forward(input_ids=token_ids, position_ids=positions, use_cache=False)
    except Exception as error:
        raise UnsupportedModelError(network, f"paged attention fails in it ({error})") from error
    if not found.shapes:
        raise UnsupportedModelError(network, "it has no attention layer that can be paged")
    return found.shapes
