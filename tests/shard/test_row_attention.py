"""The kernel computes what the operator says, for all kinds of numbers and of attention."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.export import Dim

from shard.native import CompileError, NativeFunction, compile_module
from shard.row_attention import KERNEL, row_attention

ROWS, KEY_HEADS, GROUP, WIDTH, VALUE_WIDTH, BLOCK = 5, 2, 3, 24, 40, 16
DTYPES = (torch.float32, torch.bfloat16, torch.float16)
KINDS = ((0.0, 0), (2.0, 0), (0.0, 150))
"""Softcaps and windows."""


class Attentions(nn.Module):
    """Of all kinds, over one cache of each dtype."""

    def forward(
        self, query: Tensor, tables: Tensor, lengths: Tensor, sinks: Tensor, caches: list[Tensor]
    ) -> Tensor:
        """(kinds, rows, heads, value width)."""
        found = []
        for keys, values in zip(caches[::2], caches[1::2], strict=True):
            for softcap, window in KINDS:
                for sink in (None, sinks):
                    scale = 1 / math.sqrt(WIDTH)
                    found.append(
                        row_attention(
                            query, keys, values, tables, lengths, sink, BLOCK, scale, softcap, window
                        )
                    )
        return torch.stack(found)


def arguments(lengths: list[int]) -> tuple[Tensor, Tensor, Tensor, Tensor, list[Tensor]]:
    generator = torch.Generator().manual_seed(len(lengths))

    def random(*sizes: int) -> Tensor:
        return torch.randn(*sizes, generator=generator)

    blocks = -(-max(lengths) // BLOCK)
    tables = torch.randperm(len(lengths) * blocks, generator=generator).view(len(lengths), blocks)
    slots = tables.numel() * BLOCK
    caches = [random(slots, KEY_HEADS, width).to(dtype) for dtype in DTYPES for width in (WIDTH, VALUE_WIDTH)]
    heads = KEY_HEADS * GROUP
    return random(len(lengths), heads, WIDTH), tables, torch.tensor(lengths), random(heads), caches


def test_the_kernel_computes_what_the_operator_says(tmp_path: Path) -> None:
    path = tmp_path / "attention.so"
    row, block = Dim("row", min=1), Dim("block", min=1)
    cached = [{0: Dim.AUTO}] * (2 * len(DTYPES))
    with torch.inference_mode(False):
        compile_module(
            Attentions(),
            arguments([40] * ROWS),
            path,
            dynamic=({0: row}, {0: row, 1: block}, {0: row}, {}, cached),
            kernels=[KERNEL],
        )
    native = NativeFunction(path)
    for lengths in ([1], [300], [129, 1, 256, 33, 128, 700, 16]):
        *tensors, caches = arguments(lengths)
        expected = Attentions()(*tensors, caches)
        found = native([*tensors, *caches])
        assert torch.allclose(found, expected, atol=1e-4)


def test_a_kernel_that_cannot_be_compiled_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "false")
    with pytest.raises(CompileError, match=r"row_attention\.cpp"):
        compile_module(Attentions(), arguments([1]), tmp_path / "a.so", dynamic=(), kernels=[KERNEL])
    assert not list(tmp_path.iterdir())
