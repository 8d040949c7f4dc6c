"""Attention is computed by the fastest backend that can; one wanted by name is refused if it cannot."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, Gemma2Config, GptOssConfig, LlamaConfig, MambaConfig

from shard.attention import PagedAttention, Probe, Variant
from shard.backend import (
    BACKENDS,
    Attends,
    Backend,
    Needs,
    choose_backend,
    flash_obstacles,
    triton_obstacles,
    varlen_obstacles,
)
from shard.flash_attention import FlashKernel, takes_sinks
from shard.kernel_attention import Spans
from shard.model import probe
from shard.runner import choose_runner
from shard.triton_attention import TritonKernel
from shard.varlen_attention import VarlenKernel

SIZES: dict[str, Any] = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
}
CPU = torch.device("cpu")
HOPPER = Needs(
    capability=(9, 0),
    block_size=256,
    widths=frozenset({(128, 128)}),
    dtypes=frozenset({torch.bfloat16}),
    softcapped=False,
    sunk=False,
)


class FlashAttention3:
    """Stands for the package: its function, as our own kernels compute it."""

    def __call__(
        self,
        q: Tensor,
        k_cache: Tensor,
        v_cache: Tensor,
        *,
        cache_seqlens: Tensor,
        page_table: Tensor,
        cu_seqlens_q: Tensor,
        max_seqlen_q: int,
        softmax_scale: float,
        causal: bool,
        window_size: tuple[int, int],
        sinks: Tensor | None = None,
    ) -> Tensor:
        assert causal
        left, right = window_size
        assert (left < 0) == (right < 0)
        spans = Spans(cu_seqlens_q, cache_seqlens, page_table, max_seqlen_q, page_table.shape[1] * 4)
        variant = Variant(scale=softmax_scale, window=left + 1 or None, softcap=None, sinks=sinks)
        return TritonKernel(processors=1)(q, k_cache, v_cache, spans=spans, variant=variant)


def varlen(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    cu_seq_q: Tensor,
    cu_seq_k: Tensor | None,
    max_q: int,
    max_k: int,
    *,
    scale: float,
    window_size: tuple[int, int],
    enable_gqa: bool,
    seqused_k: Tensor,
    block_table: Tensor,
) -> Tensor:
    """Stands for torch's function, as our own kernels compute it."""
    assert cu_seq_k is None
    assert enable_gqa == (query.shape[1] != key.shape[2])
    left, right = window_size
    assert right == 0, "causal"
    spans = Spans(cu_seq_q, seqused_k, block_table, max_q, max_k)
    variant = Variant(scale=scale, window=left + 1 or None, softcap=None, sinks=None)
    return TritonKernel(processors=1)(query, key, value, spans=spans, variant=variant)


@pytest.mark.parametrize("kernel", [FlashKernel(FlashAttention3()), VarlenKernel(varlen)])
@pytest.mark.parametrize("window", [None, 1, 5])
def test_other_libraries_are_called_as_they_want(kernel: Any, window: int | None) -> None:
    generator = torch.Generator().manual_seed(0)
    query = torch.randn(7, 4, 16, generator=generator)
    keys, values = torch.randn(2, 9, 4, 2, 16, generator=generator)
    spans = Spans(
        starts=torch.tensor([0, 1, 7], dtype=torch.int32),
        lengths=torch.tensor([9, 11], dtype=torch.int32),
        tables=torch.tensor([[3, 1, 8], [2, 7, 5]], dtype=torch.int32),
        longest_slice=6,
        longest=11,
    )
    variant = Variant(scale=0.3, window=window, softcap=None, sinks=None)
    expected = TritonKernel(processors=1)(query, keys, values, spans=spans, variant=variant)
    assert torch.equal(kernel(query, keys, values, spans=spans, variant=variant), expected)


def test_sinks_go_to_a_function_that_knows_them() -> None:
    assert takes_sinks(FlashAttention3())
    assert not takes_sinks(varlen)
    sinks = torch.tensor([0.5, -1.0])
    query, keys, values = torch.ones(1, 2, 16), torch.ones(2, 4, 1, 16), torch.ones(2, 4, 1, 16)
    numbers = torch.tensor([[0, 1]], dtype=torch.int32)
    spans = Spans(numbers[0], numbers[0, 1:], numbers[:, 1:], 1, 1)
    found = FlashKernel(FlashAttention3())(
        query, keys, values, spans=spans, variant=Variant(scale=0.0, window=None, softcap=None, sinks=sinks)
    )
    assert torch.allclose(found[0, :, 0], 1 / (1 + sinks.exp()))


