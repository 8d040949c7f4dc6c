"""`python -m shard`: serves one model over gRPC, configured by the environment (see `settings.py`)."""

from __future__ import annotations

import asyncio
import logging
import math
import os
import sys
from functools import partial
from importlib.metadata import version
from typing import Any, NamedTuple

import torch
from transformers import PreTrainedModel
from transformers.utils import logging as transformers_logging

from protos import generation_pb2
from protos.command_line import read_settings
from protos.server import serve
from shard.adapter import AdapterError, parse_folders, read_adapter
from shard.adapters import Adapters
from shard.blocks import Blocks
from shard.checkpoint import Checkpoint, CheckpointError, locate
from shard.compilation import Compilation
from shard.counters import Counters
from shard.device import cache_bytes, choose_device, choose_dtype, choose_threads
from shard.drafts import Drafter
from shard.engine import MASK_SECONDS, Engine
from shard.followers import Followers
from shard.forward import forward_beside
from shard.kv_cache import Footprint
from shard.limits import LimitError, Limits
from shard.masks import GrammarMasks
from shard.model import UnsupportedModelError
from shard.parallel import RankError, Ranks, follow, require_divisible
from shard.passing_thread import in_passing_thread
from shard.rendezvous import Party, gathered
from shard.runner import Runner, choose_runner
from shard.scheduler import Scheduler
from shard.sequence import Watermark
from shard.servicer import GenerationServicer, registration
from shard.settings import Place, Settings
from shard.tokenizer import Tokenizer
from shard.vocabulary import Vocabulary
from shard.warm_up import warm_up

SERVICE = "guiderail.generation.v1.GenerationService"

ENDLESS_TOKENS = 8192
"""A request's tokens where neither the settings, nor the model, nor memory set a bound."""

logger = logging.getLogger("shard")


class Loaded(NamedTuple):
    """A model that has passed its self-check."""

    network: PreTrainedModel
    runner: Runner
    limits: Limits
    adapters: Adapters


