"""`python -m shard`: serves one model over gRPC, configured by the environment (see `settings.py`)."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Iterable
from importlib.metadata import version
from typing import Any, NamedTuple

import torch
from transformers import PreTrainedModel
from transformers.utils import logging as transformers_logging

from protos import generation_pb2
from protos.server import serve
from shard.adapter import AdapterError, parse_folders, read_adapter
from shard.adapters import Adapters
from shard.blocks import Blocks
from shard.checkpoint import Checkpoint, CheckpointError, locate
from shard.device import cache_bytes, choose_device, choose_dtype
from shard.engine import Engine
from shard.forward import choose_forward
from shard.kv_cache import KVCache, LayerShape
from shard.limits import LimitError, Limits
from shard.masks import GrammarMasks
from shard.model import PagedModel, UnsupportedModelError, probe
from shard.scheduler import Scheduler
from shard.self_check import SelfCheck
from shard.sequence import Watermark
from shard.servicer import GenerationServicer, registration
from shard.settings import Settings
from shard.tokenizer import Tokenizer
from shard.vocabulary import Vocabulary

SERVICE = "guiderail.generation.v1.GenerationService"

logger = logging.getLogger("shard")


class Loaded(NamedTuple):
    """A model that has passed its self-check."""

    network: PreTrainedModel
    model: PagedModel
    cache: KVCache
    limits: Limits
    vocabulary_size: int
    adapters: Adapters


def main() -> None:
    """Serve until SIGTERM. Exits with a message if the settings or the model do not allow it."""
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    transformers_logging.disable_progress_bar()
    settings = Settings()
    if settings.threads:
        torch.set_num_threads(settings.threads)
    try:
        servicer, engine = _assemble(settings)
    except (AdapterError, CheckpointError, UnsupportedModelError, LimitError, ValueError) as error:
        sys.exit(f"shard: {error}")
    asyncio.run(_serve(engine, servicer, settings))


async def _serve(engine: Engine, servicer: GenerationServicer, settings: Settings) -> None:
    async with asyncio.TaskGroup() as tasks:  # if the engine dies, the process dies with it
        loop = tasks.create_task(engine.run())
        await serve(
            registration(servicer),
            service=SERVICE,
            address=settings.address,
            grace=settings.drain_seconds,
        )
        loop.cancel()


def _assemble(settings: Settings) -> tuple[GenerationServicer, Engine]:
    checkpoint = locate(settings.model, cache_dir=settings.cache_dir.expanduser())
    logger.info("loading the tokenizer of %s", checkpoint.name)
    tokenizer = checkpoint.load_tokenizer()
    loaded = _load(checkpoint, settings)
    eos_ids = _eos_ids(loaded.network, tokenizer)
    vocabulary = Vocabulary.from_tokenizer(
        tokenizer.transformers, size=loaded.vocabulary_size, eos_ids=eos_ids
    )
    grammars = GrammarMasks(vocabulary, max_automata=settings.max_automata, max_rows=settings.max_mask_rows)
    block_size = settings.block_size
    scheduler = Scheduler(
        Blocks(count=loaded.cache.tokens // block_size + 1, size=block_size),
        max_running=settings.max_running,
        max_waiting=settings.max_waiting,
        token_budget=settings.max_batch_tokens,
    )
    engine = Engine(loaded.model, scheduler)
    servicer = GenerationServicer(
        engine,
        tokenizer=tokenizer,
        token_bytes=vocabulary.token_bytes,
        eos_ids=eos_ids,
        grammars=grammars,
        limits=loaded.limits,
        watermark=Watermark(gamma=settings.watermark_gamma, delta=settings.watermark_delta),
        adapters=loaded.adapters.names,
        info=_info(checkpoint, loaded),
    )
    return servicer, engine


def _load(checkpoint: Checkpoint, settings: Settings) -> Loaded:
    device = choose_device(settings.device)
    dtype = choose_dtype(settings.dtype, device)
    logger.info("loading the weights of %s as %s on %s", checkpoint.name, _name(dtype), device)
    network = checkpoint.load_network(dtype=dtype, device=device)
    logger.info("comparing a plain and a paged forward pass")
    check = SelfCheck(network)
    shapes = probe(network)
    positions: int | None = getattr(network.config.get_text_config(), "max_position_embeddings", None)
    blocks = -(-_cache_tokens(settings, shapes.values(), positions, device) // settings.block_size) + 1
    cache = KVCache(shapes, blocks=blocks, block_size=settings.block_size, device=device)
    limits = Limits.choose(
        max_input=settings.max_input_tokens,
        max_total=settings.max_total_tokens,
        model_tokens=positions,
        cache_tokens=cache.tokens,
    )
    model = PagedModel(network, cache)
    # Adapters are added to the layers as transformers made them.
    forward = "plain" if settings.lora_adapters and settings.forward == "auto" else settings.forward
    choose_forward(network, forward, verify=lambda: check.verify(model, block_size=settings.block_size))
    adapters = _adapters(network, settings)
    model.adapt(adapters)
    logger.info("ready: %d tokens of cache, %d a request", cache.tokens, limits.max_total_tokens)
    return Loaded(network, model, cache, limits, check.vocabulary_size, adapters)


def _adapters(network: PreTrainedModel, settings: Settings) -> Adapters:
    """Load the adapters only after the model has passed its check, which is of the model itself."""
    return Adapters(
        network,
        [
            read_adapter(name, folder, dtype=network.dtype, device=network.device)
            for name, folder in parse_folders(settings.lora_adapters).items()
        ],
    )


def _cache_tokens(
    settings: Settings, shapes: Iterable[LayerShape], positions: int | None, device: torch.device
) -> int:
    """The size of the cache as set, or what the longest requests need, as far as memory allows."""
    if settings.cache_tokens:
        return settings.cache_tokens
    possible = cache_bytes(device, share=settings.cache_share) // sum(
        shape.bytes_per_token for shape in shapes
    )
    wanted = settings.max_running * (settings.max_total_tokens or positions or possible)
    return max(64, min(possible, wanted))  # what the self-check needs at least


def _eos_ids(network: PreTrainedModel, tokenizer: Tokenizer) -> frozenset[int]:
    """Every token that the model, its generation settings or its tokenizer call the end of the text."""
    generation: Any = network.generation_config
    found = [generation.eos_token_id, network.config.eos_token_id, tokenizer.eos_id]
    lists = [each if isinstance(each, list) else [each] for each in found if each is not None]
    return frozenset(token_id for each in lists for token_id in each)


def _info(checkpoint: Checkpoint, loaded: Loaded) -> generation_pb2.InfoReply:
    network = loaded.network
    return generation_pb2.InfoReply(
        model_id=checkpoint.name,
        model_sha=getattr(network.config, "_commit_hash", None),
        architecture=type(network).__name__,
        dtype=_name(network.dtype),
        device=str(network.device),
        attention="torch",
        max_input_tokens=loaded.limits.max_input_tokens,
        max_total_tokens=loaded.limits.max_total_tokens,
        cache_tokens=loaded.cache.tokens,
        version=version("guiderail"),
        adapter_ids=sorted(loaded.adapters.names),
    )


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


if __name__ == "__main__":
    main()
