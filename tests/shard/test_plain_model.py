"""The plain runner gives the tokens of `model.generate`, however the work is cut and mixed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    BambaConfig,
    BertConfig,
    BloomConfig,
    FalconH1Config,
    Gemma2Config,
    GraniteMoeHybridConfig,
    JambaConfig,
    Lfm2Config,
    Llama4TextConfig,
    LlamaConfig,
    Mamba2Config,
    MambaConfig,
    PreTrainedConfig,
    Qwen3_5TextConfig,
    Qwen3NextConfig,
    RwkvConfig,
)

from shard.answer import Sampled
from shard.blocks import Blocks
from shard.kv_cache import Footprint, KVCache
from shard.model import PagedModel, UnsupportedModelError, probe
from shard.plain_model import PlainModel
from shard.runner import Runner, choose_runner
from shard.scheduler import Scheduler
from shard.self_check import SelfCheck
from shard.sequence import Sequence

NEW = 16
SIZES: dict[str, Any] = {
    "vocab_size": 128,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 256,
    "initializer_range": 0.2,  # wide, so that no two logits are near each other
    "bos_token_id": 1,
    "eos_token_id": None,
    "pad_token_id": 0,
}
LINEAR: dict[str, Any] = {
    **SIZES,
    "num_hidden_layers": 4,
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 4,
    "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
}
MAMBA: dict[str, Any] = {
    **SIZES,
    "mamba_n_heads": 8,
    "mamba_d_head": 8,
    "mamba_n_groups": 1,
    "mamba_d_state": 8,
}
CONFIGS: dict[str, Callable[[], PreTrainedConfig]] = {
    "qwen3_next": lambda: Qwen3NextConfig(
        **LINEAR,
        num_experts=4,
        num_experts_per_tok=2,
        moe_intermediate_size=16,
        shared_expert_intermediate_size=16,
    ),
    "qwen3_5_text": lambda: Qwen3_5TextConfig(**LINEAR),
    "mamba": lambda: MambaConfig(**SIZES, state_size=4),
    "mamba2": lambda: Mamba2Config(**SIZES | {"num_heads": 8, "n_groups": 1, "state_size": 4}),
    "falcon_h1": lambda: FalconH1Config(**MAMBA, mamba_d_ssm=64),
    "granitemoehybrid": lambda: GraniteMoeHybridConfig(
        **MAMBA, layer_types=["mamba", "attention"], num_local_experts=2, shared_intermediate_size=16
    ),
    "lfm2": lambda: Lfm2Config(**SIZES, layer_types=["conv", "full_attention"]),
    "jamba": lambda: JambaConfig(
        **SIZES,
        attn_layer_period=2,
        attn_layer_offset=1,
        expert_layer_period=2,
        expert_layer_offset=1,
        num_experts=2,
        mamba_d_state=4,
        mamba_dt_rank=4,
        use_mamba_kernels=False,
    ),
    "rwkv": lambda: RwkvConfig(**SIZES, attention_hidden_size=32),
    "bamba": lambda: BambaConfig(**MAMBA, attn_layer_indices=[1]),
    "bloom": lambda: BloomConfig(**SIZES, n_head=4, n_layer=2),
    "llama4_text": lambda: Llama4TextConfig(
        **SIZES, num_local_experts=2, intermediate_size_mlp=64, attention_chunk_size=16
    ),
}
PROMPTS = [[5, 6, 7], list(range(20, 61)), [9], list(range(20, 57)), list(range(100, 117))]


def network(config: PreTrainedConfig) -> Any:
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(config).eval()


def chosen(built: Any) -> Runner:
    return choose_runner(built, block_size=4, room=lambda _: 256)


@pytest.fixture(scope="module", params=CONFIGS)
def runner(request: pytest.FixtureRequest) -> tuple[Runner, list[list[int]]]:
    """A model as it is served, and the answers that it gives to the prompts, one by one."""
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
    return chosen(built), answers


class Run:
    """Runs prompts together to their ends."""

    def __init__(self, runner: Runner, *, blocks: int, budget: int) -> None:
        self.model = runner.model
        self.blocks = Blocks(count=blocks + 1, size=4, shared=runner.paged)
        self.scheduler = Scheduler(self.blocks, max_running=8, max_waiting=8, token_budget=budget)
        self.preempted = False

    def answers(self, prompts: list[list[int]], *, leaving: int | None = None) -> list[list[int]]:
        """The answers; the sequence numbered `leaving` leaves after five tokens."""
        sequences = [Sequence(prompt, max_new_tokens=NEW) for prompt in prompts]
        for sequence in sequences:
            self.scheduler.add(sequence)
        while slices := self.scheduler.plan():
            self.preempted |= any(
                each.generated and not each.blocks for each in sequences if each.generated < NEW
            )
            sampled = self.model.step(slices, dict)
            self.scheduler.settle(slices)
            for sequence, (chosen,) in sampled.items():
                self.append(sequence, chosen)
            if leaving is not None and sequences[leaving].generated == 5:
                self.scheduler.remove(sequences[leaving])
        return [sequence.tokens[sequence.input_length :].tolist() for sequence in sequences]

    def append(self, sequence: Sequence, chosen: Sampled) -> None:
        sequence.tokens.append(chosen.token_id)
        if sequence.generated == NEW:
            self.scheduler.remove(sequence)


def test_what_the_paged_cache_cannot_serve_is_run_plainly(runner: tuple[Runner, list[list[int]]]) -> None:
    assert isinstance(runner[0].model, PlainModel)
    assert not runner[0].paged


@pytest.mark.parametrize("budget", [5, 256])
def test_a_mixed_batch_gives_the_tokens_of_generate(
    runner: tuple[Runner, list[list[int]]], budget: int
) -> None:
    model, expected = runner
    run = Run(model, blocks=64, budget=budget)
    assert run.answers(PROMPTS) == expected
    assert run.answers([PROMPTS[1]]) == [expected[1]], "and once more, with nothing left of before"
    assert run.blocks.available == 64


def test_preempted_sequences_give_the_tokens_of_generate(runner: tuple[Runner, list[list[int]]]) -> None:
    model, expected = runner
    run = Run(model, blocks=28, budget=64)
    assert run.answers(PROMPTS) == expected
    assert run.preempted


def test_a_sequence_that_leaves_changes_no_other_and_leaves_no_cache(
    runner: tuple[Runner, list[list[int]]],
) -> None:
    model, expected = runner
    run = Run(model, blocks=64, budget=20)
    answers = run.answers(PROMPTS, leaving=1)
    assert len(answers[1]) == 5
    assert answers[1] == expected[1][:5]
    assert answers[:1] + answers[2:] == expected[:1] + expected[2:]
    run.answers([[1]])
    assert isinstance(model.model, PlainModel)
    assert len(model.model._memories) == 1


def test_a_model_without_recurrence_is_paged() -> None:
    runner = chosen(network(LlamaConfig(**SIZES)))
    assert runner.paged
    assert (runner.cache_tokens, runner.vocabulary_size, runner.attention) == (256, 128, "torch")


def test_what_caches_take_is_measured() -> None:
    llama = PlainModel(network(LlamaConfig(**SIZES)), continues=True, positioned=True)
    assert llama.footprint() == Footprint(per_token=2 * 2 * 2 * 8 * 4, per_sequence=0)
    mamba = PlainModel(network(CONFIGS["mamba"]()), continues=False, positioned=True).footprint()
    assert mamba.per_token == 0
    assert mamba.per_sequence >= 2 * 64 * 4 * 4


def test_a_model_that_forgets_on_continuation_is_found_out() -> None:
    built = network(CONFIGS["mamba"]())
    check = SelfCheck(built)
    with pytest.raises(UnsupportedModelError, match=r"MambaForCausalLM .*mamba.* outputs differ"):
        check.verify(PlainModel(built, continues=True, positioned=True), block_size=4)
    check.verify(PlainModel(built, continues=False, positioned=True), block_size=4)


def test_a_model_that_neither_serves_is_refused_by_name_with_both_reasons() -> None:
    config = BertConfig(**SIZES, is_decoder=False)
    with pytest.raises(UnsupportedModelError, match=r"BertLMHeadModel .*bert.*paged cache.*own for each"):
        chosen(network(config))


def test_a_model_whose_cache_stays_empty_is_refused_even_where_its_outputs_tell_little() -> None:
    config = BertConfig(**SIZES | {"initializer_range": 0.002}, is_decoder=False)
    with pytest.raises(UnsupportedModelError, match=r"BertLMHeadModel .* keeps nothing"):
        chosen(network(config).bfloat16())


def test_a_window_longer_than_the_check_is_checked_all_the_same() -> None:
    built = network(Gemma2Config(**SIZES, sliding_window=100))
    check = SelfCheck(built)
    cache = KVCache(probe(built), blocks=17, block_size=4, device=torch.device("cpu"))
    check.verify(PagedModel(built, cache), block_size=4)
    sliding = next(layer.self_attn for layer in built.model.layers if layer.self_attn.sliding_window)
    assert sliding.sliding_window == built.config.sliding_window == 100
    sliding.sliding_window = 8  # shorter than any window is made for the check
    with pytest.raises(UnsupportedModelError, match="outputs differ"):
        check.verify(PagedModel(built, cache), block_size=4)
