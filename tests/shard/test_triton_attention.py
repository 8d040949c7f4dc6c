"""The Triton kernels, in Triton's interpreter, attend as the reference backend does."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from shard.attention import PagedAttention, Variant
from shard.batch import Batch
from shard.kernel_attention import KernelAttention
from shard.kv_cache import KVCache, LayerShape
from shard.triton_attention import TritonKernel

CPU = torch.device("cpu")
FEW, MANY = 1, 10_000
"""Multiprocessors: keys of single tokens are split for many."""
TOLERANCES = {torch.float32: 2e-6, torch.float16: 4e-3}


@dataclass(frozen=True, kw_only=True)
class Case:
    """A step over one layer, whatever is in it."""

    slices: list[tuple[int, int]]
    """Tokens of each, and how many of its sequence were there before."""
    block_size: int = 16
    key_heads: int = 2
    groups: int = 3
    width: int = 16
    value_width: int = 16
    window: int | None = None
    softcap: float | None = None
    sunk: bool = False
    dtype: torch.dtype = torch.float32

    def error(self, *, processors: int = FEW) -> float:
        """The largest difference of the kernels' outputs from the reference's."""
        generator = torch.Generator().manual_seed(0)
        random = partial(torch.randn, generator=generator)
        module = nn.Identity()
        batch, blocks = self._batch()
        tokens, heads = batch.input_ids.shape[1], self.key_heads * self.groups
        query = random(1, heads, tokens, self.width).to(self.dtype)
        key = random(1, self.key_heads, tokens, self.width).to(self.dtype)
        value = random(1, self.key_heads, tokens, self.value_width).to(self.dtype)
        variant = Variant(
            scale=self.width**-0.5,
            window=self.window,
            softcap=self.softcap,
            sinks=random(heads).to(self.dtype) if self.sunk else None,
        )
        shape = LayerShape(self.key_heads, self.width, self.value_width, self.dtype)
        cache = KVCache({id(module): shape}, blocks=blocks, block_size=self.block_size, device=CPU)
        layer = cache.layers[id(module)]
        layer.keys.copy_(random(layer.keys.shape))
        layer.values.copy_(random(layer.values.shape))
        kernel = TritonKernel(processors=processors)
        found: list[Tensor] = [
            attention.attend(module, query, key, value, variant).float()
            for attention in (KernelAttention(kernel, cache, batch), PagedAttention(cache, batch))
        ]
        assert found[0].shape == found[1].shape
        return float((found[0] - found[1]).abs().max())

    def _batch(self) -> tuple[Batch, int]:
        """The step, singles first, its blocks all over the cache; and how many blocks that has."""
        slices = sorted(self.slices, key=lambda each: each[0] > 1)
        lengths = [count + before for count, before in slices]
        widths = [-(-length // self.block_size) for length in lengths]
        shuffled = torch.randperm(sum(widths), generator=torch.Generator().manual_seed(1)) + 1
        tables = torch.zeros(len(slices), max(widths), dtype=torch.int64)
        ends = [0, *torch.tensor(widths).cumsum(0).tolist()]
        for row, (start, stop) in enumerate(pairwise(ends)):
            tables[row, : stop - start] = shuffled[start:stop]
        positions = torch.cat([torch.arange(before, before + count) for count, before in slices])
        rows = torch.arange(len(slices)).repeat_interleave(torch.tensor([count for count, _ in slices]))
        slots = tables[rows, positions // self.block_size] * self.block_size + positions % self.block_size
        return Batch(
            input_ids=torch.zeros_like(positions)[None],
            positions=positions[None],
            slots=slots,
            tables=tables,
            lengths=lengths,
            counts=[count for count, _ in slices],
            singles=sum(count == 1 for count, _ in slices),
            ends=torch.tensor(lengths),
            logit_rows=torch.arange(len(positions)),
        ), sum(widths) + 1


@st.composite
def cases(draw: st.DrawFn) -> Case:
    def slices(most: int) -> st.SearchStrategy[list[tuple[int, int]]]:
        return st.lists(st.tuples(st.integers(1, most), st.integers(0, 150)), min_size=1, max_size=4)

    return Case(
        slices=draw(st.one_of(slices(1), slices(150))),
        block_size=draw(st.sampled_from([1, 3, 16, 64])),
        key_heads=draw(st.integers(1, 2)),
        groups=draw(st.sampled_from([1, 2, 3, 20])),
        width=draw(st.sampled_from([8, 16, 40])),
        value_width=draw(st.sampled_from([8, 16, 24])),
        window=draw(st.none() | st.integers(1, 200)),
        softcap=draw(st.none() | st.floats(1, 50)),
        sunk=draw(st.booleans()),
        dtype=draw(st.sampled_from([torch.float32, torch.float16])),
    )


@settings(max_examples=25)
@given(cases(), st.sampled_from([FEW, MANY]))
def test_any_step_of_any_variant_is_as_in_the_reference(case: Case, processors: int) -> None:
    assert case.error(processors=processors) < TOLERANCES[case.dtype]


def test_wide_heads_are_read_in_smaller_tiles() -> None:
    assert Case(slices=[(70, 20), (1, 40)], width=192, value_width=128).error() < 1e-5


@pytest.mark.parametrize("sunk", [False, True])
def test_the_keys_of_a_long_sequence_are_read_in_parts(sunk: bool) -> None:
    case = Case(slices=[(1, 299), (1, 2), (1, 700)], sunk=sunk, window=500)
    assert case.error(processors=MANY) < TOLERANCES[torch.float32]


def test_large_logits_under_a_softcap_stay_numbers() -> None:
    assert Case(slices=[(30, 3)], softcap=0.01).error() < TOLERANCES[torch.float32]
