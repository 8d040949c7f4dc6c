"""The fastest forward pass that is right is the one that is taken."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig

from shard.forward import choose_forward, forward_beside
from shard.packing import PackedLinear


@pytest.fixture
def network() -> Any:
    config = LlamaConfig(
        vocab_size=64, hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2
    )
    return AutoModelForCausalLM.from_config(config).eval()


def packed(network: Any) -> bool:
    return isinstance(network.model.layers[0].self_attn.q_proj, PackedLinear)


class WrongIfPacked:
    """Verifies a network, and takes packed layers for wrong."""

    def __init__(self, network: Any) -> None:
        self._network = network

    def __call__(self) -> None:
        if packed(self._network):
            raise ArithmeticError("its outputs differ")


def test_packed_layers_are_taken_where_they_are_right(network: Any) -> None:
    assert choose_forward(network, "auto", verify=lambda: None) == "packed"
    assert packed(network)


def test_the_setting_forces_the_plain_ones(network: Any) -> None:
    assert choose_forward(network, "plain", verify=lambda: None) == "plain"
    assert not packed(network)


def test_packed_layers_that_are_wrong_are_replaced_and_named(
    network: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        assert choose_forward(network, "auto", verify=WrongIfPacked(network)) == "plain"
    assert not packed(network)
    assert "packed, its outputs differ" in caplog.text


def test_wrong_layers_that_the_setting_forces_are_an_error(network: Any) -> None:
    with pytest.raises(ArithmeticError):
        choose_forward(network, "packed", verify=WrongIfPacked(network))


def test_a_network_that_is_wrong_in_any_way_is_an_error(network: Any) -> None:
    def wrong() -> None:
        raise ArithmeticError("its outputs differ")

    with pytest.raises(ArithmeticError):
        choose_forward(network, "auto", verify=wrong)


def test_a_network_that_cannot_be_packed_is_computed_plainly(network: Any) -> None:
    network.to(torch.float64)
    assert choose_forward(network, "auto", verify=lambda: None) == "plain"
    with pytest.raises(ValueError, match="SHARD_FORWARD"):
        choose_forward(network, "packed", verify=lambda: None)


@pytest.mark.parametrize("wanted", ["packed", "compiled", "captured"])
def test_what_adapters_or_ranks_leave_out_is_refused_with_the_reason(wanted: Any) -> None:
    assert forward_beside(wanted, adapters=False, ranks=1) == wanted
    with pytest.raises(ValueError, match=f"SHARD_FORWARD is {wanted}, but LoRA adapters are added"):
        forward_beside(wanted, adapters=True, ranks=1)
    with pytest.raises(ValueError, match=f"SHARD_FORWARD is {wanted}, but the layers that 2 ranks split"):
        forward_beside(wanted, adapters=False, ranks=2)


@pytest.mark.parametrize("wanted", ["auto", "plain"])
def test_beside_adapters_or_ranks_the_fastest_is_the_plain_one(wanted: Any) -> None:
    assert forward_beside(wanted, adapters=True, ranks=1) == "plain"
    assert forward_beside(wanted, adapters=False, ranks=2) == "plain"
    assert forward_beside(wanted, adapters=False, ranks=1) == wanted
