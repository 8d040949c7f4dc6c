"""`python -m shard.compile`: compiles the steps of the model that the settings name, as the shard would."""

from __future__ import annotations

import os
import sys

import torch
from transformers.utils import logging as transformers_logging

from shard.checkpoint import locate
from shard.compiled_step import compile_step, library_of
from shard.device import choose_dtype, choose_threads
from shard.followers import tether
from shard.model import probe
from shard.native import CompileError
from shard.settings import Settings


def main() -> None:
    """Compile, with what time the rest of the machine leaves; the shard that started it need not wait."""
    os.nice(19)
    tether()
    transformers_logging.disable_progress_bar()
    settings = Settings()
    torch.set_num_threads(settings.threads or choose_threads(1))
    device = torch.device("cpu")
    checkpoint = locate(settings.model, cache_dir=settings.cache_dir.expanduser())
    network = checkpoint.load_network(dtype=choose_dtype(settings.dtype, device), device=device)
    shapes = probe(network)
    try:
        path = library_of(
            network,
            shapes,
            block_size=settings.block_size,
            folder=settings.cache_dir.expanduser() / "compiled",
        )
        if not path.exists():
            compile_step(network, shapes, path, block_size=settings.block_size)
    except CompileError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
