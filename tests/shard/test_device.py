"""The cache takes a share of the memory that is free, and the number format is the fast one."""

from __future__ import annotations

import psutil
import pytest
import torch

from shard.device import CPU_CACHE_BYTES, cache_bytes, choose_device, choose_dtype

CPU = torch.device("cpu")


def test_the_cache_takes_the_share_of_free_memory_that_it_is_told() -> None:
    half, tenth = cache_bytes(CPU, share=0.5), cache_bytes(CPU, share=0.1)
    assert 0 < tenth < half < psutil.virtual_memory().total
    assert tenth * 5 == pytest.approx(half, rel=0.5)  # others take and give back memory in between


def test_untold_it_leaves_most_of_the_machine_to_others() -> None:
    assert 0 < cache_bytes(CPU, share=None) <= CPU_CACHE_BYTES


def test_a_gpu_that_is_asked_for_but_not_there_is_refused() -> None:
    if torch.cuda.is_available():
        assert choose_device("cuda").type == "cuda"
        return
    assert choose_device("auto") == choose_device("cpu") == CPU
    with pytest.raises(ValueError, match="SHARD_DEVICE is cuda"):
        choose_device("cuda")


def test_weights_have_the_type_that_is_asked_for() -> None:
    assert choose_dtype("float16", CPU) is torch.float16
    assert choose_dtype("auto", CPU) in (torch.bfloat16, torch.float32)
