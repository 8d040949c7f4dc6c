"""Several ranks answer as one does, and none outlives the others: real processes, gloo, float32."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Iterable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import grpc
import psutil
import pytest
from transformers import LlamaConfig, MambaConfig, Qwen3_5TextConfig

from grammar_service.compiler import compile_grammar
from grammar_service.limits import Limits
from protos import generation_pb2, generation_pb2_grpc, grammar_pb2
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
GRAMMARS = [
    grammar_pb2.Grammar(
        json_schema=json.dumps(
            {
                "type": "object",
                "properties": {"colour": {"enum": ["red", "green"]}, "count": {"type": "integer"}},
                "required": ["colour", "count"],
            }
        )
    ),
    grammar_pb2.Grammar(regex="(yes, of course|no, never), because [a-f]{3,9}[.]"),
]
EXACT = {
    "SHARD_DTYPE": "float32",
    "SHARD_FORWARD": "plain",
    "SHARD_CACHE_TOKENS": "8192",
    "SHARD_MAX_BATCH_TOKENS": "6000",
}


def stub(channel: grpc.aio.Channel) -> Any:
    return generation_pb2_grpc.GenerationServiceStub(channel)


def request(prompt: str, *, tokens: int, **parameters: Any) -> generation_pb2.GenerateRequest:
    stopping = generation_pb2.Stopping(max_new_tokens=tokens)
    return generation_pb2.GenerateRequest(inputs=prompt, stopping=stopping, **parameters)


async def info(channel: grpc.aio.Channel) -> generation_pb2.InfoReply:
    reply: generation_pb2.InfoReply = await stub(channel).Info(
        generation_pb2.InfoRequest(), wait_for_ready=True, timeout=200
    )
    return reply


async def answers(
    channel: grpc.aio.Channel, requests: Iterable[generation_pb2.GenerateRequest]
) -> list[list[int]]:
    """The tokens of the answers to all requests at once."""

    async def answer(asked: generation_pb2.GenerateRequest) -> list[int]:
        return [event.token.id async for event in stub(channel).Generate(asked)]

    return await asyncio.gather(*map(answer, requests))


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
            given.append(await answers(channel, [request(each, tokens=20) for each in PROMPTS]))
            others = followers(process)
            assert len(others) == int(ranks) - 1
            process.send_signal(signal.SIGTERM)
            _, printed = await asyncio.wait_for(process.communicate(), 60)
            assert process.returncode == 0
            assert f"of {bytes_a_token // int(ranks)} bytes each" in printed.decode()
            assert "did not end by itself" not in printed.decode()
            assert not left(others)
    assert given[0] == given[1]
    assert all(given[0])


async def test_three_ranks_of_smollm2_answer_as_one_does(started: Any, port: int) -> None:
    given = []
    for ranks in ("1", "3"):
        settings = EXACT | {"SHARD_NUM_SHARD": ranks, "SHARD_MAX_BATCH_TOKENS": "64"}
        async with started(None, port=port, **settings), open_channel(f"127.0.0.1:{port}") as channel:
            await info(channel)
            given.append(await answers(channel, [request(each, tokens=8) for each in PROMPTS[:3]]))
    assert given[0] == given[1]


async def test_two_ranks_with_drafts_give_the_constrained_answers_of_one_without(
    tmp_path: Path, written: Any, started: Any, port: int
) -> None:
    model = written(tmp_path / "tiny-llama", LLAMA)
    requests = list(constrained_requests())
    given = []
    for ranks, drafts in (("1", "false"), ("2", "true")):
        settings = EXACT | {"SHARD_NUM_SHARD": ranks, "SHARD_DRAFTS": drafts}
        async with (
            started(model, port=port, **settings),
            open_channel(f"127.0.0.1:{port}") as channel,
        ):
            await info(channel)
            given.append(await answers(channel, requests))
            told = await stub(channel).Statistics(generation_pb2.StatisticsRequest())
            assert (told.accepted_tokens > 50) == (drafts == "true")
    assert given[0] == given[1]


def constrained_requests() -> Iterator[generation_pb2.GenerateRequest]:
    """Greedy and sampled ones beside one without a grammar; all read together, some long."""
    yield request("free", tokens=30)
    for number, grammar in enumerate(GRAMMARS):
        compiled = compile_grammar(grammar, Limits())
        samplings: tuple[dict[str, Any], ...] = ({}, {"do_sample": True, "seed": number, "temperature": 1.5})
        for prompt, sampling in product(("x", "a longer prompt " * 20), samplings):
            yield request(
                prompt,
                tokens=60,
                automaton=compiled.automaton,
                automaton_id=str(number),
                sampling=generation_pb2.Sampling(**sampling),
            )


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