def test_needs_are_what_the_layers_of_a_model_do() -> None:
    def needs(config: Any) -> Needs:
        network = AutoModelForCausalLM.from_config(config, dtype=torch.float16).eval()
        found = Probe()
        probe(network, found)
        return Needs.of(found, device=CPU, block_size=16)

    llama = needs(LlamaConfig(**SIZES))
    assert llama == Needs(
        capability=None,
        block_size=16,
        widths=frozenset({(8, 8)}),
        dtypes=frozenset({torch.float16}),
        softcapped=False,
        sunk=False,
    )
    assert needs(Gemma2Config(**SIZES)).softcapped
    assert needs(GptOssConfig(**SIZES, num_local_experts=2, num_experts_per_tok=1)).sunk


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"capability": None}, "not on a CUDA GPU"),
        ({"capability": (8, 0)}, "Hopper"),
        ({"dtypes": frozenset({torch.float32})}, "float16 and bfloat16 only"),
        ({"softcapped": True}, "caps its attention logits"),
        ({"widths": frozenset({(128, 128), (192, 128)})}, "differ in width"),
        ({"widths": frozenset({(80, 80)})}, "heads are 80 wide"),
    ],
)
def test_flash_attention_says_what_it_cannot(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, changed: dict[str, Any], why: str
) -> None:
    assert flash_obstacles(HOPPER) == ["the package flash_attn_interface is not installed"]
    (tmp_path / "flash_attn_interface.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    assert flash_obstacles(HOPPER) == []
    (found,) = flash_obstacles(replace(HOPPER, **changed))
    assert why in found


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"capability": None}, "not on a CUDA GPU"),
        ({"capability": (7, 5)}, "Ampere"),
        ({"block_size": 16}, "SHARD_BLOCK_SIZE is 16, and must be a multiple of 256"),
        ({"widths": frozenset({(576, 576)})}, "heads are 576 wide"),
        ({"sunk": True}, "sinks"),
        ({"softcapped": True}, "caps its attention logits"),
    ],
)
def test_varlen_says_what_it_cannot(changed: dict[str, Any], why: str) -> None:
    assert varlen_obstacles(HOPPER) == []
    (found,) = varlen_obstacles(replace(HOPPER, **changed))
    assert why in found


def test_triton_can_do_anything_on_a_gpu() -> None:
    assert triton_obstacles(replace(HOPPER, softcapped=True, sunk=True, block_size=3)) == []
    assert triton_obstacles(replace(HOPPER, capability=None)) == ["the model is not on a CUDA GPU"]


def failing() -> Any:
    raise OSError("no such library")


GOOD = Backend(title="good", obstacles=lambda needs: [], load=lambda: VarlenKernel(varlen))
UNABLE = replace(GOOD, title="unable", obstacles=lambda needs: ["it is too small", "and too old"])
BROKEN = replace(GOOD, title="broken", load=failing)


def right(attends: Attends) -> None:
    """Nothing is wrong with it."""


def test_the_first_that_can_and_is_right_is_chosen(caplog: pytest.LogCaptureFixture) -> None:
    backends = {"flash": UNABLE, "varlen": BROKEN, "triton": GOOD}
    with caplog.at_level(logging.INFO):
        chosen = choose_backend("auto", HOPPER, verify=right, backends=backends)
    assert (chosen.title, chosen.in_place) == ("good", True)
    assert "not computed by unable: it is too small; and too old" in caplog.text
    assert "not computed by broken: no such library" in caplog.text


def test_what_is_wrong_is_left_for_the_reference(caplog: pytest.LogCaptureFixture) -> None:
    def wrong(attends: Attends) -> None:
        raise ArithmeticError("its outputs differ")

    with caplog.at_level(logging.INFO):
        chosen = choose_backend("auto", HOPPER, verify=wrong, backends={"triton": GOOD})
    assert chosen.attends is PagedAttention
    assert "not computed by good: its outputs differ" in caplog.text
    with pytest.raises(ValueError, match="SHARD_ATTENTION is triton, but its outputs differ"):
        choose_backend("triton", HOPPER, verify=wrong, backends={"triton": GOOD})


def test_a_name_is_obeyed_or_refused_with_the_reason() -> None:
    backends = {"flash": GOOD, "varlen": UNABLE, "triton": BROKEN}
    assert choose_backend("flash", HOPPER, verify=right, backends=backends).title == "good"
    assert choose_backend("torch", HOPPER, verify=right, backends=backends).title == "torch"
    with pytest.raises(ValueError, match="SHARD_ATTENTION is varlen, but it is too small; and too old"):
        choose_backend("varlen", HOPPER, verify=right, backends=backends)
    with pytest.raises(ValueError, match="SHARD_ATTENTION is triton, but no such library"):
        choose_backend("triton", HOPPER, verify=right, backends=backends)


@pytest.mark.parametrize("attention", [*BACKENDS])
def test_a_model_on_a_cpu_is_refused_what_needs_a_gpu(attention: Any) -> None:
    network: Any = AutoModelForCausalLM.from_config(LlamaConfig(**SIZES)).eval()
    with pytest.raises(ValueError, match=f"SHARD_ATTENTION is {attention}, but the model is not on a CUDA"):
        choose_runner(network, block_size=4, room=lambda footprint: 64, attention=attention)


@pytest.mark.parametrize(
    ("setting", "wanted"),
    [
        ("attention", "triton"),
        ("attention", "torch"),
        ("forward", "packed"),
        ("forward", "compiled"),
    ],
)
def test_a_model_without_pages_is_refused_what_needs_them(setting: str, wanted: str) -> None:
    config = MambaConfig(vocab_size=64, hidden_size=32, num_hidden_layers=1, state_size=4)
    network: Any = AutoModelForCausalLM.from_config(config).eval()
    named: Any = {setting: wanted}
    why = f"SHARD_{setting.upper()} is {wanted}, but over the paged cache, it has no"
    with pytest.raises(ValueError, match=why):
        choose_runner(network, block_size=4, room=lambda footprint: 64, **named)
