"""Several ranks answer as one does, and none outlives the others: real processes, gloo, float32."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Any

import grpc
import psutil
import pytest
from transformers import LlamaConfig, MambaConfig, Qwen3_5TextConfig

from protos import generation_pb2, generation_pb2_grpc
from protos.channel import open_channel
from shard.parallel import RankError, require_divisible

PROMPTS = ["Hello", "x", "What is the capital of France?", "a much longer prompt " * 250]
SIZES: dict[str, Any] = {
    "vocab_size": 257,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 8192,
    "initializer_range": 0.2,
    "bos_token_id": None,
    "eos_token_id": None,
}
LLAMA = LlamaConfig(**SIZES, num_hidden_layers=2)
HYBRID = Qwen3_5TextConfig(
    **SIZES,
    num_hidden_layers=4,
    linear_num_key_heads=2,
    linear_num_value_heads=4,
    linear_key_head_dim=8,
    linear_value_head_dim=8,
)
EXACT = {
    "SHARD_DTYPE": "float32",
    "SHARD_FORWARD": "plain",
    "SHARD_CACHE_TOKENS": "8192",
    "SHARD_MAX_BATCH_TOKENS": "6000",
}


def stub(channel: grpc.aio.Channel) -> Any:
    return generation_pb2_grpc.GenerationServiceStub(channel)


def request(prompt: str, *, tokens: int) -> generation_pb2.GenerateRequest:
    stopping = generation_pb2.Stopping(max_new_tokens=tokens)
    return generation_pb2.GenerateRequest(inputs=prompt, stopping=stopping)


async def info(channel: grpc.aio.Channel) -> generation_pb2.InfoReply:
    reply: generation_pb2.InfoReply = await stub(channel).Info(
        generation_pb2.InfoRequest(), wait_for_ready=True, timeout=200
    )
    return reply


async def answers(channel: grpc.aio.Channel, prompts: list[str], *, tokens: int) -> list[list[int]]:
    """The tokens of the answers to all prompts at once."""

    async def answer(prompt: str) -> list[int]:
        return [event.token.id async for event in stub(channel).Generate(request(prompt, tokens=tokens))]

    return await asyncio.gather(*map(answer, prompts))


def followers(process: asyncio.subprocess.Process) -> list[psutil.Process]:
    return psutil.Process(process.pid).children()


def left(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Those that do not end within ten seconds."""
    return psutil.wait_procs(processes, timeout=10)[1]


@pytest.mark.parametrize(
    ("config", "bytes_a_token"), [(LLAMA, 2 * 2 * 16 * 4), (HYBRID, 1 * 2 * 16 * 4)], ids=["paged", "plain"]
)
async def test_two_ranks_answer_as_one_does_with_half_the_cache_each(
    config: Any, bytes_a_token: int, tmp_path: Path, written: Any, started: Any, port: int
) -> None:
    model = written(tmp_path / "tiny", config)
    given = []
    for ranks in ("1", "2"):
        async with (
            started(model, port=port, SHARD_NUM_SHARD=ranks, **EXACT) as process,
            open_channel(f"127.0.0.1:{port}") as channel,
        ):
            assert (await info(channel)).ranks == int(ranks)
            given.append(await answers(channel, PROMPTS, tokens=20))
            others = followers(process)
            assert len(others) == int(ranks) - 1
            process.send_signal(signal.SIGTERM)
            _, printed = await asyncio.wait_for(process.communicate(), 60)
            assert process.returncode == 0
            assert f"of {bytes_a_token // int(ranks)} bytes each" in printed.decode()
            assert not left(others)
    assert given[0] == given[1]
    assert all(given[0])


async def test_three_ranks_of_smollm2_answer_as_one_does(started: Any, port: int) -> None:
    given = []
    for ranks in ("1", "3"):
        settings = EXACT | {"SHARD_NUM_SHARD": ranks, "SHARD_MAX_BATCH_TOKENS": "64"}
        async with started(None, port=port, **settings), open_channel(f"127.0.0.1:{port}") as channel:
            await info(channel)
            given.append(await answers(channel, PROMPTS[:3], tokens=8))
    assert given[0] == given[1]


async def test_a_follower_that_is_killed_ends_the_shard_with_an_error_and_leaves_nothing(
    tmp_path: Path, written: Any, started: Any, port: int, failure: Any
) -> None:
    model = written(tmp_path / "tiny-llama", LLAMA)
    async with (
        started(model, port=port, SHARD_NUM_SHARD="2", **EXACT) as process,
        open_channel(f"127.0.0.1:{port}") as channel,
    ):
        await info(channel)
        call = stub(channel).Generate(request("Hello", tokens=8000))
        await call.read()
        others = followers(process)
        others[0].kill()
        _, errors = await asyncio.wait_for(process.communicate(), 10)
        code, _ = await failure(call)
    assert code in (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNAVAILABLE)
    assert process.returncode == 1
    assert errors.decode().splitlines()[-1] == "shard: rank 1 of 2 was killed by SIGKILL"
    assert not left(others)


async def test_an_idle_shard_notices_a_follower_that_is_killed(
    tmp_path: Path, written: Any, started: Any, port: int
) -> None:
    model = written(tmp_path / "tiny-llama", LLAMA)
    async with (
        started(model, port=port, SHARD_NUM_SHARD="2", **EXACT) as process,
        open_channel(f"127.0.0.1:{port}") as channel,
    ):
        await info(channel)
        followers(process)[0].kill()
        assert await asyncio.wait_for(process.wait(), 10) == 1


async def test_a_leader_that_is_killed_leaves_no_follower(
    tmp_path: Path, written: Any, started: Any, port: int
) -> None:
    model = written(tmp_path / "tiny-llama", LLAMA)
    async with (
        started(model, port=port, SHARD_NUM_SHARD="2", **EXACT) as process,
        open_channel(f"127.0.0.1:{port}") as channel,
    ):
        await info(channel)
        others = followers(process)
        process.kill()
        assert not left(others)


async def test_a_model_whose_heads_do_not_divide_is_refused_at_start(
    tmp_path: Path, written: Any, started: Any
) -> None:
    async with started(written(tmp_path / "tiny-llama", LLAMA), SHARD_NUM_SHARD="3", **EXACT) as process:
        _, errors = await asyncio.wait_for(process.communicate(), 120)
    assert process.returncode == 1
    line = errors.decode().splitlines()[-1]
    assert line.endswith(
        "cannot be split over 3 ranks: its 4 attention heads and 2 key-value heads do not divide by 3"
    )


def test_a_model_without_a_plan_for_ranks_is_refused() -> None:
    with pytest.raises(RankError, match=r"m \(model type mamba\) cannot be split: it runs on 1 rank only"):
        require_divisible(MambaConfig(), name="m", ranks=2)


def test_a_model_whose_heads_divide_is_not_refused() -> None:
    require_divisible(LLAMA, name="m", ranks=2)
