"""Reads a LoRA adapter from a folder that `peft` wrote."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import torch
from pydantic import BaseModel, ConfigDict, PositiveInt
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"

SILENT = frozenset(
    {
        *(
            "auto_mapping",
            "base_model_name_or_path",
            "inference_mode",
            "peft_version",
            "revision",
            "task_type",
        ),
        *("corda_config", "eva_config", "loftq_config", "lora_dropout", "megatron_core", "qalora_group_size"),
        *("exclude_modules", "fan_in_fan_out", "layers_pattern", "layers_to_transform", "target_modules"),
    }
)
"""Options that say nothing which the weights do not. Any other one that is not read here must be off."""

INNOCENT_BEGINNINGS = (None, True, False, "gaussian", "eva", "orthogonal")
"""`init_lora_weights` that leave the model's own weights alone; others (pissa, olora, ...) change them."""

_KEY = re.compile(r"base_model\.model\.(?P<module>.+)\.lora_(?P<part>[AB])\.weight")

Number = TypeVar("Number", int, float)


class AdapterError(Exception):
    """An adapter cannot be served. The message names it."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(f"the LoRA adapter {name!r} cannot be served: {why}")


@dataclass(frozen=True, eq=False)
class Update:
    """What an adapter adds to one linear layer: up @ down @ input."""

    down: Tensor
    """(rank, inputs)."""
    up: Tensor
    """(outputs, rank); the adapter's scale is in it."""

    def of(self, inputs: Tensor) -> Tensor:
        """(..., inputs) -> (..., outputs)."""
        return inputs @ self.down.T @ self.up.T


class Config(BaseModel):
    """What is read of `peft`'s options; its defaults, and its names. The others are in `model_extra`."""

    model_config = ConfigDict(extra="allow", frozen=True)

    peft_type: Literal["LORA"]
    r: PositiveInt = 8
    lora_alpha: float = 8
    use_rslora: bool = False
    init_lora_weights: Any = True
    rank_pattern: dict[re.Pattern[str], PositiveInt] = {}
    """Ranks of single modules, by the ends of their names."""
    alpha_pattern: dict[re.Pattern[str], float] = {}

    def rank(self, module: str) -> int:
        return _matching(self.rank_pattern, module, self.r)

    def scale(self, module: str) -> float:
        rank = self.rank(module)
        return _matching(self.alpha_pattern, module, self.lora_alpha) / (
            math.sqrt(rank) if self.use_rslora else rank
        )


@dataclass(frozen=True, eq=False)
class Adapter:
    """What is added to which linear layers, known by their names in the model."""

    name: str
    updates: Mapping[str, Update]


def parse_folders(setting: str | None) -> dict[str, Path]:
    """The adapters' folders by their names, of `NAME=FOLDER,NAME=FOLDER`.

    Raises:
        AdapterError: an entry is not of that form, or there are two of one name.
    """
    folders: dict[str, Path] = {}
    for entry in filter(None, map(str.strip, (setting or "").split(","))):
        name, equals, folder = entry.partition("=")
        if not (name and equals and folder):
            raise AdapterError(entry, "it is not given as NAME=FOLDER; download those of the Hub first")
        if name in folders:
            raise AdapterError(name, "two have this name")
        folders[name] = Path(folder).expanduser()
    return folders


def read_adapter(name: str, folder: Path, *, dtype: torch.dtype, device: torch.device) -> Adapter:
    """The adapter in `folder`, with tensors of `dtype` on `device`.

    Raises:
        AdapterError: it is not there, is damaged, or does more than add to linear layers.
    """
    try:
        config = Config.model_validate_json((folder / CONFIG).read_bytes())
        tensors = load_file(folder / WEIGHTS)
    except (OSError, ValueError, SafetensorError) as error:
        raise AdapterError(name, f"its {CONFIG} and {WEIGHTS} cannot be read ({error})") from error
    _refuse_options(name, config)
    updates = {}
    for module, parts in _by_module(name, tensors).items():
        down, up = parts.get("A"), parts.get("B")
        rank = config.rank(module)
        if down is None or up is None or not down.shape[0] == up.shape[1] == rank:
            shapes = {part: tuple(tensor.shape) for part, tensor in parts.items()}
            raise AdapterError(name, f"what it has of {module}, {shapes}, is not of rank {rank}")
        scaled = up.float() * config.scale(module)
        updates[module] = Update(down.to(device, dtype), scaled.to(device, dtype))
    return Adapter(name, updates)


def _refuse_options(name: str, config: Config) -> None:
    beginning = config.init_lora_weights
    if beginning not in INNOCENT_BEGINNINGS:
        raise AdapterError(name, f"`init_lora_weights` {beginning!r} changes the model's own weights")
    for option, value in (config.model_extra or {}).items():
        if option not in SILENT and value and value != "none":
            raise AdapterError(name, f"its option `{option}` ({value!r}) is not supported")


def _by_module(name: str, tensors: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    parts: dict[str, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        match = _KEY.fullmatch(key)
        if match is None or tensor.dim() != 2:
            raise AdapterError(name, f"its tensor {key} {tuple(tensor.shape)} is not LoRA of a linear layer")
        parts.setdefault(match["module"], {})[match["part"]] = tensor
    if not parts:
        raise AdapterError(name, f"{WEIGHTS} is empty")
    return parts


def _matching(patterns: Mapping[re.Pattern[str], Number], module: str, default: Number) -> Number:
    for pattern, value in patterns.items():
        if re.fullmatch(rf"(.*\.)?({pattern.pattern})", module):
            return value
    return default
