"""The end of a shard and the end of a call: the one waits for answers, the other for at most one step."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from protos import generation_pb2, generation_pb2_grpc
from protos.channel import open_channel
from protos.server import Server
from shard.answer import Answer, Sampled
from shard.blocks import Blocks
from shard.detokenizer import Detokenizer
from shard.engine import Engine
from shard.scheduler import Scheduler
from shard.sequence import Sequence, Slice
from shard.servicer import registration
from shard.stopping import StopStrings

SERVICE = "guiderail.generation.v1.GenerationService"
TOKENS = 2000


def asking(stub: Any) -> Any:
    stopping = generation_pb2.Stopping(max_new_tokens=TOKENS)
    return stub.Generate(generation_pb2.GenerateRequest(inputs="xy", stopping=stopping))


async def test_a_shard_that_drains_finishes_what_it_began_and_takes_nothing_new(
    counting: Any, failure: Any
) -> None:
    _, scheduler, engine, servicer = counting(blocks=4 * TOKENS, running=2)
    server = Server(registration(servicer), service=SERVICE)
    address = f"127.0.0.1:{await server.start('127.0.0.1:0')}"
    loop = asyncio.create_task(engine.run())
    async with open_channel(address) as channel, open_channel(address) as late:
        stub = generation_pb2_grpc.GenerationServiceStub(channel)
        checks: Any = health_pb2_grpc.HealthStub(channel)
        health = checks.Watch(health_pb2.HealthCheckRequest(service=SERVICE))
        assert (await health.read()).status == health_pb2.HealthCheckResponse.SERVING
        calls = [asking(stub) for _ in range(4)]  # two run, two wait
        first = [await call.read() for call in calls[:2]]
        stopping = asyncio.create_task(server.stop(grace=120))
        assert (await health.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
        health.cancel()
        code, _ = await failure(asking(generation_pb2_grpc.GenerationServiceStub(late)))
        assert code is grpc.StatusCode.UNAVAILABLE
        rest = await asyncio.gather(*(events(call) for call in calls))
        assert [event.HasField("completion") for event in first] == [False, False]
        assert [len(each) for each in rest] == [TOKENS - 1] * 2 + [TOKENS] * 2
        assert all(each[-1].completion.generated_tokens == TOKENS for each in rest)
        await stopping
    loop.cancel()
    await asyncio.wait([loop])
    assert scheduler.blocks.available == 4 * TOKENS


async def events(call: Any) -> list[generation_pb2.GenerateEvent]:
    read = []
    while isinstance(event := await call.read(), generation_pb2.GenerateEvent):
        read.append(event)
    return read


class HeldModel:
    """Reads a step only when it is let, and notes whose tokens it read."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.let = threading.Semaphore(0)
        self.read: list[set[Sequence]] = []

    def step(self, slices: list[Slice], masks: Callable[[], Any]) -> dict[Sequence, list[Sampled]]:
        self.read.append({each.sequence for each in slices})
        self.begun.release()
        self.let.acquire()
        return {each.sequence: [Sampled(65, -1.0, ())] for each in slices if each.samples}


def answer() -> Answer:
    return Answer(
        max_new_tokens=50,
        min_new_tokens=0,
        detokenizer=Detokenizer([b"x"] * 66),
        stop_strings=StopStrings([], exclude=False),
        eos_ids=(),
        stop_ids=frozenset(),
        special_tokens={},
    )


async def test_a_call_that_is_left_while_the_model_runs_is_in_no_further_step() -> None:
    model = HeldModel()
    scheduler = Scheduler(Blocks(count=65, size=4), max_running=4, max_waiting=4, token_budget=16)
    engine = Engine(model, scheduler)
    loop = asyncio.create_task(engine.run())
    staying, leaving = (Sequence([index] * 3, max_new_tokens=50) for index in range(2))
    async with engine.generation(staying, answer()) as stream:
        async with engine.generation(leaving, answer()):
            await asyncio.to_thread(model.begun.acquire)
            assert model.read == [{staying, leaving}]
            # The caller leaves here, in the middle of the step.
        model.let.release()
        await anext(stream)
        assert not leaving.blocks, "they are free as soon as the step is over"
        await asyncio.to_thread(model.begun.acquire)
        assert model.read[1:] == [{staying}]
        model.let.release()
        await anext(stream)
    model.let.release(100)
    loop.cancel()
    await asyncio.wait([loop])
