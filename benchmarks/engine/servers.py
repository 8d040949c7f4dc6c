"""The servers that are compared, each started on the same model with its own defaults."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

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
    with _running(command, router, {"SHARD_FORWARD": "compiled"}):
        yield router


@contextmanager
def vllm(python: Path, folder: str, *, dtype: str) -> Iterator[Address]:
    """vLLM on a free port, from an environment of its own. A tenth of the memory is room for its cache."""
    (address,) = free_addresses(1)
    command = [
        *(str(python), "-m", "vllm.entrypoints.openai.api_server", "--model", folder, "--dtype", dtype),
        *("--host", address.host, "--port", str(address.port), "--gpu-memory-utilization", "0.1"),
    ]
    with _running(command, address, {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1"}):
        yield address


@contextmanager
def _running(command: list[str], address: Address, environment: Mapping[str, str]) -> Iterator[None]:
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                command, env={**os.environ, **environment}, stdout=output, stderr=output
            )
        try:
            _wait(process, address, log)
            yield
        finally:
            process.send_signal(signal.SIGINT)
            process.wait()


def _wait(process: subprocess.Popen[bytes], address: Address, log: Path) -> None:
    """Raises RuntimeError, with the end of the log, if the process ends or takes too long."""
    for _ in range(READY_SECONDS):
        if http_healthy(address):
            return
        if process.poll() is not None:
            break
        time.sleep(1)
    raise RuntimeError(f"{process.args!r} does not start:\n{log.read_text()[-4000:]}")
