"""Compiled steps: found again by the same model only, and right for any number of rows and blocks."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, LlamaConfig, MistralConfig

from shard.batch import Batch
from shard.compilation import Compilation, RequiredError
from shard.compiled_step import CompiledStep, library_of
from shard.kv_cache import KVCache
from shard.libraries import MOST_KEPT
from shard.model import PagedModel, probe
from shard.native import CompileError, NativeFunction
from shard.runner import Runner, choose_runner
from shard.sequence import Sequence, Slice

BLOCK = 16
SIZES: dict[str, Any] = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "initializer_range": 0.4,
}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("llama")
    AutoModelForCausalLM.from_config(LlamaConfig(**SIZES)).save_pretrained(folder)
    return folder


def load(checkpoint: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32).eval()


@pytest.fixture(scope="module")
def folder(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of libraries, with that of the checkpoint's model in it."""
    cache_dir = tmp_path_factory.mktemp("cache")
    settings = {
        "SHARD_MODEL": str(checkpoint),
        "SHARD_CACHE_DIR": str(cache_dir),
        "SHARD_DTYPE": "float32",
        "SHARD_THREADS": str(torch.get_num_threads()),
    }
    command = [sys.executable, "-m", "shard.compile"]
    with subprocess.Popen(command, env=os.environ | settings, stdin=subprocess.PIPE) as process:
        assert process.wait() == 0  # its input stays open for so long
    return cache_dir / "compiled"


class Loaded:
    """A network over a cache."""

    def __init__(self, network: Any, folder: Path) -> None:
        shapes = probe(network)
        self.library = library_of(network, shapes, block_size=BLOCK, folder=folder)
        self.cache = KVCache(shapes, blocks=65, block_size=BLOCK, device=torch.device("cpu"))
        self.model = PagedModel(network, self.cache)


def logits(model: PagedModel, prompts: list[list[int]], more: int) -> list[Tensor]:
    """Of reading the prompts, then token after token of each, all together."""
    sequences = [Sequence(prompt, max_new_tokens=more) for prompt in prompts]
    for index, sequence in enumerate(sequences):
        sequence.blocks.extend(range(1 + 8 * index, 9 + 8 * index))
    found = []
    for token in range(more):
        found.append(model.forward([Slice(sequence, sequence.pending) for sequence in sequences]))
        for sequence in sequences:
            sequence.computed += sequence.pending
            sequence.tokens.append(token)
    return found


@pytest.mark.parametrize("lengths", [(1,), (30,), (3, 17, 1, 33), (9, 40, 25, 2, 31)])
def test_compiled_steps_give_the_logits_of_the_plain_model(
    checkpoint: Path, folder: Path, lengths: tuple[int, ...]
) -> None:
    loaded = Loaded(load(checkpoint), folder)
    prompts = [[(7 * index + place) % 64 for place in range(length)] for index, length in enumerate(lengths)]
    plain = logits(loaded.model, prompts, more=5)
    loaded.model.compiled = CompiledStep(NativeFunction(loaded.library), loaded.cache)
    for mine, other in zip(logits(loaded.model, prompts, more=5), plain, strict=True):
        assert torch.allclose(mine, other, atol=1e-4)


def test_compiled_steps_score_prompts_as_the_plain_model_does(checkpoint: Path, folder: Path) -> None:
    loaded = Loaded(load(checkpoint), folder)

    def scores() -> list[float]:
        sequence = Sequence([5, 3, 60, 1, 8, 8], max_new_tokens=1, prompt_logprobs=True)
        sequence.blocks.append(1)
        loaded.model.step([Slice(sequence, sequence.pending)], dict)
        assert sequence.prompt_logprobs is not None
        assert sequence.prompt_logprobs.complete
        return list(sequence.prompt_logprobs.values)

    plain = scores()
    loaded.model.compiled = CompiledStep(NativeFunction(loaded.library), loaded.cache)
    assert scores() == pytest.approx(plain, abs=1e-4)


def test_long_steps_are_left_to_the_network(checkpoint: Path, folder: Path) -> None:
    loaded = Loaded(load(checkpoint), folder)
    taken = []

    class Watched(CompiledStep):
        def takes(self, batch: Batch) -> bool:
            taken.append(super().takes(batch))
            return taken[-1]

    loaded.model.compiled = Watched(NativeFunction(loaded.library), loaded.cache, most_read=200)
    logits(loaded.model, [[1] * 10], more=2)
    logits(loaded.model, [[1] * 20, [2]], more=2)
    assert taken == [True, True, False, True]


