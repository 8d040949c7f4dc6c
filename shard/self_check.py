"""Decides whether a model, run over caches, is still the same model."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable
from typing import Any

import torch
from transformers import PreTrainedModel

from shard.model import SamplingModel, UnsupportedModelError
from shard.sequence import Sequence, Slice
from shard.windows import narrowed

CHUNKS = (20, 1, 1, 2, 11, 13)
"""How the text is cut: a prompt, single tokens, and continuations. The one of two tokens is there for models
that forget what came before a continuation: the longer it is, the less its end shows that."""

WINDOW = 16
"""Sliding windows are narrowed to this many tokens, so that the text is longer than they are."""

TOLERANCES = {torch.float32: 5e-3}
TOLERANCE = 0.1
"""Of the relative error, in float32 and otherwise. Right models differ by 1e-6 to 1e-4 in float32, by up to
3e-2 in bfloat16; wrong ones by 0.65 up, random ones by 1e-2 up."""


class SelfCheck:
    """A plain forward pass of random tokens, made before the model's attention is changed."""

    @torch.inference_mode()
    def __init__(self, network: PreTrainedModel, *, agreed: Callable[[float], float] = float) -> None:
        """Make it.

        Args:
            agreed: the error that all ranks go by, from this one's.

        Raises:
            UnsupportedModelError: it fails.
        """
        self._network = network
        self._agreed = agreed
        vocabulary = network.config.get_text_config().vocab_size
        generator = torch.Generator().manual_seed(0)
        self._token_ids = torch.randint(vocabulary, (sum(CHUNKS),), generator=generator).tolist()
        forward: Any = network
        token_ids = torch.tensor([self._token_ids], device=network.device)
        try:
            with narrowed(network, width=WINDOW):
                logits = forward(input_ids=token_ids, use_cache=False).logits
        except Exception as error:
            raise UnsupportedModelError(network, f"its own forward pass fails ({error})") from error
        ends = torch.tensor(CHUNKS).cumsum(0) - 1
        self._expected = logits[0].float()[ends.to(logits.device)]

    @property
    def vocabulary_size(self) -> int:
        """The width of the model's logits."""
        return int(self._expected.shape[1])

    def verify(self, model: SamplingModel, *, block_size: int) -> None:
        """Compare with the model over a cache. Uses the cache from block 1 on, so before any sequence does.

        Raises:
            UnsupportedModelError: the two differ.
        """
        with narrowed(self._network, width=WINDOW):
            error = self._agreed(self._error(model, block_size))
        if not error < TOLERANCES.get(self._network.dtype, TOLERANCE):
            raise UnsupportedModelError(self._network, f"its outputs differ (relative error {error:.2g})")

    def _error(self, model: SamplingModel, block_size: int) -> float:
        sequence = Sequence([], max_new_tokens=1)
        sequence.blocks = array("i", range(1, 1 - (-sum(CHUNKS) // block_size)))
        worst = 0.0
        for count, expected in zip(CHUNKS, self._expected, strict=True):
            start = len(sequence.tokens)
            sequence.tokens.extend(self._token_ids[start : start + count])
            try:
                logits = model.forward([Slice(sequence, count)])[0].float()
            except Exception as error:
                raise UnsupportedModelError(self._network, f"it fails ({error})") from error
            sequence.computed += count
            difference = float((logits - expected).abs().max() / expected.abs().max())
            worst = max(worst, math.inf if math.isnan(difference) else difference)
        return worst
