"""Decides whether a model, run over the paged cache, is still the same model."""

from __future__ import annotations

from array import array
from typing import Any

import torch
from transformers import PreTrainedModel

from shard.model import PagedModel, UnsupportedModelError
from shard.sequence import Sequence, Slice

CHUNKS = (20, 1, 1, 13, 13)
"""How the paged forward pass is cut: a prompt, single tokens, and longer continuations."""

TOLERANCE = 0.1
"""Of the relative error. Right models differ by 1e-6 (float32) to 3e-2 (bfloat16), wrong ones by 0.65 up."""


class SelfCheck:
    """A plain forward pass of random tokens, made before the model's attention is changed."""

    @torch.inference_mode()
    def __init__(self, network: PreTrainedModel) -> None:
        self._network = network
        vocabulary = network.config.get_text_config().vocab_size
        generator = torch.Generator().manual_seed(0)
        self._token_ids = torch.randint(vocabulary, (sum(CHUNKS),), generator=generator).tolist()
        forward: Any = network
        logits = forward(
            input_ids=torch.tensor([self._token_ids], device=network.device), use_cache=False
        ).logits
        ends = torch.tensor(CHUNKS).cumsum(0) - 1
        self._expected = logits[0].float()[ends.to(logits.device)]

    @property
    def vocabulary_size(self) -> int:
        """The width of the model's logits."""
        return int(self._expected.shape[1])

    def verify(self, model: PagedModel, *, block_size: int) -> None:
        """Compare with the paged forward pass. Uses the cache from block 1 on, so before any sequence does.

        Raises:
            UnsupportedModelError: the two differ.
        """
        error = self._error(model, block_size)
        if not error < TOLERANCE:
            raise UnsupportedModelError(
                self._network, f"its outputs differ with paged attention (relative error {error:.2g})"
            )

    def _error(self, model: PagedModel, block_size: int) -> float:
        sequence = Sequence([], max_new_tokens=1)
        sequence.blocks = array("i", range(1, 1 - (-sum(CHUNKS) // block_size)))
        worst = 0.0
        for count, expected in zip(CHUNKS, self._expected, strict=True):
            start = len(sequence.tokens)
            sequence.tokens.extend(self._token_ids[start : start + count])
            try:
                logits = model.forward([Slice(sequence, count)])[0].float()
            except Exception as error:
                raise UnsupportedModelError(
                    self._network, f"paged attention fails in it ({error})"
                ) from error
            sequence.computed += count
            worst = max(worst, float((logits - expected).abs().max() / expected.abs().max()))
        return worst
