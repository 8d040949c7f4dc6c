"""Chooses what computes attention over the paged cache: the fastest that can do what the model asks."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import Literal, TypeAlias

import torch

from shard.attention import Attention, PagedAttention, Probe
from shard.batch import Batch
from shard.flash_attention import FlashKernel, takes_sinks
from shard.kernel_attention import Kernel, KernelAttention
from shard.kv_cache import KVCache
from shard.varlen_attention import VarlenKernel

BackendName: TypeAlias = Literal["torch", "triton", "varlen", "flash"]

Attends: TypeAlias = Callable[[KVCache, Batch], Attention]
"""Makes the attention of a step."""

HALVES = {torch.float16, torch.bfloat16}
FLASH_WIDTHS = {64, 128, 192, 256}
VARLEN_BLOCK = 256
VARLEN_WIDTH = 256

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Needs:
    """What a model's attention layers, and the machine, ask of a backend."""

    capability: tuple[int, int] | None
    """CUDA's compute capability of the device; None on any other device."""
    block_size: int
    widths: frozenset[tuple[int, int]]
    """Of keys and values."""
    dtypes: frozenset[torch.dtype]
    softcapped: bool
    sunk: bool

    @classmethod
    def of(cls, probe: Probe, *, device: torch.device, block_size: int) -> Needs:
        """What the layers that `probe` has seen need on `device`."""
        shapes, variants = probe.shapes.values(), probe.variants
        return cls(
            capability=torch.cuda.get_device_capability(device) if device.type == "cuda" else None,
            block_size=block_size,
            widths=frozenset((shape.key_width, shape.value_width) for shape in shapes),
            dtypes=frozenset(shape.dtype for shape in shapes),
            softcapped=any(variant.softcap is not None for variant in variants),
            sunk=any(variant.sinks is not None for variant in variants),
        )


@dataclass(frozen=True, kw_only=True)
class Backend:
    """One way to compute attention."""

    title: str
    """What it is called in the log and to callers."""
    obstacles: Callable[[Needs], Iterable[str]]
    """Why it cannot do what is needed, if it cannot."""
    load: Callable[[], Kernel]
    """Gets what it is made of. Raises any exception if that does not work."""


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """What computes a model's attention."""

    title: str
    attends: Attends
    in_place: bool
    """Whether it reads the cache where it is, so that it may be part of a CUDA graph: what the reference
    backend copies is as long as the longest sequence."""


REFERENCE = Chosen(title="torch", attends=PagedAttention, in_place=False)


def choose_backend(
    wanted: Literal["auto"] | BackendName,
    needs: Needs,
    *,
    verify: Callable[[Attends], None],
    backends: Mapping[str, Backend],
) -> Chosen:
    """The first of `backends` that can do what is needed and is right, or else the reference.

    Args:
        verify: raises an exception if the model's outputs are wrong. The reference has passed already.

    Raises:
        ValueError: one is wanted by name, and cannot be used or is wrong.
    """
    for name, backend in backends.items() if wanted != "torch" else ():
        if wanted not in ("auto", name):
            continue
        why = "; ".join(backend.obstacles(needs))
        if not why:
            try:
                attends = partial(KernelAttention, backend.load())
                verify(attends)
            except Exception as error:
                why = str(error)
            else:
                logger.info("attention: %s", backend.title)
                return Chosen(title=backend.title, attends=attends, in_place=True)
        if wanted == name:
            raise ValueError(f"SHARD_ATTENTION is {wanted}, but {why}")
        if needs.capability:  # on a CPU, nobody expects them
            logger.info("attention is not computed by %s: %s", backend.title, why)
    logger.info("attention: %s", REFERENCE.title)
    return REFERENCE


def flash_obstacles(needs: Needs) -> list[str]:
    """Of FlashAttention 3, as built for inference."""
    found = _half_obstacles(needs)
    if needs.capability and needs.capability[0] != 9:
        found.append("it needs a Hopper GPU")
    if not find_spec("flash_attn_interface"):
        return [*found, "the package flash_attn_interface is not installed"]
    widths = {key for key, _ in needs.widths}
    if not widths <= FLASH_WIDTHS:
        found.append(f"heads are {_listed(widths)} wide")
    if needs.sunk and not found and not takes_sinks(_flash_function()):
        found.append("the installed version knows no sinks")
    return found


def varlen_obstacles(needs: Needs) -> list[str]:
    """Of torch's bundled FlashAttention 2."""
    found = _half_obstacles(needs)
    if needs.capability and needs.capability[0] < 8:
        found.append("it needs an Ampere GPU or a later one")
    if needs.block_size % VARLEN_BLOCK:
        found.append(f"SHARD_BLOCK_SIZE is {needs.block_size}, and must be a multiple of {VARLEN_BLOCK}")
    widths = {key for key, _ in needs.widths}
    if any(width > VARLEN_WIDTH or width % 8 for width in widths):
        found.append(f"heads are {_listed(widths)} wide")
    if needs.sunk:
        found.append("the model has attention sinks")
    return found


def triton_obstacles(needs: Needs) -> list[str]:
    """Of our own kernels."""
    found = [] if needs.capability else ["the model is not on a CUDA GPU"]
    if not find_spec("triton"):
        found.append("the package triton is not installed")
    return found


def _half_obstacles(needs: Needs) -> list[str]:
    """What FlashAttention of either version cannot do."""
    found = [] if needs.capability else ["the model is not on a CUDA GPU"]
    if not needs.dtypes <= HALVES:
        found.append("it computes in float16 and bfloat16 only")
    if any(key != value for key, value in needs.widths):
        found.append("keys and values differ in width")
    if needs.softcapped:
        found.append("the model caps its attention logits")
    return found


def _listed(widths: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(widths)))


def _flash_function() -> Callable[..., torch.Tensor]:
    function: Callable[..., torch.Tensor] = import_module("flash_attn_interface").flash_attn_with_kvcache
    return function


def _varlen() -> Kernel:
    return VarlenKernel(import_module("torch.nn.attention.varlen").varlen_attn)


def _triton() -> Kernel:
    from shard.triton_attention import TritonKernel  # imports triton, which is not everywhere

    return TritonKernel(processors=torch.cuda.get_device_properties().multi_processor_count)


BACKENDS = {
    "flash": Backend(
        title="flash-attention-3", obstacles=flash_obstacles, load=lambda: FlashKernel(_flash_function())
    ),
    "varlen": Backend(title="varlen", obstacles=varlen_obstacles, load=_varlen),
    "triton": Backend(title="triton", obstacles=triton_obstacles, load=_triton),
}
"""But for the reference, the fastest first."""
