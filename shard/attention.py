"""Paged attention for transformers' own models: the one function that they call, and the torch backend."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol

import torch
import torch.nn.functional as F  # noqa: N812 # its usual name
from torch import Tensor, nn
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from shard.batch import Batch
from shard.kv_cache import KVCache, LayerCache, LayerShape

NAME = "guiderail"
"""Of the attention function. To transformers, names with sdpa, flash, flex, | or / mean something else."""


class Attention(Protocol):
    """How the layers of a model attend during one forward pass."""

    def attend(
        self, module: nn.Module, query: Tensor, key: Tensor, value: Tensor, variant: Variant
    ) -> Tensor:
        """Query (1, heads, tokens, width), key and value likewise -> (1, tokens, heads, value width)."""


class Variant:
    """What one layer's attention does besides the usual: scale, window, softcap, sinks. None: not that."""

    def __init__(
        self, *, scale: float, window: int | None, softcap: float | None, sinks: Tensor | None
    ) -> None:
        self.scale = scale
        self.window = window
        """A token sees itself and the window - 1 tokens before it."""
        self.softcap = softcap
        self.sinks = sinks
        """(heads,): logits of a key with no value."""

    def attend(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
        """Attention of (rows, heads, queries, width) to fewer key heads, under a boolean mask.

        `mask` broadcasts to (rows, heads, queries, keys).
        """
        rows, heads, queries, _ = query.shape
        groups = heads // key.shape[1]
        if self.softcap is not None or self.sinks is not None:
            return self._attend_by_hand(query, repeated(key, groups), repeated(value, groups), mask)
        if queries == 1:  # the heads that share a key become queries, so that no key is copied
            query = query.view(rows, key.shape[1], groups, -1)
            out = F.scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=self.scale)
            return out.reshape(rows, heads, 1, -1)
        key, value = repeated(key, groups), repeated(value, groups)
        return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=self.scale)

    def _attend_by_hand(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
        scores = query @ key.transpose(-1, -2) * self.scale
        if self.softcap is not None:
            scores = torch.tanh(scores / self.softcap) * self.softcap
        scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
        if self.sinks is not None:
            sinks = self.sinks.view(1, -1, 1, 1).expand(*scores.shape[:-1], 1)
            scores = torch.cat([scores, sinks.to(scores.dtype)], dim=-1)
        weights = scores.float().softmax(-1).to(query.dtype)
        return weights[..., : key.shape[2]] @ value


class Probe:
    """Finds what each layer keeps of a token, by a forward pass without a cache."""

    def __init__(self) -> None:
        self.shapes: dict[int, LayerShape] = {}
        """By `id` of the attention module."""
        self.variants: list[Variant] = []
        """One for each time that a layer attended."""

    def attend(
        self, module: nn.Module, query: Tensor, key: Tensor, value: Tensor, variant: Variant
    ) -> Tensor:
        self.shapes[id(module)] = LayerShape(key.shape[1], key.shape[3], value.shape[3], key.dtype)
        self.variants.append(variant)
        mask = torch.ones(query.shape[2], key.shape[2], dtype=torch.bool, device=query.device).tril()
        return variant.attend(query, key, value, mask).transpose(1, 2)


class PagedAttention:
    """One step over the cache: stores the step's keys and values, then attends to all of each sequence's.

    The reference backend, in plain torch, for any device: single tokens of all sequences in one padded
    call, longer slices one by one.
    """

    def __init__(self, cache: KVCache, batch: Batch) -> None:
        self._cache = cache
        self._batch = batch
        self._masks: dict[tuple[int, int | None], Tensor] = {}
        """By row and window: layers share them."""

    def attend(
        self, module: nn.Module, query: Tensor, key: Tensor, value: Tensor, variant: Variant
    ) -> Tensor:
        layer, batch = self._cache.layers[id(module)], self._batch
        layer.write(batch.slots, key[0].transpose(0, 1), value[0].transpose(0, 1))
        parts = [self._singles(layer, query, variant)] if batch.singles else []
        start = batch.singles
        for row in range(batch.singles, len(batch.counts)):
            stop = start + batch.counts[row]
            parts.append(self._slice(layer, row, query[:, :, start:stop], variant))
            start = stop
        return torch.cat(parts)[None] if len(parts) > 1 else parts[0][None]

    def _singles(self, layer: LayerCache, query: Tensor, variant: Variant) -> Tensor:
        """(singles, heads, width)."""
        count = self._batch.singles
        longest = max(self._batch.lengths[:count])
        keys, values = layer.read(self._batch.tables[:count], longest)
        mask = self._masks.get((0, variant.window))
        if mask is None:
            lengths = self._batch.ends[:count, None]
            seen = torch.arange(longest, device=query.device)
            mask = seen < lengths
            if variant.window:
                mask &= seen >= lengths - variant.window
            mask = self._masks[0, variant.window] = mask[:, None, None]
        queries = query[0, :, :count].transpose(0, 1)[:, :, None]
        return variant.attend(queries, keys, values, mask)[:, :, 0]

    def _slice(self, layer: LayerCache, row: int, query: Tensor, variant: Variant) -> Tensor:
        """(tokens of the slice, heads, width)."""
        count, length = self._batch.counts[row], self._batch.lengths[row]
        keys, values = layer.read(self._batch.tables[row : row + 1], length)
        mask = self._masks.get((row, variant.window))
        if mask is None:
            seen = torch.arange(length, device=query.device)
            own = seen[length - count :, None]
            mask = seen <= own
            if variant.window:
                mask &= seen > own - variant.window
            self._masks[row, variant.window] = mask
        return variant.attend(query, keys, values, mask)[0].transpose(0, 1)


_current: ContextVar[Attention | None] = ContextVar("attention", default=None)


@contextmanager
def attending(attention: Attention) -> Iterator[None]:
    """In this block and thread, models with the attention function `NAME` attend by `attention`."""
    token = _current.set(attention)
    try:
        yield
    finally:
        _current.reset(token)


def paged_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None = None,
    *,
    scaling: float | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    s_aux: Tensor | None = None,
    is_causal: bool | None = None,
    position_bias: Tensor | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """What transformers' models call for attention; the signature is theirs.

    Position embeddings are applied already. Outside of `attending`, and in parts of a model that are not
    causal (an image encoder), it is plain attention.

    Raises:
        NotImplementedError: the model biases its attention in a way that is not served.
    """
    attention = _current.get()
    causal = getattr(module, "is_causal", True) if is_causal is None else is_causal
    if attention is None or not causal:
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, scaling=scaling, is_causal=is_causal, **kwargs
        )
    if attention_mask is not None:
        raise NotImplementedError("a mask of the model's own")
    if position_bias is not None:
        raise NotImplementedError("position bias")
    variant = Variant(
        scale=query.shape[-1] ** -0.5 if scaling is None else scaling,
        window=_window(module) if sliding_window is None else sliding_window,
        softcap=softcap,
        sinks=s_aux,
    )
    return attention.attend(module, query, key, value, variant), None


def _window(module: nn.Module) -> int | None:
    """The window of a layer whose model says it in its mask only.

    Raises:
        NotImplementedError: the layer's mask is neither causal nor a sliding window.
    """
    config, index = getattr(module, "config", None), getattr(module, "layer_idx", None)
    kinds = getattr(config, "layer_types", None)
    kind = kinds[index] if kinds and index is not None else "full_attention"
    if kind == "full_attention":
        return None
    if kind == "sliding_attention":
        window: int | None = getattr(config, "sliding_window", None)
        return window
    raise NotImplementedError(f"{kind} layers")


def repeated(heads: Tensor, times: int) -> Tensor:
    """Each head of (rows, heads, tokens, width) `times` times, side by side."""
    return heads if times == 1 else heads.repeat_interleave(times, dim=1)


def register() -> None:
    """Make the attention function known to transformers.

    It gets no mask function: transformers then builds no mask at all.
    """
    AttentionInterface.register(NAME, paged_attention)
