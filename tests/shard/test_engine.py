"""The engine over real gRPC: cancelled calls free their blocks, and nobody fails for another's fault."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import grpc
import pytest

from protos import automaton_pb2, generation_pb2

AUTOMATON = automaton_pb2.Automaton(format_version=1)


async def test_an_answer_is_streamed_token_by_token(serving: Any) -> None:
    async with serving() as shard:
        events = [event async for event in shard.generate("xy", max_new_tokens=3)]
        assert [event.token.text for event in events] == ["c", "d", "e"]
        assert events[-1].completion.text == "cde"
        assert events[-1].completion.generated_tokens == 3
        assert events[-1].completion.input_tokens == 2
        await shard.all_free()


async def test_a_cancelled_call_frees_its_blocks(serving: Any) -> None:
    async with serving(blocks=60_000) as shard:
        call = shard.generate("xy", max_new_tokens=50_000)
        await call.read()
        call.cancel()
        await shard.all_free()
        assert await shard.text("xy", max_new_tokens=2) == "cd"


async def test_a_call_that_waits_can_be_cancelled(serving: Any, eventually: Any) -> None:
    async with serving(blocks=60_000, running=1) as shard:
        first = shard.generate("xy", max_new_tokens=50_000)
        await first.read()
        second = shard.generate("xy", max_new_tokens=50_000)
        await eventually(lambda: len(shard.scheduler._waiting) == 1)
        second.cancel()
        await eventually(lambda: len(shard.scheduler._waiting) == 0)
        first.cancel()
        await shard.all_free()


async def test_hundreds_of_callers_come_and_go_and_all_blocks_are_free(serving: Any) -> None:
    chance = random.Random(0)

    async def call(shard: Any, index: int) -> None:
        prompt = "p" * chance.randint(1, 30)
        count = chance.randint(1, 40)
        stream = shard.generate(prompt, max_new_tokens=count)
        leave_after = chance.randint(0, 30) if index % 2 else None
        received = 0
        if leave_after == 0:
            stream.cancel()
            return
        async for _ in stream:
            received += 1
            if received == leave_after:
                stream.cancel()
                return
        assert received == count

    async with serving(blocks=40, running=16, budget=32) as shard:
        async with asyncio.TaskGroup() as tasks:
            for index in range(300):
                tasks.create_task(call(shard, index))
        await shard.all_free()
        assert not shard.engine._streams
        assert await shard.text("xy", max_new_tokens=2) == "cd"


async def test_an_error_of_the_model_ends_the_loop_and_tells_every_caller(serving: Any, failure: Any) -> None:
    async with serving(blocks=60_000) as shard:
        calls = [shard.generate("xy", max_new_tokens=50_000) for _ in range(3)]
        for call in calls:
            await call.read()
        shard.model.failure = ZeroDivisionError("secret")
        for call in calls:
            code, message = await failure(call)
            assert code is grpc.StatusCode.INTERNAL
            assert "secret" not in message
        code, _ = await failure(shard.generate("xy"))
        assert code is grpc.StatusCode.UNAVAILABLE
        with pytest.raises(ZeroDivisionError):
            await shard.loop


async def test_an_ended_loop_tells_its_callers(serving: Any, failure: Any) -> None:
    async with serving(blocks=60_000) as shard:
        call = shard.generate("xy", max_new_tokens=50_000)
        await call.read()
        shard.loop.cancel()
        code, _ = await failure(call)
        assert code is grpc.StatusCode.UNAVAILABLE


async def test_a_queue_that_is_full_refuses_the_next(serving: Any, failure: Any, eventually: Any) -> None:
    async with serving(blocks=60_000, running=1, waiting=1) as shard:
        running = shard.generate("xy", max_new_tokens=50_000)
        await running.read()
        waiting = shard.generate("xy", max_new_tokens=50_000)
        await eventually(lambda: shard.scheduler.full)
        assert await failure(shard.generate("xy")) == (
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            "Model is overloaded",
        )
        running.cancel()
        waiting.cancel()


async def test_what_the_cache_could_never_hold_is_refused_at_once(serving: Any, failure: Any) -> None:
    async with serving(blocks=4) as shard:
        code, _ = await failure(shard.generate("x" * 10, max_new_tokens=8))
        assert code is grpc.StatusCode.INVALID_ARGUMENT
        assert len(await shard.text("x" * 10, max_new_tokens=7)) == 7


async def test_a_mask_decides_what_comes_next(serving: Any) -> None:
    async with serving() as shard:
        free, bound = await asyncio.gather(
            shard.text("xy", max_new_tokens=20),
            shard.text("xy", max_new_tokens=20, automaton=AUTOMATON, automaton_id="spelled"),
        )
        assert free.startswith("cdef")
        assert bound == "spelled"


async def test_who_has_no_mask_yet_waits_a_step_so_that_others_need_not(serving: Any) -> None:
    async with serving() as shard:
        other = asyncio.create_task(shard.text("xy", max_new_tokens=20))
        texts = [f"new text {number}" for number in range(5)]
        answers = (
            shard.text("xy", max_new_tokens=20, automaton=AUTOMATON, automaton_id=text) for text in texts
        )
        assert await asyncio.gather(*answers) == texts
        assert await other == "cdefghijklmnopqrstuv"
        assert shard.model.steps >= sum(map(len, texts)), "one new mask a step"
        told = await shard.stub.Statistics(generation_pb2.StatisticsRequest())
        assert told.late_masks > 0
        await shard.all_free()


async def test_a_grammar_that_fails_fails_its_own_call_only(serving: Any, failure: Any) -> None:
    async with serving() as shard:
        other = asyncio.create_task(shard.text("xy", max_new_tokens=100))
        code, _ = await failure(shard.generate("xy", automaton=AUTOMATON, automaton_id="broken"))
        assert code is grpc.StatusCode.INTERNAL
        assert len(await other) == 100
        await shard.all_free()


async def test_an_output_that_is_not_a_number_fails_its_own_call_only(serving: Any, failure: Any) -> None:
    async with serving() as shard:
        shard.model.nan_for = ord("!")
        other = asyncio.create_task(shard.text("xy", max_new_tokens=100))
        code, _ = await failure(shard.generate("!"))
        assert code is grpc.StatusCode.INTERNAL
        assert len(await other) == 100
        await shard.all_free()


async def test_preempted_answers_are_whole(serving: Any) -> None:
    async with serving(blocks=10) as shard:
        alone = await shard.text("abcdef", max_new_tokens=30)
        together = await asyncio.gather(*(shard.text("abcdef", max_new_tokens=30) for _ in range(6)))
        assert together == [alone] * 6
        await shard.all_free()
