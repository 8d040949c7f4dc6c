"""The shard as a process: it serves a model in a folder, drains, and says why it does not start."""

from __future__ import annotations

import asyncio
import math
import signal
from collections.abc import AsyncIterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import grpc
import pytest
import torch
from safetensors.torch import save_file
from transformers import (
    LlamaConfig,
    MambaConfig,
    OpenAIGPTConfig,
)

from protos import generation_pb2, generation_pb2_grpc
from protos.channel import open_channel
from shard.__main__ import _serve
from shard.settings import Settings

SIZE = 257
STOPPING = generation_pb2.Stopping(max_new_tokens=3)
PLAIN = {"SHARD_DTYPE": "float32", "SHARD_FORWARD": "plain"}


@pytest.fixture
def llama(tmp_path: Path, written: Any) -> Any:
    return written(
        tmp_path / "tiny-llama",
        LlamaConfig(
            vocab_size=SIZE,
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            num_key_value_heads=1,
            max_position_embeddings=64,
            eos_token_id=SIZE - 1,
            bos_token_id=None,
        ),
    )


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    """Changes the tiny model's answers."""
    folder = tmp_path / "adapter"
    folder.mkdir()
    (folder / "adapter_config.json").write_text('{"peft_type": "LORA", "r": 2, "lora_alpha": 2}')
    key = "base_model.model.model.layers.0.mlp.down_proj.lora_"
    shapes = {f"{key}A.weight": (2, 32), f"{key}B.weight": (16, 2)}
    tensors = {name: torch.arange(float(math.prod(shape))).reshape(shape) for name, shape in shapes.items()}
    save_file(tensors, folder / "adapter_model.safetensors")
    return folder


async def test_it_serves_a_folder_with_an_adapter(llama: str, adapter: Path, port: int, started: Any) -> None:
    async with (
        started(llama, port=port, **PLAIN, SHARD_LORA_ADAPTERS=f"poems={adapter}"),
        open_channel(f"127.0.0.1:{port}") as channel,
    ):
        stub = generation_pb2_grpc.GenerationServiceStub(channel)
        info = await stub.Info(generation_pb2.InfoRequest(), wait_for_ready=True, timeout=120)
        assert info.adapter_ids == ["poems"]
        answers = []
        for name in (None, "poems", None):
            request = generation_pb2.GenerateRequest(inputs="Hello", stopping=STOPPING, adapter_id=name)
            answers.append([event.token.id async for event in stub.Generate(request)])
        assert answers[0] == answers[2] != answers[1]


async def test_it_serves_a_folder_and_drains_when_told_to_stop(llama: str, port: int, started: Any) -> None:
    async with (
        started(llama, port=port, SHARD_DTYPE="float32") as process,
        open_channel(f"127.0.0.1:{port}") as channel,
    ):
        stub = generation_pb2_grpc.GenerationServiceStub(channel)
        info = await stub.Info(generation_pb2.InfoRequest(), wait_for_ready=True, timeout=120)
        assert info.architecture == "LlamaForCausalLM"
        assert (info.dtype, info.device) == ("float32", "cpu")
        assert (info.model_id, info.attention) == (str(llama), "torch")
        assert (info.max_input_tokens, info.max_total_tokens) == (63, 64)
        assert info.cache_tokens == 64 * 64, "as much as all that run at once can need"
        assert info.version == version("guiderail")
        call = stub.Generate(generation_pb2.GenerateRequest(inputs="Hello"))
        first = await call.read()
        process.send_signal(signal.SIGTERM)
        events = [first, *[event async for event in rest(call)]]
        assert events[-1].completion.input_tokens == 5
        assert await asyncio.wait_for(process.wait(), 60) == 0


