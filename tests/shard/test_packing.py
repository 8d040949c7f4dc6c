"""Packed linear layers give what the layers gave, and nothing else of the network changes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from shard.packing import PackedLinear, pack, unpack


class Block(nn.Module):
    """Three layers of one input, one of another, and one that a forward pass does not call."""

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.first = nn.Linear(8, 6, **options)
        self.second = nn.Linear(8, 2, bias=False, **options)
        self.third = nn.Linear(8, 4, **options)
        self.last = nn.Linear(4, 8, bias=False, **options)
        self.idle = nn.Linear(8, 3, **options)

    def forward(self, inputs: Tensor) -> Tensor:
        added: Tensor = self.third(inputs) + self.first(inputs)[..., :4] * self.second(inputs).sum()
        output: Tensor = self.last(added)
        return output


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("tokens", [0, 1, 2, 33])
@torch.inference_mode()
def test_a_packed_network_gives_the_outputs_of_the_plain_one(dtype: torch.dtype, tokens: int) -> None:
    network = Block(dtype=dtype)
    inputs = torch.randn(1, tokens, 8, dtype=dtype)
    plain, idle = network(inputs), network.idle(inputs)
    places = pack(network, lambda: network(torch.randn(1, 2, 8, dtype=dtype)))
    assert len(places) == 5
    assert all(isinstance(layer, PackedLinear) for layer in network.children())
    for _ in range(2):
        assert torch.allclose(network(inputs), plain, rtol=0.02, atol=0.02 if dtype.itemsize == 2 else 1e-5)
    assert torch.allclose(network.idle(inputs), idle, rtol=0.02, atol=0.02 if dtype.itemsize == 2 else 1e-5)


@torch.inference_mode()
def test_layers_that_read_the_same_tensor_are_one_product() -> None:
    network = Block()
    pack(network, lambda: network(torch.randn(2, 8)))
    products = {layer._product for layer in network.children() if isinstance(layer, PackedLinear)}
    assert len(products) == 3


@torch.inference_mode()
def test_an_input_that_differs_is_never_taken_for_the_one_before() -> None:
    network = Block()
    first, second = torch.randn(2, 3, 8)
    expected = [network.first(first), network.second(second), network.third(first)]
    pack(network, lambda: network(first))
    found = [network.first(first), network.second(second), network.third(first)]
    assert all(torch.allclose(*pair, atol=1e-5) for pair in zip(found, expected, strict=True))


def test_unpacking_puts_the_very_layers_back() -> None:
    network = Block()
    before = list(network.children())
    unpack(pack(network, lambda: network(torch.randn(2, 8))))
    assert all(one is other for one, other in zip(network.children(), before, strict=True))


def test_layers_that_are_more_than_a_product_stay() -> None:
    network = Block()
    network.first.register_forward_hook(lambda module, inputs, output: output + 1)
    network.second.to(torch.float64)
    network.third = nn.utils.parametrizations.weight_norm(network.third)
    assert [place.name for place in pack(network, lambda: network.last(torch.randn(1, 4)))] == [
        "last",
        "idle",
    ]
