"""Paged attention gives the tokens of `model.generate`, however the work is cut and mixed."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from typing import Any

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    Gemma2Config,
    GptOssConfig,
    LlamaConfig,
    MambaConfig,
    PreTrainedConfig,
)

from shard.blocks import Blocks
from shard.kv_cache import KVCache
from shard.model import PagedModel, UnsupportedModelError, probe
from shard.scheduler import Scheduler
from shard.self_check import SelfCheck
from shard.sequence import Sequence, Slice

NEW = 24
SIZES: dict[str, Any] = {
    "vocab_size": 128,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 256,
    "initializer_range": 0.4,  # wide, so that no two logits are near each other
    "bos_token_id": 1,
    "eos_token_id": None,
    "pad_token_id": 0,
}
CONFIGS: dict[str, Callable[[], PreTrainedConfig]] = {
    "llama": lambda: LlamaConfig(**SIZES),
    "gemma2": lambda: Gemma2Config(
        **SIZES, sliding_window=8, attn_logit_softcapping=2.0, final_logit_softcapping=5.0
    ),
    "gpt_oss": lambda: GptOssConfig(**SIZES, sliding_window=8, num_local_experts=4, num_experts_per_tok=2),
}
PROMPTS = [[5, 6, 7], list(range(20, 61)), [9], list(range(20, 57)), list(range(100, 117))]


def network(config: PreTrainedConfig) -> Any:
    torch.manual_seed(0)
    built = AutoModelForCausalLM.from_config(config).eval()
    for name, parameter in built.named_parameters():
        if name.endswith("sinks"):
            torch.nn.init.normal_(parameter)
    return built


@pytest.fixture(scope="module", params=CONFIGS)
def model(request: pytest.FixtureRequest) -> tuple[Any, list[list[int]]]:
    """A model, and the answers that it gives to the prompts, one by one."""
    built = network(CONFIGS[request.param]())
    answers = []
    for prompt in PROMPTS:
        tokens = built.generate(
            torch.tensor([prompt]),
            attention_mask=torch.ones(1, len(prompt), dtype=torch.int64),
            do_sample=False,
            max_new_tokens=NEW,
        )
        answers.append(tokens[0, len(prompt) :].tolist())
    SelfCheck(built)  # must work before the model's attention is changed
    return built, answers


def paged(built: Any, *, blocks: int, block_size: int) -> PagedModel:
    cache = KVCache(probe(built), blocks=blocks + 1, block_size=block_size, device=torch.device("cpu"))
    return PagedModel(built, cache)


class Run:
    """Runs prompts together to their ends."""

    def __init__(self, built: Any, *, blocks: int, block_size: int, budget: int) -> None:
        self.model = paged(built, blocks=blocks, block_size=block_size)
        self.scheduler = Scheduler(
            Blocks(count=blocks + 1, size=block_size), max_running=8, max_waiting=8, token_budget=budget
        )
        self.preempted = False
        self.found = 0

    def answers(self, prompts: list[list[int]]) -> list[list[int]]:
        sequences = [Sequence(prompt, max_new_tokens=NEW) for prompt in prompts]
        for sequence in sequences:
            self.scheduler.add(sequence)
        while slices := self.scheduler.plan():
            self.preempted |= any(each.generated and not each.blocks for each in self.running(sequences))
            self.found = max(self.found, *(each.sequence.computed for each in slices))
            sampled = self.model.step(slices, dict)
            self.scheduler.settle(slices)
            for sequence, (chosen,) in sampled.items():
                sequence.append(chosen.token_id)
                if sequence.generated == NEW:
                    self.scheduler.remove(sequence)
        return [sequence.tokens[sequence.input_length :].tolist() for sequence in sequences]

    def running(self, sequences: list[Sequence]) -> list[Sequence]:
        return [each for each in sequences if each.generated < NEW]


@pytest.mark.parametrize("block_size", [4, 16])
@pytest.mark.parametrize("budget", [5, 256])
def test_a_mixed_batch_gives_the_tokens_of_generate(
    model: tuple[Any, list[list[int]]], block_size: int, budget: int
) -> None:
    built, expected = model
    run = Run(built, blocks=512 // block_size, block_size=block_size, budget=budget)
    assert run.answers(PROMPTS) == expected


def test_preempted_sequences_give_the_tokens_of_generate(model: tuple[Any, list[list[int]]]) -> None:
    built, expected = model
    run = Run(built, blocks=34, block_size=4, budget=64)
    assert run.answers(PROMPTS) == expected
    assert run.preempted


def test_a_prompt_found_in_the_cache_gives_the_tokens_of_generate(model: tuple[Any, list[list[int]]]) -> None:
    built, expected = model
    run = Run(built, blocks=128, block_size=4, budget=256)
    run.answers(PROMPTS)
    run.found = 0
    assert run.answers([PROMPTS[1]]) == [expected[1]]
    assert run.found >= 40


def test_slices_that_do_not_sample_have_no_logits() -> None:
    built = paged(network(CONFIGS["llama"]()), blocks=8, block_size=16)
    sequence = Sequence(range(20), max_new_tokens=1)
    sequence.blocks = array("i", [1, 2])
    assert built.forward([Slice(sequence, 10)]).shape == (0, 128)
    assert built.step([Slice(sequence, 10)], dict) == {}


@pytest.mark.parametrize("kind", CONFIGS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_self_check_passes_a_model_that_is_right(kind: str, dtype: torch.dtype) -> None:
    built = network(CONFIGS[kind]()).to(dtype)
    check = SelfCheck(built)
    check.verify(paged(built, blocks=16, block_size=16), block_size=16)
    assert check.vocabulary_size == 128


def test_the_self_check_refuses_a_model_that_is_wrong_by_name() -> None:
    built = network(CONFIGS["llama"]())
    check = SelfCheck(built)
    with torch.no_grad():
        built.model.layers[0].self_attn.q_proj.weight.mul_(-1)
    with pytest.raises(UnsupportedModelError, match=r"LlamaForCausalLM .*llama.* outputs differ"):
        check.verify(paged(built, blocks=16, block_size=16), block_size=16)


def test_a_recurrent_model_is_refused_by_name() -> None:
    config = MambaConfig(vocab_size=64, hidden_size=16, state_size=4, num_hidden_layers=1)
    with pytest.raises(UnsupportedModelError, match=r"MambaForCausalLM .*mamba"):
        probe(network(config))


def test_outside_of_a_step_the_model_still_attends_plainly() -> None:
    built = network(CONFIGS["llama"]())
    token_ids = torch.tensor([[5, 6, 7, 8]])
    with torch.inference_mode():
        plain = built(input_ids=token_ids).logits
        probe(built)
        again = built(input_ids=token_ids, use_cache=False).logits
    assert torch.allclose(plain, again, atol=1e-5)
