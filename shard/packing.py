"""Linear layers as a CPU computes them fastest: weights in oneDNN's own layout, one product for one input.

torch multiplies with a weight as it is stored, which costs oneDNN a rearrangement or a slower kernel at every
step. Stored in its layout, a step of few tokens takes half the time, and a prompt two thirds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import torch
from torch import Tensor, nn

ROWS = 16
"""Rows for which oneDNN chooses the layout. Measured from 1 to 512 rows, none is faster for any."""


class Product:
    """The outputs of linear layers that read the same tensor, as one matrix product.

    Each layer asks for its own; the first that does computes all, which are kept until the input changes.
    """

    def __init__(self, layers: list[nn.Linear]) -> None:
        """Copies the weights."""
        weights = torch.cat([layer.weight.detach() for layer in layers])
        self._weight = torch.ops.mkldnn._reorder_linear_weight(weights, ROWS)
        self._bias = _biases(layers)
        self._widths = [layer.out_features for layer in layers]
        self._inputs: Tensor | None = None
        self._outputs: tuple[Tensor, ...] = ()

    def outputs(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """One tensor (..., out_features) for each layer, of `inputs` (..., in_features)."""
        if inputs is not self._inputs:
            self._outputs = self._multiplied(inputs).split(self._widths, dim=-1)
            self._inputs = inputs
        return self._outputs

    def _multiplied(self, inputs: Tensor) -> Tensor:
        if not inputs.numel():  # the logits of a step that samples nothing; oneDNN knows no empty tensors
            return inputs.new_empty(*inputs.shape[:-1], sum(self._widths))
        product: Tensor = torch.ops.mkldnn._linear_pointwise(inputs, self._weight, self._bias, "none", [], "")
        return product


class PackedLinear(nn.Module):
    """Stands where a linear layer stood, and gives its output."""

    def __init__(self, product: Product, index: int) -> None:
        super().__init__()
        self._product = product
        self._index = index

    def forward(self, inputs: Tensor) -> Tensor:
        """As the layer that it replaces."""
        return self._product.outputs(inputs)[self._index]


class Place(NamedTuple):
    """Where in a network a layer is: its parent and its name there."""

    parent: nn.Module
    name: str
    layer: nn.Linear


@torch.inference_mode()
def pack(network: nn.Module, forward: Callable[[], object]) -> list[Place]:
    """Replace the linear layers of a network on a CPU; returns what was replaced, for `unpack`.

    Layers that are more than a plain product (quantised, hooked, one rank's share) stay, and so do all where
    this build of torch cannot pack.

    Args:
        forward: runs the network once; layers of one parent that read the same tensor become one product.
    """
    places = {
        layer: Place(parent, name, layer)
        for parent in network.modules()
        for name, layer in parent.named_children()
        if type(layer) is nn.Linear and _packable(layer)
    }
    for layers in _siblings(places.values(), forward):
        product = Product(layers)
        for index, layer in enumerate(layers):
            setattr(places[layer].parent, places[layer].name, PackedLinear(product, index))
    return list(places.values())


def unpack(places: Iterable[Place]) -> None:
    """Put the layers back that `pack` replaced."""
    for place in places:
        setattr(place.parent, place.name, place.layer)


def _packable(layer: nn.Linear) -> bool:
    weight = layer.weight
    hooked = layer._forward_hooks or layer._forward_pre_hooks or "forward" in vars(layer)
    if hooked or type(weight) is not nn.Parameter or weight.device.type != "cpu":
        return False
    if not torch.backends.mkldnn.is_available():
        return False
    if weight.dtype == torch.bfloat16:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return weight.dtype == torch.float32


def _siblings(places: Iterable[Place], forward: Callable[[], object]) -> Iterable[list[nn.Linear]]:
    """The layers in groups of one parent and one input, in the order of their calls."""
    groups: dict[object, list[nn.Linear]] = {}
    inputs = []  # kept to the end, so that no two have the same identity
    waiting = {place.layer: place.parent for place in places}

    def called(layer: nn.Module, arguments: tuple[Tensor, ...]) -> None:
        assert isinstance(layer, nn.Linear)
        parent = waiting.pop(layer, None)
        if parent is not None:  # not called before
            inputs.append(arguments[0])
            groups.setdefault((id(parent), id(arguments[0])), []).append(layer)

    hooks = [layer.register_forward_pre_hook(called) for layer in waiting]
    try:
        forward()
    finally:
        for hook in hooks:
            hook.remove()
    return [*groups.values(), *([layer] for layer in waiting)]


def _biases(layers: list[nn.Linear]) -> Tensor | None:
    if all(layer.bias is None for layer in layers):
        return None
    return torch.cat(
        [
            layer.weight.new_zeros(layer.out_features) if layer.bias is None else layer.bias.detach()
            for layer in layers
        ]
    )
