"""The function that is compiled gives what the model gives over the paged cache, whatever the attention."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, Gemma2Config, GptOssConfig, LlamaConfig, PreTrainedConfig

from shard.batch import Batch, Layout
from shard.decoding import Decoding, arguments_of
from shard.kv_cache import KVCache
from shard.model import PagedModel, probe
from shard.sequence import Sequence, Slice

SIZES: dict[str, Any] = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "initializer_range": 0.4,
}
CONFIGS: dict[str, Callable[[], PreTrainedConfig]] = {
    "llama": lambda: LlamaConfig(**SIZES),
    "gemma2": lambda: Gemma2Config(**SIZES, sliding_window=8, attn_logit_softcapping=2.0),
    "gpt_oss": lambda: GptOssConfig(**SIZES, sliding_window=8, num_local_experts=4, num_experts_per_tok=2),
}
BLOCK = 4
COUNTS = [(7, 1, 20, 3), (1, 1, 1, 1), (1, 5, 1, 2)]
"""Tokens of each of four sequences, step by step."""


class Caches:
    """The model over a cache, and the function over one of its own; both read the same steps."""

    def __init__(self, network: Any) -> None:
        shapes = probe(network)
        self._caches = [
            KVCache(shapes, blocks=33, block_size=BLOCK, device=torch.device("cpu")) for _ in range(2)
        ]
        self.model = PagedModel(network, self._caches[0])
        self.function = Decoding(network, self._caches[1].layers, block_size=BLOCK)

    def tensors(self, cache: int) -> list[Tensor]:
        layers = self._caches[cache].layers.values()
        return [tensor for layer in layers for tensor in (layer.keys, layer.values)]


@pytest.mark.parametrize("kind", CONFIGS)
@torch.inference_mode()
def test_the_function_gives_the_logits_and_the_cache_of_the_model(kind: str) -> None:
    torch.manual_seed(0)
    network = AutoModelForCausalLM.from_config(CONFIGS[kind]()).eval()
    for name, parameter in network.named_parameters():
        if name.endswith("sinks"):
            torch.nn.init.normal_(parameter)
    caches = Caches(network)
    sequences = [Sequence([], max_new_tokens=1) for _ in range(4)]
    for index, sequence in enumerate(sequences):
        sequence.blocks = array("i", range(1 + 8 * index, 9 + 8 * index))
    generator = torch.Generator().manual_seed(1)
    for counts in COUNTS:
        slices = []
        for sequence, count in zip(sequences, counts, strict=True):
            sequence.tokens.extend(torch.randint(64, (count,), generator=generator).tolist())
            slices.append(Slice(sequence, count))
        ordered = sorted(slices, key=lambda each: each.count > 1)
        layout = Layout.of(ordered, block_size=BLOCK)
        batch = Batch.of(layout, block_size=BLOCK, device=torch.device("cpu"))
        found = caches.function(*arguments_of(batch), caches.tensors(1))
        assert torch.allclose(found, caches.model.forward(slices), atol=1e-3)
        for each in slices:
            each.sequence.computed += each.count
    for mine, other in zip(caches.tensors(1), caches.tensors(0), strict=True):
        assert torch.allclose(mine, other, atol=1e-4)
