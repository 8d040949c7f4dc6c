"""Makes sliding windows short for a while, so that a short text shows whether they are kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

WINDOW_NAMES = (
    "sliding_window",
    "sliding_window_size",
    "attention_window_size",
    "attention_chunk_size",
    "index_topk",
)
"""What transformers' models and their configurations call them."""


@contextmanager
def narrowed(network: nn.Module, *, width: int) -> Iterator[None]:
    """Within the block, no attention window of `network` is wider than `width` tokens."""
    wide = _wide(network, width)
    for holder, name, _ in wide:
        setattr(holder, name, width)
    try:
        yield
    finally:
        for holder, name, value in wide:
            setattr(holder, name, value)


def has_windows(network: nn.Module, *, width: int) -> bool:
    """Whether `network` has attention windows wider than `width` tokens."""
    return bool(_wide(network, width))


def _wide(network: nn.Module, width: int) -> list[tuple[Any, str, int]]:
    """Objects, their attributes and what those say of windows wider than `width` tokens."""
    holders: dict[int, Any] = {}
    for module in network.modules():
        for holder in (module, getattr(module, "config", None)):
            holders[id(holder)] = holder
    return [
        (holder, name, value)
        for holder in holders.values()
        for name in WINDOW_NAMES
        if isinstance(value := getattr(holder, name, None), int) and value > width
    ]