async def test_an_engine_that_dies_ends_the_process(counting: Any, port: int) -> None:
    model, _, engine, servicer = counting()
    model.failure = ZeroDivisionError()
    settings = Settings(address=f"127.0.0.1:{port}", drain_seconds=60)
    serving = asyncio.create_task(_serve(engine, servicer, settings))
    async with open_channel(f"127.0.0.1:{port}") as channel:
        stub = generation_pb2_grpc.GenerationServiceStub(channel)
        call = stub.Generate(
            generation_pb2.GenerateRequest(inputs="Hello", stopping=STOPPING), wait_for_ready=True
        )
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await call.read()
    assert error.value.code() is grpc.StatusCode.INTERNAL
    with pytest.raises(ExceptionGroup) as group:
        await serving
    assert group.value.subgroup(ZeroDivisionError)


async def rest(call: Any) -> AsyncIterator[generation_pb2.GenerateEvent]:
    while isinstance(event := await call.read(), generation_pb2.GenerateEvent):
        yield event


async def last_words(process: asyncio.subprocess.Process) -> str:
    _, errors = await asyncio.wait_for(process.communicate(), 120)
    assert process.returncode == 1
    return errors.decode().strip().splitlines()[-1]


async def test_a_recurrent_model_is_run_plainly_and_says_so(
    tmp_path: Path, port: int, written: Any, started: Any
) -> None:
    config = MambaConfig(vocab_size=SIZE, hidden_size=16, state_size=4, num_hidden_layers=1)
    folder = written(tmp_path / "tiny-mamba", config)
    async with (
        started(folder, port=port, **PLAIN) as process,
        open_channel(f"127.0.0.1:{port}") as channel,
    ):
        stub = generation_pb2_grpc.GenerationServiceStub(channel)
        info = await stub.Info(generation_pb2.InfoRequest(), wait_for_ready=True, timeout=120)
        assert info.architecture == "MambaForCausalLM"
        assert info.attention.endswith("a cache for each sequence")
        call = stub.Generate(generation_pb2.GenerateRequest(inputs="Hello", stopping=STOPPING))
        assert len([event async for event in rest(call)]) == 3
        request = generation_pb2.GenerateRequest(inputs="Hello", stopping=STOPPING, prefill_logprobs=True)
        with pytest.raises(
            grpc.aio.AioRpcError, match="prefill_logprobs: a model that is run plainly has none"
        ):
            await anext(aiter(stub.Generate(request)))
        process.send_signal(signal.SIGTERM)
        _, errors = await asyncio.wait_for(process.communicate(), 60)
    assert "MambaForCausalLM is run plainly, one sequence after the other, which is slower" in errors.decode()


async def test_a_model_that_cannot_be_served_is_refused_by_name(
    tmp_path: Path, written: Any, started: Any
) -> None:
    config = OpenAIGPTConfig(vocab_size=SIZE, n_embd=16, n_layer=1, n_head=2)
    async with started(written(tmp_path / "tiny-gpt", config), **PLAIN) as process:
        line = await last_words(process)
    assert line.startswith("shard: OpenAIGPTLMHeadModel (model type openai-gpt) cannot be served")


async def test_an_adapter_that_cannot_be_read_is_refused_by_name(
    llama: str, tmp_path: Path, started: Any
) -> None:
    async with started(llama, **PLAIN, SHARD_LORA_ADAPTERS=f"poems={tmp_path}") as process:
        line = await last_words(process)
    assert line.startswith("shard: the LoRA adapter 'poems' cannot be served: its adapter_config.json and")


async def test_a_forward_pass_that_adapters_leave_out_is_refused_and_not_ignored(
    llama: str, adapter: Path, started: Any
) -> None:
    settings = {"SHARD_FORWARD": "compiled", "SHARD_LORA_ADAPTERS": f"poems={adapter}"}
    async with started(llama, **settings) as process:
        line = await last_words(process)
    assert line.startswith("shard: SHARD_FORWARD is compiled, but LoRA adapters are added to the layers")


async def test_settings_that_the_model_cannot_keep_are_refused(llama: str, started: Any) -> None:
    async with started(llama, SHARD_MAX_TOTAL_TOKENS="65") as process:
        line = await last_words(process)
    assert line == "shard: SHARD_MAX_TOTAL_TOKENS 65 exceeds the 64 tokens of the model"
