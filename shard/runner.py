"""Chooses how a network is run: over the paged cache, else plainly, else not at all."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Literal

from transformers import PreTrainedModel

from shard.attention import Probe
from shard.backend import BACKENDS, Attends, BackendName, Chosen, Needs, choose_backend
from shard.captured_step import capture_steps
from shard.compilation import Compilation, find_library, install_or_wait
from shard.compiled_step import CompiledStep
from shard.cuda_graph import CudaCapture
from shard.forward import Forward, choose_forward
from shard.kv_cache import Footprint, KVCache, LayerShape
from shard.libraries import keep
from shard.model import PagedModel, SamplingModel, UnsupportedModelError, probe
from shard.native import NativeFunction
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
    compilation: Compilation | None = None
    """What makes the model faster if it is run while the model serves."""


def choose_runner(
    network: PreTrainedModel,
    *,
    block_size: int,
    room: Callable[[Footprint], int],
    agreed: Callable[[float], float] = float,
    attention: Literal["auto"] | BackendName = "auto",
    forward: Literal["auto"] | Forward = "auto",
    folder: Path | None = None,
) -> Runner:
    """Find the fastest way to run `network` that gives the outputs of its own plain forward pass.

    Args:
        room: how many tokens to make room for, given what they take.
        agreed: see `SelfCheck`.
        attention: what computes attention over the paged cache, see `choose_backend`.
        forward: how layers are computed over the paged cache, see `choose_forward`.
        folder: where compiled steps are kept. None: none are compiled.

    Raises:
        UnsupportedModelError: there is none.
        ValueError: this model or machine cannot do what was wanted by name.
    """
    own_attention = network.config._attn_implementation
    check = SelfCheck(network, agreed=agreed)
    try:
        return _paged(network, check, attention, forward, block_size=block_size, room=room, folder=folder)
    except UnsupportedModelError as error:
        paged_error = error
    for setting, wanted in (("SHARD_ATTENTION", attention), ("SHARD_FORWARD", forward)):
        if wanted not in ("auto", "plain"):
            raise ValueError(f"{setting} is {wanted}, but over the paged cache, {paged_error.why}")
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
    attention: Literal["auto"] | BackendName,
    forward: Literal["auto"] | Forward,
    *,
    block_size: int,
    room: Callable[[Footprint], int],
    folder: Path | None,
) -> Runner:
    on_gpu, required = network.device.type == "cuda", forward == "compiled"
    if forward == "captured" and not on_gpu:
        raise ValueError("SHARD_FORWARD is captured, but the model is not on a CUDA GPU")
    found = Probe()
    shapes = probe(network, found)
    library = None
    if folder is not None and (required or (forward == "auto" and not on_gpu)):
        library = find_library(network, shapes, block_size=block_size, folder=folder, required=required)
    small = _over_cache(network, shapes, tokens=sum(CHUNKS), block_size=block_size)

    def verify(attends: Attends | None = None) -> None:
        small.attends = attends or small.attends
        check.verify(small, block_size=block_size)

    choose_forward(network, forward, verify=verify)
    needs = Needs.of(found, device=network.device, block_size=block_size)
    backend = choose_backend(attention, needs, verify=verify, backends=BACKENDS)
    per_token = sum(shape.bytes_per_token for shape in shapes.values())
    footprint = Footprint(per_token=per_token, per_sequence=0)
    model = _over_cache(network, shapes, tokens=room(footprint), block_size=block_size)
    small.attends = model.attends = backend.attends
    if on_gpu and forward in ("auto", "captured"):
        _capture(model, backend, small=small, verify=verify, required=forward == "captured")
    compilation = None
    if library:
        install = partial(_install, model, library, small=small, verify=verify)
        compilation = install_or_wait(library, install, required=required)
    return Runner(
        model=model,
        attention=backend.title,
        paged=True,
        reason="",
        footprint=footprint,
        cache_tokens=model.cache.tokens,
        vocabulary_size=check.vocabulary_size,
        compilation=compilation,
    )


def _over_cache(
    network: PreTrainedModel, shapes: Mapping[int, LayerShape], *, tokens: int, block_size: int
) -> PagedModel:
    blocks = -(-tokens // block_size) + 1
    return PagedModel(network, KVCache(shapes, blocks=blocks, block_size=block_size, device=network.device))


def _install(model: PagedModel, library: Path, *, small: PagedModel, verify: Callable[[], None]) -> None:
    """Let `model` run compiled steps, once those over the cache of `small` are right."""
    function = NativeFunction(library)
    keep(library)
    small.compiled = CompiledStep(function, small.cache)
    verify()
    model.compiled = CompiledStep(function, model.cache)


def _capture(
    model: PagedModel, backend: Chosen, *, small: PagedModel, verify: Callable[[], None], required: bool
) -> None:
    """Let `model` play its short steps, if its attention and the machine allow."""
    if not backend.in_place:
        if required:
            raise ValueError(f"SHARD_FORWARD is captured, but attention by {backend.title} copies the cache")
        return
    capture_steps(
        model,
        small=small,
        verify=verify,
        capture=lambda: CudaCapture(model.device),
        longest=model.positions or model.cache.tokens,
        required=required,
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
