"""Captured steps give the logits of the model itself, whatever is in them and however they are filled up."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, Gemma2Config, LlamaConfig

from shard.attention import PagedAttention
from shard.batch import Batch
from shard.captured_step import MOST_OF_ONE, Capture, CapturedStep, capture_steps
from shard.kernel_attention import KernelAttention
from shard.kv_cache import KVCache
from shard.model import PagedModel, probe
from shard.runner import choose_runner
from shard.self_check import CHUNKS, SelfCheck
from shard.sequence import Sequence, Slice
from shard.triton_attention import TritonKernel

BLOCK = 4
BUCKETS = (1, 4, 8, 48)
SIZES: dict[str, Any] = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 128,
    "initializer_range": 0.4,
}


class Recorder:
    """Plays a function by calling it again, and keeps the result in the same place, as a graph does."""

    def __init__(self) -> None:
        self.outputs: list[Tensor] = []

    def __call__(self, function: Callable[[], Tensor]) -> Callable[[], Tensor]:
        output = function()
        self.outputs.append(output)

        def play() -> Tensor:
            return output.copy_(function())

        return play


class Refusing:
    """Cannot record anything, like CUDA where a function waits for it."""

    def __call__(self, function: Callable[[], Tensor]) -> Callable[[], Tensor]:
        raise RuntimeError("operation not permitted when stream is capturing")


@pytest.fixture(scope="module", params=[LlamaConfig, Gemma2Config])
def network(request: pytest.FixtureRequest) -> Any:
    torch.manual_seed(0)
    config = request.param(**SIZES, sliding_window=8)
    return AutoModelForCausalLM.from_config(config).eval()


def over_cache(network: Any, *, blocks: int = 65) -> PagedModel:
    cache = KVCache(probe(network), blocks=blocks, block_size=BLOCK, device=torch.device("cpu"))
    return PagedModel(network, cache)


def captured(model: PagedModel, capture: Capture | None = None) -> CapturedStep:
    return CapturedStep(model, capture or Recorder(), longest=128, buckets=BUCKETS)


def sequences(prompts: list[list[int]]) -> list[Sequence]:
    made = [Sequence(prompt, max_new_tokens=8) for prompt in prompts]
    for index, sequence in enumerate(made):
        sequence.blocks.extend(range(1 + 12 * index, 13 + 12 * index))
    return made


def logits(model: PagedModel, prompts: list[list[int]], *, more: int = 5) -> list[Tensor]:
    """Of reading the prompts, then a token or two of each, all together."""
    read, found = sequences(prompts), []
    for token in range(more):
        found.append(model.forward([Slice(sequence, sequence.pending) for sequence in read]))
        for index, sequence in enumerate(read):
            sequence.computed += sequence.pending
            sequence.tokens.extend([token, token + 7][: 1 + (index + token) % 2])
    return found


@pytest.mark.parametrize("lengths", [(1,), (30,), (3, 17, 1), (1, 1, 1, 1, 1), (9, 2, 31)])
def test_captured_steps_give_the_logits_of_the_model(network: Any, lengths: tuple[int, ...]) -> None:
    prompts = [[(7 * index + place) % 64 for place in range(length)] for index, length in enumerate(lengths)]
    plain = logits(over_cache(network), prompts)
    model = over_cache(network)
    step = model.compiled = captured(model)
    step.record()
    for mine, other in zip(logits(model, prompts), plain, strict=True):
        assert torch.allclose(mine, other, atol=1e-4)


def test_kernels_can_be_captured(network: Any) -> None:
    prompts = [[3, 4, 5], [6]]
    plain = logits(over_cache(network), prompts, more=2)
    model = over_cache(network)
    model.attends = partial(KernelAttention, TritonKernel(processors=132))
    model.compiled = captured(model)
    for mine, other in zip(logits(model, prompts, more=2), plain, strict=True):
        assert torch.allclose(mine, other, atol=1e-4)


def test_rows_that_fill_up_a_step_write_to_block_0_only(network: Any) -> None:
    plain, filled = over_cache(network), over_cache(network)
    filled.compiled = captured(filled)
    for model in (plain, filled):
        logits(model, [[5, 6, 7], [8] * 10], more=3)
    for module, layer in filled.cache.layers.items():
        other = plain.cache.layers[module]
        assert not other.keys[:BLOCK].any()
        assert torch.allclose(layer.keys[BLOCK:], other.keys[BLOCK:], atol=1e-5)
        assert torch.allclose(layer.values[BLOCK:], other.values[BLOCK:], atol=1e-5)


def test_recording_touches_no_sequence(network: Any) -> None:
    model = over_cache(network)
    logits(model, [[1, 2, 3]])
    before = [layer.keys[BLOCK:].clone() for layer in model.cache.layers.values()]
    captured(model).record()
    for layer, kept in zip(model.cache.layers.values(), before, strict=True):
        assert torch.equal(layer.keys[BLOCK:], kept)


def test_the_largest_bucket_is_recorded_first_and_each_once(network: Any) -> None:
    recorder, model = Recorder(), over_cache(network)
    step = model.compiled = captured(model, recorder)
    step.record()
    logits(model, [[1] * 6])
    assert [len(output) for output in recorder.outputs] == [48, 8, 4, 1]


def test_what_a_step_gives_outlives_the_next(network: Any) -> None:
    model = over_cache(network)
    model.compiled = captured(model)
    first, second = sequences([[1, 2], [3, 4]])
    mine = model.forward([Slice(first, 2)])
    kept = mine.clone()
    model.forward([Slice(second, 2)])
    assert torch.equal(mine, kept)


@pytest.mark.parametrize(
    ("counts", "taken"),
    [([1], True), ([MOST_OF_ONE, 16], True), ([MOST_OF_ONE, 17], False), ([MOST_OF_ONE + 1], False)],
)
def test_long_steps_and_long_pieces_are_left_to_the_model(
    network: Any, counts: list[int], taken: bool
) -> None:
    asked = []

    class Watched(CapturedStep):
        def takes(self, batch: Batch) -> bool:
            asked.append(super().takes(batch))
            return asked[-1]

    model = over_cache(network)
    model.compiled = Watched(model, Recorder(), longest=128, buckets=BUCKETS)
    logits(model, [[1] * count for count in counts], more=1)
    assert asked == [taken]


def test_sequences_beyond_the_longest_are_left_to_the_model(network: Any) -> None:
    model = over_cache(network)
    step = CapturedStep(model, Recorder(), longest=2 * BLOCK, buckets=BUCKETS)
    model.compiled = step
    logits(model, [[1] * (2 * BLOCK)], more=3)
    assert [*step._recordings] == [8]


def checked(network: Any, capture: Callable[[], Capture], *, required: bool = False) -> PagedModel:
    network.set_attn_implementation("eager")
    check = SelfCheck(network)
    model, small = over_cache(network), over_cache(network, blocks=-(-sum(CHUNKS) // BLOCK) + 1)
    capture_steps(
        model,
        small=small,
        verify=lambda: check.verify(small, block_size=BLOCK),
        capture=capture,
        longest=128,
        required=required,
    )
    assert small.compiled is None
    return model


def test_steps_are_captured_once_the_check_has_passed_with_narrow_windows(
    network: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        model = checked(network, Recorder)
    assert isinstance(model.compiled, CapturedStep)
    assert "CUDA graphs" in caplog.text
    assert all(torch.isfinite(each).all() for each in logits(model, [[1, 2, 3]]))


def test_a_model_that_cannot_be_captured_runs_as_it_is(
    network: Any, caplog: pytest.LogCaptureFixture
) -> None:
    assert checked(network, Refusing).compiled is None
    assert "steps are not captured: " in caplog.text
    assert "not permitted" in caplog.text
    with pytest.raises(ValueError, match="SHARD_FORWARD is captured, but"):
        checked(network, Refusing, required=True)


class Frozen:
    """Records, but plays the same result again and again."""

    def __call__(self, function: Callable[[], Tensor]) -> Callable[[], Tensor]:
        output = function()
        return lambda: output


def test_recordings_that_are_wrong_are_found_out(network: Any, caplog: pytest.LogCaptureFixture) -> None:
    assert checked(network, Frozen).compiled is None
    assert "its outputs differ" in caplog.text


def test_nothing_is_captured_on_a_cpu(network: Any) -> None:
    network.set_attn_implementation("eager")
    runner = choose_runner(network, block_size=BLOCK, room=lambda footprint: 64)
    assert isinstance(runner.model, PagedModel)
    assert runner.model.compiled is None
    assert runner.model.attends is PagedAttention
    with pytest.raises(ValueError, match="SHARD_FORWARD is captured, but the model is not on a CUDA GPU"):
        choose_runner(network, block_size=BLOCK, room=lambda footprint: 64, forward="captured")
