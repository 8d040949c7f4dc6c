"""The servers that are compared, each started on the same model with its own defaults."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from benchmarks.process import running
from launcher.address import Address, free_addresses
from launcher.service import http_healthy

READY_SECONDS = 900
"""Generous, because the first start on a machine compiles."""


@contextmanager
def guiderail(folder: str, *, dtype: str) -> Iterator[Address]:
    """Guiderail on a free port, its steps compiled before it is ready."""
    router, shard, grammar_service = free_addresses(3)
    command = [
        *(sys.executable, "-m", "launcher", "serve", folder, "--dtype", dtype, "--port", str(router.port)),
        *("--shard-address", str(shard), "--grammar-address", str(grammar_service)),
    ]
    with _serving(command, router, {"SHARD_FORWARD": "compiled"}):
        yield router


@contextmanager
def vllm(python: Path, folder: str, *, dtype: str) -> Iterator[Address]:
    """vLLM on a free port, from an environment of its own. A tenth of the memory is room for its cache."""
    (address,) = free_addresses(1)
    command = [
        *(str(python), "-m", "vllm.entrypoints.openai.api_server", "--model", folder, "--dtype", dtype),
        *("--host", address.host, "--port", str(address.port), "--gpu-memory-utilization", "0.1"),
    ]
    with _serving(command, address, {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1"}):
        yield address


def _serving(
    command: list[str], address: Address, environment: Mapping[str, str]
) -> AbstractContextManager[None]:
    return running(
        command,
        environment,
        healthy=lambda: http_healthy(address),
        seconds=READY_SECONDS,
        ending=signal.SIGINT,
    )
