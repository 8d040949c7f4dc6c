"""Gives a model its compiled steps: those that are there, or such as are made while it serves."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from transformers import PreTrainedModel

from shard.compiled_step import compile_step, library_of
from shard.kv_cache import LayerShape
from shard.native import CompileError, require_compiler
from shard.passing_thread import in_passing_thread

logger = logging.getLogger(__name__)

GRACE_SECONDS = 5.0
"""What the compiler gets to end in when the shard ends."""


class RequiredError(ValueError):
    """Steps must be compiled, and cannot be."""

    def __init__(self, why: Exception) -> None:
        super().__init__(f"SHARD_FORWARD is compiled, but {why}")


def find_library(
    network: PreTrainedModel,
    shapes: Mapping[int, LayerShape],
    *,
    block_size: int,
    folder: Path,
    required: bool,
) -> Path | None:
    """Where the library of the network's steps is or will be, or None if there can be none.

    Args:
        network: as it was loaded, since packed layers hide their weights.
        required: make it now if it is not there.

    Raises:
        RequiredError: it is required and cannot be made.
    """
    try:
        path = library_of(network, shapes, block_size=block_size, folder=folder)
        if path.exists():
            return path
        require_compiler()
        if required:
            logger.info("compiling the model's steps for this machine, once; it takes a minute or more")
            compile_step(network, shapes, path, block_size=block_size)
    except CompileError as error:
        if required:
            raise RequiredError(error) from error
        logger.warning("steps are not compiled: %s", error)
        return None
    return path


def install_or_wait(library: Path, install: Callable[[], None], *, required: bool) -> Compilation | None:
    """Install a library that is there; otherwise return what makes it.

    Raises:
        RequiredError: it is required, and `install` raised an exception.
    """
    if not library.exists():
        return Compilation(library, install)
    try:
        install()
    except Exception as error:
        if required:
            raise RequiredError(error) from error
        logger.warning("steps are not compiled: %s", error)
    else:
        logger.info("forward pass: compiled")
    return None


class Compilation:
    """The library of a model's steps, and what brings it into use. It may come while the model serves."""

    def __init__(
        self,
        library: Path,
        install: Callable[[], None],
        *,
        command: Sequence[str] = (sys.executable, "-P", "-m", "shard.compile"),
    ) -> None:
        """`command` makes the library; `install` raises an exception if the model is wrong with it."""
        self._library = library
        self._install = install
        self._command = command

    async def run(self) -> None:
        """Make the library in a process of its own, then install it. Whatever fails is logged, and leaves
        the model as it was."""
        logger.info("compiling the model's steps for this machine, once; until then they are slower")
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,  # its end tells the process that this one is gone
                process_group=0,
            )
            try:
                code = await process.wait()
            finally:
                await _end(process)
            if code or not self._library.exists():
                raise ChildProcessError(f"the compiler ended with exit code {code}")
            await asyncio.to_thread(in_passing_thread, self._install)
        except Exception as error:
            logger.warning("steps are not compiled: %s", error)
        else:
            logger.info("forward pass: compiled")


async def _end(process: asyncio.subprocess.Process) -> None:
    """End the process and those that it has started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), GRACE_SECONDS)
