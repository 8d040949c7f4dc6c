"""Attention by torch's own FlashAttention 2, whose function for sequences of varying length reads pages."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from shard.attention import Variant
from shard.kernel_attention import Spans


class VarlenKernel:
    """See `kernel_attention.Kernel`. No softcap and no sinks."""

    def __init__(self, function: Callable[..., Tensor]) -> None:
        """`function` is `torch.nn.attention.varlen.varlen_attn`."""
        self._function = function

    def __call__(
        self, query: Tensor, keys: Tensor, values: Tensor, *, spans: Spans, variant: Variant
    ) -> Tensor:
        """Attend."""
        return self._function(
            query,
            keys,
            values,
            spans.starts,
            None,
            spans.longest_slice,
            spans.longest,
            scale=variant.scale,
            # Tokens before the own one that are seen, and tokens after it, where -1 is any number.
            window_size=(variant.window - 1 if variant.window else -1, 0),
            enable_gqa=query.shape[1] != keys.shape[2],
            seqused_k=spans.lengths,
            block_table=spans.tables,
        )
