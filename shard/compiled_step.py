"""Steps of few tokens in native code: compiled once for a model and a machine, then kept."""

from __future__ import annotations

import hashlib
import inspect
import platform
from collections.abc import Mapping
from pathlib import Path

import torch
import transformers
from torch import Tensor
from torch.export import Dim
from transformers import PreTrainedModel

from shard import decoding, native, row_attention
from shard.batch import Batch
from shard.decoding import Decoding, arguments_of
from shard.kv_cache import KVCache, LayerShape
from shard.native import CompileError, NativeFunction, compile_module
from shard.row_attention import KERNEL
from shard.windows import has_windows

MOST_READ = 20_000
"""Cached tokens that a step with pieces of prompts reads, for all of its tokens, up to which it is compiled.
It reads a sequence's keys and values for each token anew, which is little for a few tokens and much for a
long prompt. With SmolLM2, 20 prompts of 25 tokens (16,000) are 10 % faster, 4 of 120 (61,000) 28 % slower."""

MAX_WEIGHT_BYTES = 1 << 31
"""Of the largest network that is compiled. The library holds the weights once more; and the larger they are,
the less it matters what their multiplication costs besides."""


class CompiledStep:
    """A network over a cache, as native code."""

    def __init__(self, function: NativeFunction, cache: KVCache, *, most_read: int = MOST_READ) -> None:
        """`function` is what the library holds; it may serve several caches, one after the other."""
        self._function = function
        self._block_size = cache.block_size
        self._most_read = most_read
        self._caches = _tensors(cache)

    def takes(self, batch: Batch) -> bool:
        """Whether it is fast at the step, and anything of that is wanted."""
        if not len(batch.logit_rows):
            return False
        rows = batch.input_ids.shape[1]
        return batch.singles == rows or rows * batch.tables.shape[1] * self._block_size <= self._most_read

    def __call__(self, batch: Batch) -> Tensor:
        """Logits of the rows that the batch wants, (wanted, vocabulary)."""
        return self._function([*arguments_of(batch), *self._caches])


def library_of(
    network: PreTrainedModel, shapes: Mapping[int, LayerShape], *, block_size: int, folder: Path
) -> Path:
    """Where in `folder` the library of the network's steps is kept, if it has been compiled.

    The name tells of all that it depends on, so what is found there is right.

    Raises:
        CompileError: there can be none.
    """
    tensors = [*network.parameters(), *network.buffers()]
    if any(tensor.device.type != "cpu" for tensor in tensors):
        raise CompileError("the model is not on a CPU")
    if sum(tensor.nbytes for tensor in tensors) > MAX_WEIGHT_BYTES:
        raise CompileError("the model is so large that it would gain little")
    if has_windows(network, width=0):
        raise CompileError("the check of attention windows cannot narrow them in native code")
    digest = hashlib.sha256()
    for part in (
        torch.__version__,
        transformers.__version__,
        platform.machine(),
        str(sorted(torch.cpu.get_capabilities().items())),
        str(torch.get_num_threads()),
        str(block_size),
        str(list(shapes.values())),
        network.config.to_json_string(),
        *(inspect.getsource(module) for module in (decoding, native, row_attention)),
        KERNEL.source.read_text(),
    ):
        digest.update(f"{len(part)}:{part}".encode())
    for name, tensor in [*network.named_parameters(), *network.named_buffers()]:
        digest.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().contiguous().view(-1).view(torch.uint8).numpy().data)
    return folder / f"{network.config.model_type}-{digest.hexdigest()[:16]}.so"


def compile_step(
    network: PreTrainedModel, shapes: Mapping[int, LayerShape], path: Path, *, block_size: int
) -> None:
    """Compile the steps of a network over a cache of these shapes. Takes a minute or more.

    Raises:
        CompileError: they cannot be compiled.
    """
    cache = KVCache(shapes, blocks=4, block_size=block_size, device=network.device)
    numbers, tables = torch.arange(16), torch.ones(16, 3, dtype=torch.int64)
    token, block, wanted = Dim("token", min=1), Dim("block", min=1), Dim("wanted", min=1)
    slot = block_size * Dim("cached", min=1)
    tensors = _tensors(cache)
    compile_module(
        Decoding(network, shapes, block_size=block_size),
        (numbers, numbers.clone(), numbers + block_size, tables, numbers[3:].clone(), tensors),
        path,
        dynamic=(
            {0: token},
            {0: token},
            {0: token},
            {0: token, 1: block},
            {0: wanted},
            [{0: slot}] * len(tensors),
        ),
        kernels=[KERNEL],
    )


def _tensors(cache: KVCache) -> list[Tensor]:
    return [tensor for layer in cache.layers.values() for tensor in (layer.keys, layer.values)]
