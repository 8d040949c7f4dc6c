"""Rows of a batch with different LoRA adapters get what models with these merged in would give them."""

from __future__ import annotations

import copy
import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import AutoModelForCausalLM, LlamaConfig, MixtralConfig

from shard.adapter import AdapterError, parse_folders, read_adapter
from shard.adapters import Adapters
from shard.blocks import Blocks
from shard.kv_cache import KVCache
from shard.model import PagedModel, probe
from shard.scheduler import Scheduler
from shard.sequence import Sequence

NEW = 12
CPU = torch.device("cpu")
PROMPT = list(range(20, 43))
LINEARS = [
    *(f"self_attn.{name}" for name in ("q_proj", "k_proj", "v_proj", "o_proj")),
    *(f"mlp.{name}" for name in ("gate_proj", "up_proj", "down_proj")),
]
SIZES: dict[str, Any] = {
    "vocab_size": 128,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "initializer_range": 0.4,  # wide, so that no two logits are near each other
    "eos_token_id": None,
}


@pytest.fixture
def network() -> Any:
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(LlamaConfig(**SIZES)).eval()


def write(folder: Path, tensors: dict[str, Tensor], **options: Any) -> Path:
    folder.mkdir()
    given = {"peft_type": "LORA", "r": 4, "lora_alpha": 8, "bias": "none", "use_dora": False, **options}
    (folder / "adapter_config.json").write_text(json.dumps(given))
    save_file(tensors, folder / "adapter_model.safetensors")
    return folder


def random_tensors(
    network: Any, *, seed: int, linears: list[str] = LINEARS, rank: int = 4
) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for layer in range(2):
        for linear in linears:
            module = f"model.layers.{layer}.{linear}"
            weight = network.get_submodule(module).weight
            for part, shape in (("A", (rank, weight.shape[1])), ("B", (weight.shape[0], rank))):
                key = f"base_model.model.{module}.lora_{part}.weight"
                tensors[key] = torch.randn(shape, generator=generator) * 0.2
    return tensors


def merged(network: Any, tensors: dict[str, Tensor], scale: float) -> Any:
    dense = copy.deepcopy(network)
    for key, down in tensors.items():
        if ".lora_A." in key:
            weight = dense.get_submodule(key.removeprefix("base_model.model.").split(".lora_")[0]).weight
            weight.data += scale * tensors[key.replace("lora_A", "lora_B")] @ down
    return dense


def generated(network: Any, prompt: list[int]) -> list[int]:
    tokens = network.generate(
        torch.tensor([prompt]),
        attention_mask=torch.ones(1, len(prompt), dtype=torch.int64),
        do_sample=False,
        max_new_tokens=NEW,
        pad_token_id=0,
    )
    return [int(token_id) for token_id in tokens[0, len(prompt) :]]


def answers(network: Any, adapters: Adapters, wanted: list[tuple[list[int], str | None]]) -> list[list[int]]:
    """The greedy answers to prompts, each with its adapter, all in one batch read in small steps."""
    cache = KVCache(probe(network), blocks=65, block_size=4, device=CPU)
    model = PagedModel(network, cache)
    model.adapt(adapters)
    scheduler = Scheduler(Blocks(count=65, size=4), max_running=8, max_waiting=9, token_budget=14)
    sequences = [Sequence(prompt, max_new_tokens=NEW, adapter=adapter) for prompt, adapter in wanted]
    for sequence in sequences:
        scheduler.add(sequence)
    while slices := scheduler.plan():
        sampled = model.step(slices, dict)
        scheduler.settle(slices)
        for sequence, (chosen,) in sampled.items():
            sequence.append(chosen.token_id)
            if sequence.generated == NEW:
                scheduler.remove(sequence)
    return [sequence.tokens[sequence.input_length :].tolist() for sequence in sequences]


def loaded(network: Any, **folders: Path) -> Adapters:
    return Adapters(
        network,
        [read_adapter(name, folder, dtype=torch.float32, device=CPU) for name, folder in folders.items()],
    )


def test_every_row_of_a_mixed_batch_has_its_own_adapter(network: Any, tmp_path: Path) -> None:
    everywhere = random_tensors(network, seed=1)
    queries = random_tensors(network, seed=2, linears=["self_attn.q_proj", "self_attn.v_proj"], rank=2)
    expected = {
        None: generated(network, PROMPT),
        "everywhere": generated(merged(network, everywhere, 8 / 4), PROMPT),
        "queries": generated(merged(network, queries, 3 / math.sqrt(2)), PROMPT),
    }
    assert len({tuple(answer) for answer in expected.values()}) == 3
    adapters = loaded(
        network,
        everywhere=write(tmp_path / "a", everywhere),
        queries=write(tmp_path / "b", queries, r=2, lora_alpha=3, use_rslora=True),
    )
    # The same prompt each time, so that a prefix shared between adapters would show; twice with one adapter.
    order = [None, "everywhere", "queries", "everywhere", None, "queries"]
    assert answers(network, adapters, [(PROMPT, name) for name in order]) == [
        expected[name] for name in order
    ]
    assert answers(network, adapters, [(PROMPT, "queries")] * 2) == [expected["queries"]] * 2


