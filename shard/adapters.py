"""Several LoRA adapters over one model, each for its own rows of a batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from shard.adapter import Adapter, AdapterError, Update
from shard.sequence import Slice


class Adapters:
    """Hooks on the linear layers that adapters add to; layers and models without adapters have none.

    Outside of `applied` the hooks do nothing: the model is itself.
    """

    def __init__(self, network: PreTrainedModel, adapters: Iterable[Adapter] = ()) -> None:
        """Raises AdapterError if `network` does not have the layers, or does not use them row by row."""
        self._rows: Mapping[str, Tensor | None] = {}
        """Of the step, by adapter; None for all of them."""
        self._device = network.device
        updates: dict[str, dict[str, Update]] = {}
        loaded = list(adapters)
        for adapter in loaded:
            for module, update in adapter.updates.items():
                _require_shapes(network, adapter.name, module, update)
                updates.setdefault(module, {})[adapter.name] = update
        self.names = frozenset(adapter.name for adapter in loaded)
        """Of all adapters that a sequence may ask for."""
        if updates:
            _require_rows(network, updates)
        for module, own in updates.items():
            network.get_submodule(module).register_forward_hook(self._hook(own))

    @contextmanager
    def applied(self, slices: Iterable[Slice]) -> Iterator[None]:
        """In this block, row by row, the model is that of the slices' sequences; `slices` in their order."""
        self._rows = self._grouped(slices) if self.names else {}
        try:
            yield
        finally:
            self._rows = {}

    def _grouped(self, slices: Iterable[Slice]) -> Mapping[str, Tensor | None]:
        rows: dict[str, list[int]] = {}
        start = 0
        for each in slices:
            stop = start + each.count
            if each.sequence.adapter is not None:
                rows.setdefault(each.sequence.adapter, []).extend(range(start, stop))
            start = stop
        return {
            name: None if len(own) == start else torch.tensor(own, device=self._device)
            for name, own in rows.items()
        }

    def _hook(self, updates: Mapping[str, Update]) -> Callable[[nn.Module, tuple[Any, ...], Tensor], Tensor]:
        def add(module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> Tensor:
            for name, rows in self._rows.items():
                update = updates.get(name)
                if update is None:
                    continue
                if rows is None:
                    output.add_(update.of(inputs[0]))
                else:
                    output[0].index_add_(0, rows, update.of(inputs[0][0].index_select(0, rows)))
            return output

        return add


def _require_shapes(network: PreTrainedModel, name: str, module: str, update: Update) -> None:
    found = dict(network.named_modules()).get(module)
    if not isinstance(found, nn.Linear):
        raise AdapterError(name, f"it adds to {module}, which is no linear layer of the model")
    if found is network.get_output_embeddings():
        raise AdapterError(name, f"it adds to {module}, the layer that gives the logits")
    shape = (update.up.shape[0], update.down.shape[1])
    if shape != (found.out_features, found.in_features):
        raise AdapterError(
            name, f"it adds {shape} to {module}, which is {(found.out_features, found.in_features)}"
        )


@torch.inference_mode()
def _require_rows(network: PreTrainedModel, updates: Mapping[str, Mapping[str, Update]]) -> None:
    """Layers that are not called, or that get only some of the tokens (experts), have no rows to speak of."""
    shapes: dict[str, list[int]] = {}

    def watch(module: str) -> Any:
        def note(_: nn.Module, inputs: tuple[Any, ...]) -> None:
            shapes[module] = list(inputs[0].shape[:-1]) if inputs else []

        return network.get_submodule(module).register_forward_pre_hook(note)

    watches = [watch(module) for module in updates]
    forward: Any = network
    forward(input_ids=torch.tensor([[1, 2]], device=network.device), use_cache=False)
    for each in watches:
        each.remove()
    for module, own in updates.items():
        if shapes.get(module) != [1, 2]:
            raise AdapterError(next(iter(own)), f"it adds to {module}, through which not every token goes")
