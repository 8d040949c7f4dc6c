"""Chooses how a network is run: over the paged cache, else plainly, else not at all."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Literal

from transformers import PreTrainedModel

from shard.forward import Forward, choose_forward
from shard.kv_cache import Footprint, KVCache
from shard.model import PagedModel, SamplingModel, UnsupportedModelError, probe
from shard.plain_model import PlainModel
from shard.self_check import CHUNKS, SelfCheck

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Runner:
    """A model that has passed its self-check, and room for what it keeps."""

    model: SamplingModel
    attention: str
    """What computes the attention."""
    paged: bool
    """Whether sequences share what they keep, in blocks of a cache."""
    reason: str
    """Why it is not run over the paged cache, if it is not."""
    footprint: Footprint
    """What a token takes: on one rank of several, its part."""
    cache_tokens: int
    """Tokens that there is room for."""
    vocabulary_size: int
    """The width of the model's logits."""


def choose_runner(
    network: PreTrainedModel,
    *,
    block_size: int,
    room: Callable[[Footprint], int],
    agreed: Callable[[float], float] = float,
    forward: Literal["auto"] | Forward = "auto",
) -> Runner:
    """Find the fastest way to run `network` that gives the outputs of its own plain forward pass.

    Args:
        room: how many tokens to make room for, given what they take.
        agreed: see `SelfCheck`.
        forward: how layers are computed over the paged cache, see `choose_forward`.

    Raises:
        UnsupportedModelError: there is none.
    """
    own_attention = network.config._attn_implementation
    check = SelfCheck(network, agreed=agreed)
    try:
        return _paged(network, check, forward, block_size=block_size, room=room)
    except UnsupportedModelError as error:
        paged_error = error
    network.set_attn_implementation(own_attention)
    try:
        model = _plain(network, check, block_size=block_size)
    except UnsupportedModelError as error:
        why = (
            f"over the paged cache, {paged_error.why}; with a cache of its own for each sequence, {error.why}"
        )
        raise UnsupportedModelError(network, why) from error
    logger.warning(
        "%s is run plainly, one sequence after the other, which is slower: over the paged cache, %s",
        type(network).__name__,
        paged_error.why,
    )
    footprint = model.footprint()
    if not any(footprint):  # so little trained that nothing else shows it
        raise UnsupportedModelError(network, "it keeps nothing from one forward pass to the next")
    return Runner(
        model=model,
        attention=f"{own_attention}, a cache for each sequence",
        paged=False,
        reason=paged_error.why,
        footprint=footprint,
        cache_tokens=room(footprint),
        vocabulary_size=check.vocabulary_size,
    )


def _paged(
    network: PreTrainedModel,
    check: SelfCheck,
    forward: Literal["auto"] | Forward,
    *,
    block_size: int,
    room: Callable[[Footprint], int],
) -> Runner:
    shapes = probe(network)

    def model(tokens: int) -> tuple[PagedModel, KVCache]:
        blocks = -(-tokens // block_size) + 1
        cache = KVCache(shapes, blocks=blocks, block_size=block_size, device=network.device)
        return PagedModel(network, cache), cache

    small = model(sum(CHUNKS))[0]
    choose_forward(network, forward, verify=lambda: check.verify(small, block_size=block_size))
    per_token = sum(shape.bytes_per_token for shape in shapes.values())
    footprint = Footprint(per_token=per_token, per_sequence=0)
    checked, cache = model(room(footprint))
    return Runner(
        model=checked,
        attention="torch",
        paged=True,
        reason="",
        footprint=footprint,
        cache_tokens=cache.tokens,
        vocabulary_size=check.vocabulary_size,
    )


def _plain(network: PreTrainedModel, check: SelfCheck, *, block_size: int) -> PlainModel:
    """The first plain model that is right, of all ways to call one, the fastest first.

    Raises:
        UnsupportedModelError: none is. It says how the first one fails.
    """
    errors = []
    for continues, positioned in product((True, False), (True, False)):
        model = PlainModel(network, continues=continues, positioned=positioned)
        try:
            check.verify(model, block_size=block_size)
        except UnsupportedModelError as error:
            errors.append(error)
        else:
            return model
    raise errors[0]