def test_a_library_is_of_one_model_only(checkpoint: Path, folder: Path) -> None:
    network = load(checkpoint)
    assert Loaded(network, folder).library.exists()
    with torch.no_grad():
        network.model.norm.weight[3] += 0.5
    assert not Loaded(network, folder).library.exists()


def test_windows_are_not_compiled(tmp_path: Path) -> None:
    network: Any = AutoModelForCausalLM.from_config(MistralConfig(**SIZES, sliding_window=8))
    with pytest.raises(CompileError, match="windows"):
        library_of(network, probe(network), block_size=BLOCK, folder=tmp_path)


def run(network: Any, folder: Path, *, forward: Any = "auto") -> Runner:
    return choose_runner(
        network, block_size=BLOCK, room=lambda footprint: 1024, forward=forward, folder=folder
    )


def compiled(runner: Runner) -> bool:
    assert isinstance(runner.model, PagedModel)
    return runner.model.compiled is not None


@pytest.mark.parametrize("forward", ["auto", "compiled"])
def test_a_library_that_is_there_is_used_from_the_start(checkpoint: Path, folder: Path, forward: str) -> None:
    runner = run(load(checkpoint), folder, forward=forward)
    assert compiled(runner)
    assert runner.compilation is None


def test_a_library_that_is_used_outlives_those_that_are_not(
    checkpoint: Path, folder: Path, tmp_path: Path
) -> None:
    (library,) = folder.iterdir()
    used = tmp_path / library.name
    shutil.copyfile(library, used)
    os.utime(used, times=(0, 0))
    others = [tmp_path / f"other-{number}.so" for number in range(MOST_KEPT)]
    for number, other in enumerate(others, start=1):
        other.touch()
        os.utime(other, times=(number, number))
    assert compiled(run(load(checkpoint), tmp_path))
    assert set(tmp_path.iterdir()) == {used, *others[1:]}


def test_one_that_is_made_meanwhile_is_used_from_then_on(
    checkpoint: Path, folder: Path, tmp_path: Path
) -> None:
    runner = run(load(checkpoint), tmp_path)
    assert isinstance(runner.compilation, Compilation)
    assert not compiled(runner)
    (library,) = folder.iterdir()
    (tmp_path / library.name).write_bytes(library.read_bytes())
    runner.compilation._install()
    assert compiled(runner)


def test_a_damaged_library_is_not_used(
    checkpoint: Path, folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (library,) = folder.iterdir()
    (tmp_path / library.name).write_bytes(b"not a library")
    with caplog.at_level(logging.WARNING):
        assert not compiled(run(load(checkpoint), tmp_path))
    assert "steps are not compiled" in caplog.text
    with pytest.raises(RequiredError, match="SHARD_FORWARD is compiled, but"):
        run(load(checkpoint), tmp_path, forward="compiled")


def test_the_library_of_another_model_is_found_out(checkpoint: Path, folder: Path, tmp_path: Path) -> None:
    network = load(checkpoint)
    with torch.no_grad():
        network.model.embed_tokens.weight.copy_(network.model.embed_tokens.weight.flip(0).contiguous())
    (library,) = folder.iterdir()
    renamed = library_of(network, probe(load(checkpoint)), block_size=BLOCK, folder=tmp_path)
    renamed.write_bytes(library.read_bytes())
    assert not compiled(run(network, tmp_path))


def test_without_a_compiler_there_is_nothing_to_wait_for(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    with caplog.at_level(logging.WARNING):
        runner = run(load(checkpoint), tmp_path)
    assert runner.compilation is None
    assert "there is no C++ compiler here (no-such-compiler)" in caplog.text
    with pytest.raises(RequiredError, match="no C\\+\\+ compiler"):
        run(load(checkpoint), tmp_path, forward="compiled")


def test_other_forward_passes_are_not_compiled(checkpoint: Path, folder: Path) -> None:
    for forward in ("plain", "packed"):
        assert not compiled(run(load(checkpoint), folder, forward=forward))
