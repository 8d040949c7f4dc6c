"""Where the model runs, in which number format, and how much memory its cache may have."""

from __future__ import annotations

import os
from pathlib import Path

import torch

CPU_CACHE_BYTES = 2 << 30
"""The most that the cache takes of a CPU's memory unless told: it shares the machine with everything else."""


def choose_device(name: str) -> torch.device:
    """The device that `auto`, `cpu` or `cuda` stands for.

    Raises:
        ValueError: CUDA is asked for and torch finds none.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("SHARD_DEVICE is cuda, but torch finds no CUDA device")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def choose_dtype(name: str, device: torch.device) -> torch.dtype:
    """The number format that `auto`, `float32`, `bfloat16` or `float16` stands for.

    `auto` is bfloat16 where the hardware multiplies it (half the memory to read for each token makes it about
    twice as fast), else float32.
    """
    if name != "auto":
        dtype: torch.dtype = getattr(torch, name)
        return dtype
    if device.type == "cuda":
        return torch.bfloat16
    capabilities = torch.cpu.get_capabilities()
    fast = capabilities.get("avx512_bf16") or capabilities.get("amx_bf16")
    return torch.bfloat16 if fast else torch.float32


def choose_threads(ranks: int) -> int:
    """CPU threads of one operation, where so many processes compute at once."""
    return max(1, torch.get_num_threads() // ranks)


def cache_bytes(device: torch.device, *, share: float | None, ranks: int = 1) -> int:
    """Bytes that the key-value cache may take: this `share` of what is free once the weights are loaded.

    None: four fifths of a GPU's, the rest being for what a forward pass keeps meanwhile; of a CPU's a
    quarter, and at most `CPU_CACHE_BYTES`. `ranks` processes share the memory of a CPU; each has a GPU of
    its own.
    """
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return int(free * (share or 0.8))
    available = _available()
    return (int(available * share) if share else min(CPU_CACHE_BYTES, available // 4)) // ranks


def _available() -> int:
    """Bytes that the machine can give without swapping; half of all where it does not tell."""
    meminfo = Path("/proc/meminfo")
    lines = meminfo.read_text().splitlines() if meminfo.exists() else []
    for line in lines:
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