def test_ranks_and_alphas_of_single_modules_are_kept(network: Any, tmp_path: Path) -> None:
    tensors = random_tensors(network, seed=1, linears=["mlp.up_proj"])
    tensors |= random_tensors(network, seed=2, linears=["mlp.down_proj"], rank=2)
    one, other = ({key: each for key, each in tensors.items() if name in key} for name in ("up", "down"))
    dense = merged(merged(network, one, 8 / 4), other, 6 / 2)
    folder = write(
        tmp_path / "a", tensors, rank_pattern={"down_proj": 2}, alpha_pattern={r"mlp\.down_proj": 6}
    )
    adapters = loaded(network, some=folder)
    assert answers(network, adapters, [(PROMPT, "some")]) == [generated(dense, PROMPT)]


def test_a_model_without_adapters_has_no_hooks(network: Any) -> None:
    adapters = Adapters(network)
    assert not adapters.names
    assert not any(module._forward_hooks for module in network.modules())


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"use_dora": True}, "`use_dora` (True)"),
        ({"bias": "all"}, "`bias` ('all')"),
        ({"modules_to_save": ["lm_head"]}, "`modules_to_save`"),
        ({"something_new": {"a": 1}}, "`something_new`"),
        ({"init_lora_weights": "pissa"}, "`init_lora_weights` 'pissa'"),
        ({"peft_type": "LOHA"}, "LORA"),
        ({"r": 8}, "not of rank 8"),
        ({"lora_alpha": "much"}, "lora_alpha"),
        ({"rank_pattern": {"(": 2}}, "rank_pattern"),
    ],
)
def test_what_an_adapter_does_besides_is_refused_by_name(
    network: Any, tmp_path: Path, options: dict[str, Any], named: str
) -> None:
    folder = write(tmp_path / "a", random_tensors(network, seed=1), **options)
    with pytest.raises(AdapterError, match="'poems'") as error:
        loaded(network, poems=folder)
    assert named in str(error.value)


@pytest.mark.parametrize(
    ("module", "named"),
    [
        ("model.layers.9.mlp.up_proj", "no linear layer"),
        ("model.embed_tokens", "no linear layer"),
        ("lm_head", "the logits"),
        ("model.layers.0.mlp.up_proj", "which is (64, 32)"),
    ],
)
def test_layers_that_cannot_have_an_adapter_are_refused_by_name(
    network: Any, tmp_path: Path, module: str, named: str
) -> None:
    key = f"base_model.model.{module}.lora_"
    folder = write(tmp_path / "a", {f"{key}A.weight": torch.ones(4, 8), f"{key}B.weight": torch.ones(8, 4)})
    with pytest.raises(AdapterError, match=module) as error:
        loaded(network, poems=folder)
    assert named in str(error.value)


def test_a_layer_that_not_every_token_goes_through_is_refused(tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = MixtralConfig(**SIZES, num_local_experts=2, num_experts_per_tok=1)
    network = AutoModelForCausalLM.from_config(config).eval()
    network.add_module("unused", torch.nn.Linear(4, 4))
    key = "base_model.model.unused.lora_"
    folder = write(tmp_path / "a", {f"{key}A.weight": torch.ones(4, 4), f"{key}B.weight": torch.ones(4, 4)})
    with pytest.raises(AdapterError, match="not every token"):
        loaded(network, poems=folder)


@pytest.mark.parametrize(
    "key", ["base_model.model.lm_head.weight", "base_model.model.a.lora_magnitude_vector"]
)
def test_tensors_that_are_no_lora_are_refused_by_name(network: Any, tmp_path: Path, key: str) -> None:
    folder = write(tmp_path / "a", {key: torch.ones(2, 2)})
    with pytest.raises(AdapterError, match=key):
        loaded(network, poems=folder)


def test_a_folder_without_an_adapter_is_refused(network: Any, tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match=r"'poems'.*adapter_config\.json"):
        loaded(network, poems=tmp_path)


def test_adapters_are_named_with_their_folders() -> None:
    assert parse_folders(None) == {}
    assert parse_folders("a=/x/a, b=c=d") == {"a": Path("/x/a"), "b": Path("c=d")}


@pytest.mark.parametrize("setting", ["owner/adapter", "a=", "=a", "a=b,a=c"])
def test_adapters_without_a_name_or_folder_or_with_a_name_twice_are_refused(setting: str) -> None:
    with pytest.raises(AdapterError):
        parse_folders(setting)
