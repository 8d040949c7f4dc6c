"""Chooses how the layers of a network are computed: as transformers wrote them, or faster."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Literal, TypeAlias

import torch
from transformers import PreTrainedModel

from shard.packing import pack, unpack

Forward: TypeAlias = Literal["plain", "packed", "compiled", "captured"]
"""plain: by transformers' own modules. packed: their linear layers packed, see `packing.py`. compiled:
steps of few tokens by native code, see `compiled_step.py`, and others as the machine can. captured: steps of
few tokens as CUDA graphs, see `captured_step.py`, and others plainly."""

logger = logging.getLogger(__name__)


def forward_beside(
    wanted: Literal["auto"] | Forward, *, adapters: bool, ranks: int
) -> Literal["auto"] | Forward:
    """What `wanted` comes to beside LoRA adapters, or over so many ranks: `auto` is plain there.

    Raises:
        ValueError: it is wanted by name, and neither plain nor possible.
    """
    if ranks > 1:
        why = f"the layers that {ranks} ranks split are computed as transformers made them"
    elif adapters:
        why = "LoRA adapters are added to the layers as transformers made them"
    else:
        return wanted
    if wanted not in ("auto", "plain"):
        raise ValueError(f"SHARD_FORWARD is {wanted}, but {why}")
    return "plain"


def choose_forward(
    network: PreTrainedModel, wanted: Literal["auto"] | Forward, *, verify: Callable[[], None]
) -> Forward:
    """Change the network to the fastest of its own forward passes that the machine has and `verify` passes.

    Args:
        verify: raises an exception if the network's outputs are wrong.

    Raises:
        Exception: what `verify` raised of the forward pass that was wanted by name, or of the plain one.
        ValueError: this machine cannot do what was wanted by name.
    """
    if wanted != "plain" and (places := pack(network, lambda: _try_out(network))):
        try:
            verify()
        except Exception as error:
            if wanted == "packed":
                raise
            unpack(places)
            logger.warning("the linear layers stay as they are: packed, %s", error)
        else:
            logger.info("forward pass: %d linear layers packed for this CPU", len(places))
            return "packed"
    elif wanted == "packed":
        raise ValueError("SHARD_FORWARD is packed, but no layer of this model can be packed on this machine")
    verify()
    logger.info("forward pass: plain")
    return "plain"


def _try_out(network: Any) -> None:
    token_ids = torch.tensor([[1, 2]], device=network.device)
    network(input_ids=token_ids, position_ids=torch.tensor([[0, 1]], device=network.device), use_cache=False)