def main() -> None:
    """Serve until SIGTERM. Exits with a message if the settings or the model do not allow it."""
    settings, place = read_settings(Settings, service="shard"), Place()
    logging.basicConfig(
        level=logging.ERROR if place.rank else logging.INFO,  # all ranks say the same, rank 0 says it
        stream=sys.stderr,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    if not sys.stderr.isatty():
        transformers_logging.disable_progress_bar()
    try:
        _run(settings, place)
    except (AdapterError, CheckpointError, UnsupportedModelError, LimitError, RankError, ValueError) as error:
        sys.exit(f"shard: {error}")
    # Nothing is left to be done. Taking torch and the model apart takes a second; and in a follower, threads
    # that wake up meanwhile, as the tether does, abort the process or keep it from ending.
    logging.shutdown()
    os._exit(0)


def _run(settings: Settings, place: Place) -> None:
    device = choose_device(settings.device)
    ranks = max(settings.num_shard, place.world_size)
    forward = forward_beside(settings.forward, adapters=bool(settings.lora_adapters), ranks=ranks)
    settings = settings.model_copy(update={"forward": forward})
    torch.set_num_threads(settings.threads or choose_threads(ranks))
    checkpoint = locate(settings.model, cache_dir=settings.cache_dir.expanduser())
    if ranks > 1:
        require_divisible(checkpoint.load_config(), name=checkpoint.name, ranks=ranks)
    with gathered(num_shard=settings.num_shard, place=place, device=device, environment=os.environ) as party:
        if party.ranks.rank:
            follow(_load(checkpoint, settings, party.ranks).runner.model, party.ranks)
        else:
            _lead(checkpoint, settings, party)


def _lead(checkpoint: Checkpoint, settings: Settings, party: Party) -> None:
    logger.info("loading the tokenizer of %s", checkpoint.name)
    tokenizer = checkpoint.load_tokenizer()
    loaded = in_passing_thread(lambda: _load(checkpoint, settings, party.ranks))
    servicer, engine = _assemble(checkpoint, tokenizer, loaded, settings, ranks=party.ranks.size)
    if party.ranks.size > 1:
        loaded.runner.model.lead(party.ranks.announce)
    asyncio.run(
        _serve(engine, servicer, settings, followers=party.followers, compilation=loaded.runner.compilation)
    )
    if party.ranks.size > 1:
        party.ranks.announce(())


async def _serve(
    engine: Engine,
    servicer: GenerationServicer,
    settings: Settings,
    *,
    followers: Followers | None = None,
    compilation: Compilation | None = None,
) -> None:
    async with asyncio.TaskGroup() as tasks:  # if the engine dies, the process dies with it
        running = [tasks.create_task(engine.run())]
        if followers:
            running.append(tasks.create_task(_watch(followers)))
        if compilation:
            running.append(tasks.create_task(compilation.run()))
        await serve(
            registration(servicer),
            service=SERVICE,
            address=settings.address,
            grace=settings.drain_seconds,
        )
        for task in running:
            task.cancel()


async def _watch(followers: Followers) -> None:
    lost: asyncio.Future[str] = asyncio.wrap_future(followers.lost)
    raise RankError(await asyncio.shield(lost))  # shielded, since whoever cancels this must not cancel that


def _assemble(
    checkpoint: Checkpoint, tokenizer: Tokenizer, loaded: Loaded, settings: Settings, *, ranks: int
) -> tuple[GenerationServicer, Engine]:
    runner = loaded.runner
    eos_ids = _eos_ids(loaded.network, tokenizer)
    vocabulary = Vocabulary.from_tokenizer(
        tokenizer.transformers, size=runner.vocabulary_size, eos_ids=eos_ids
    )
    counters = Counters()
    grammars = GrammarMasks(
        vocabulary,
        max_automata=settings.max_automata,
        max_rows=settings.max_mask_rows,
        counters=counters,
    )
    block_size = settings.block_size
    scheduler = Scheduler(
        Blocks(count=runner.cache_tokens // block_size + 1, size=block_size, shared=runner.paged),
        max_running=settings.max_running,
        max_waiting=settings.max_waiting,
        token_budget=settings.max_batch_tokens,
    )
    drafter = None
    if settings.drafts and runner.paged:  # who is wrong takes back what it read, which only pages can
        drafter = Drafter(partial(tokenizer.encode, add_special_tokens=False), vocabulary.token_bytes)
    engine = Engine(
        runner.model,
        scheduler,
        drafter=drafter,
        counters=counters,
        mask_seconds=MASK_SECONDS if runner.paged else math.inf,  # nor can a late mask be waited for
    )
    servicer = GenerationServicer(
        engine,
        tokenizer=tokenizer,
        token_bytes=vocabulary.token_bytes,
        eos_ids=eos_ids,
        grammars=grammars,
        limits=loaded.limits,
        counters=counters,
        watermark=Watermark(gamma=settings.watermark_gamma, delta=settings.watermark_delta),
        adapters=loaded.adapters.names,
        scores_prompts=runner.paged,
        info=_info(checkpoint, loaded, tokenizer, ranks=ranks),
    )
    return servicer, engine


def _load(checkpoint: Checkpoint, settings: Settings, ranks: Ranks) -> Loaded:
    """Load and check the model: on every rank at once, the same way."""
    device = choose_device(settings.device)
    dtype = choose_dtype(settings.dtype, device)
    logger.info("loading the weights of %s as %s on %s", checkpoint.name, _name(dtype), device)
    network = checkpoint.load_network(dtype=dtype, device=device, ranks=ranks.size)
    positions: int | None = getattr(network.config.get_text_config(), "max_position_embeddings", None)
    runner = choose_runner(
        network,
        block_size=settings.block_size,
        room=lambda footprint: ranks.least(_room(footprint, settings, positions, device, ranks=ranks.size)),
        agreed=ranks.most,
        attention=settings.attention,
        forward=settings.forward,
        folder=settings.cache_dir.expanduser() / "compiled",
    )
    limits = Limits.choose(
        max_input=settings.max_input_tokens,
        max_total=settings.max_total_tokens,
        model_tokens=positions,
        cache_tokens=runner.cache_tokens,
    )
    if runner.paged and ranks.size == 1:
        warm_up(
            runner.model,
            batch_tokens=settings.max_batch_tokens,
            running=settings.max_running,
            blocks=runner.cache_tokens // settings.block_size,
            block_size=settings.block_size,
        )
    adapters = _adapters(network, settings)
    if adapters.names and (ranks.size > 1 or not runner.paged):
        raise ValueError("SHARD_LORA_ADAPTERS: adapters need a model over the paged cache, on one rank")
    runner.model.adapt(adapters)
    logger.info(
        "ready: %d tokens of cache, of %d bytes each a rank; %d tokens a request",
        runner.cache_tokens,
        runner.footprint.per_token,
        limits.max_total_tokens,
    )
    return Loaded(network, runner, limits, adapters)


def _adapters(network: PreTrainedModel, settings: Settings) -> Adapters:
    """Load the adapters only after the model has passed its check, which is of the model itself."""
    return Adapters(
        network,
        [
            read_adapter(name, folder, dtype=network.dtype, device=network.device)
            for name, folder in parse_folders(settings.lora_adapters).items()
        ],
    )


def _room(
    footprint: Footprint, settings: Settings, positions: int | None, device: torch.device, *, ranks: int
) -> int:
    """Tokens to make room for: as set, or what the longest requests need, as far as memory allows."""
    if settings.cache_tokens:
        return settings.cache_tokens
    share = settings.cache_share
    free = cache_bytes(device, share=share, ranks=ranks) - settings.max_running * footprint.per_sequence
    longest = settings.max_total_tokens or positions
    if not footprint.per_token:
        return settings.max_running * (longest or ENDLESS_TOKENS)
    possible = free // footprint.per_token
    return max(64, min(possible, settings.max_running * (longest or possible)))  # 64: for the least of uses


def _eos_ids(network: PreTrainedModel, tokenizer: Tokenizer) -> frozenset[int]:
    """Every token that the model, its generation settings or its tokenizer call the end of the text."""
    generation: Any = network.generation_config
    found = [generation.eos_token_id, network.config.eos_token_id, tokenizer.eos_id]
    lists = [each if isinstance(each, list) else [each] for each in found if each is not None]
    return frozenset(token_id for each in lists for token_id in each)


def _info(
    checkpoint: Checkpoint, loaded: Loaded, tokenizer: Tokenizer, *, ranks: int
) -> generation_pb2.InfoReply:
    network = loaded.network
    return generation_pb2.InfoReply(
        model_id=checkpoint.name,
        model_sha=getattr(network.config, "_commit_hash", None),
        architecture=type(network).__name__,
        dtype=_name(network.dtype),
        device=str(network.device),
        attention=loaded.runner.attention,
        max_input_tokens=loaded.limits.max_input_tokens,
        max_total_tokens=loaded.limits.max_total_tokens,
        cache_tokens=loaded.runner.cache_tokens,
        version=version("guiderail"),
        adapter_ids=sorted(loaded.adapters.names),
        ranks=ranks,
        chat_templates=[
            generation_pb2.ChatTemplate(name=name, text=text)
            for name, text in tokenizer.chat_templates.items()
        ],
        special_tokens=tokenizer.template_tokens,
    )


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


if __name__ == "__main__":
    main()
