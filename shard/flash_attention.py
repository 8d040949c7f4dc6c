"""Attention by FlashAttention 3 (Shah et al., 2024), where its package is installed."""

from __future__ import annotations

import inspect
from collections.abc import Callable

from torch import Tensor

from shard.attention import Variant
from shard.kernel_attention import Spans


class FlashKernel:
    """See `kernel_attention.Kernel`. No softcap; sinks only if the package's function takes them."""

    def __init__(self, function: Callable[..., Tensor]) -> None:
        """`function` is `flash_attn_interface.flash_attn_with_kvcache`."""
        self._function = function

    def __call__(
        self, query: Tensor, keys: Tensor, values: Tensor, *, spans: Spans, variant: Variant
    ) -> Tensor:
        """Attend."""
        sinks = {} if variant.sinks is None else {"sinks": variant.sinks.to(query.dtype)}
        return self._function(
            query,
            keys,
            values,
            cache_seqlens=spans.lengths,
            page_table=spans.tables,
            cu_seqlens_q=spans.starts,
            max_seqlen_q=spans.longest_slice,
            softmax_scale=variant.scale,
            causal=True,
            # Tokens before the own one that are seen, and tokens after it, where -1 is any number.
            window_size=(variant.window - 1, 0) if variant.window else (-1, -1),
            **sinks,
        )


def takes_sinks(function: Callable[..., Tensor]) -> bool:
    """Whether the installed function knows of sinks: builds of it differ."""
    return "sinks" in inspect.signature(function).parameters
