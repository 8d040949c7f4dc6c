"""Attention by our own Triton kernels, for any CUDA GPU and any variant."""

from __future__ import annotations

import torch
import triton
from torch import Tensor

from shard import paged_kernel
from shard.attention import Variant
from shard.kernel_attention import Spans

LEAST_TILE = 16
"""The smallest side of a matrix product in Triton."""
SPLIT_TOKENS = 256
"""Keys that are worth a program of their own."""
MOST_SPLITS = 32


class TritonKernel:
    """See `kernel_attention.Kernel`. The host reads nothing from the device."""

    def __init__(self, *, processors: int) -> None:
        """`processors` is how many multiprocessors the GPU has: keys are split until all have work."""
        self._processors = processors

    def __call__(
        self, query: Tensor, keys: Tensor, values: Tensor, *, spans: Spans, variant: Variant
    ) -> Tensor:
        """Attend."""
        tokens, heads, width = query.shape
        block_size, key_heads, value_width = values.shape[1:]
        groups, sequences = heads // key_heads, len(spans.lengths)
        single, wide = spans.longest_slice == 1, width > 128
        rows = LEAST_TILE if single else 32 if wide else 64
        rows = max(rows, triton.next_power_of_2(groups))
        splits = self._splits(sequences * key_heads, spans.longest) if single else 1
        value_tile = max(LEAST_TILE, triton.next_power_of_2(value_width))
        attended = query.new_empty(tokens, heads, value_width)
        parts, logsums = attended, attended
        if splits > 1:
            parts = query.new_empty(tokens, heads, splits, value_tile, dtype=torch.float32)
            logsums = query.new_empty(tokens, heads, splits, dtype=torch.float32)
        sinks = query if variant.sinks is None else variant.sinks
        programs = sequences if single else tokens // (rows // groups) + sequences
        paged_kernel.attend[programs, key_heads, splits](
            query,
            keys,
            values,
            parts,
            logsums,
            spans.starts,
            spans.lengths,
            spans.tables,
            sinks,
            variant.scale,
            variant.softcap or 1.0,
            variant.window or 0,
            sequences,
            spans.tables.shape[1],
            key_heads=key_heads,
            groups=groups,
            width=width,
            value_width=value_width,
            block_size=block_size,
            width_tile=max(LEAST_TILE, triton.next_power_of_2(width)),
            value_tile=value_tile,
            rows_tile=rows,
            keys_tile=64 if single or not wide else 32,
            splits=splits,
            single=single,
            windowed=bool(variant.window),
            softcapped=variant.softcap is not None,
            sunk=variant.sinks is not None,
            num_warps=4,
            num_stages=2 if wide else 3,
        )
        if splits > 1:
            paged_kernel.combine[tokens, heads](
                parts,
                logsums,
                attended,
                sinks,
                heads=heads,
                value_width=value_width,
                value_tile=value_tile,
                splits=splits,
                sunk=variant.sinks is not None,
                num_warps=2,
            )
        return attended

    def _splits(self, programs: int, longest: int) -> int:
        """Into how many parts keys are split: a power of two, from what does not change in a CUDA graph."""
        splits = 1
        while (
            splits < MOST_SPLITS
            and programs * splits < 2 * self._processors
            and splits * SPLIT_TOKENS < longest
        ):
            splits *= 2
        return splits
