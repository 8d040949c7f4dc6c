"""What the gRPC service refuses and returns."""

from __future__ import annotations

from typing import Any

import grpc
import pytest

from protos import automaton_pb2, generation_pb2


async def refused(failure: Any, call: Any) -> str:
    code, message = await failure(call)
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    return str(message)


async def test_an_empty_prompt_is_refused(serving: Any, failure: Any) -> None:
    async with serving() as shard:
        assert await refused(failure, shard.generate("")) == "`inputs` cannot be empty"


async def test_a_prompt_that_is_too_long_is_refused(serving: Any, failure: Any) -> None:
    async with serving() as shard:
        message = await refused(failure, shard.generate("x" * 101))
        assert message == "`inputs` must have less than 100 tokens. Given: 101"


async def test_truncation_keeps_the_last_tokens(serving: Any) -> None:
    async with serving() as shard:
        call = shard.generate("x" * 500, truncate=30)
        events = [event async for event in call]
        assert events[-1].completion.input_tokens == 30


async def test_a_parameter_out_of_range_is_refused(serving: Any, failure: Any) -> None:
    async with serving() as shard:
        sampling = generation_pb2.Sampling(temperature=-1)
        message = await refused(failure, shard.generate("x", sampling=sampling))
        assert message == "`temperature` must be strictly positive"


async def test_a_damaged_automaton_is_refused(serving: Any, failure: Any) -> None:
    async with serving() as shard:
        automaton = automaton_pb2.Automaton()
        call = shard.generate("x", automaton=automaton, automaton_id="damaged")
        assert await refused(failure, call) == "automaton: damaged"


@pytest.mark.parametrize(
    ("stop", "reason", "text"),
    [
        (["e"], generation_pb2.FINISH_REASON_STOP_SEQUENCE, "cde"),
        ([], generation_pb2.FINISH_REASON_LENGTH, "cdefg"),
    ],
)
async def test_the_reason_of_the_end_is_told(serving: Any, stop: list[str], reason: int, text: str) -> None:
    async with serving() as shard:
        events = [event async for event in shard.generate("xy", stop=stop)]
        assert events[-1].completion.finish_reason == reason
        assert events[-1].completion.text == text


async def test_the_end_token_is_special_and_ends_the_answer(serving: Any) -> None:
    async with serving() as shard:
        call = shard.generate("xy", automaton=automaton_pb2.Automaton(), automaton_id="ab", max_new_tokens=9)
        events = [event async for event in call]
        assert events[-1].token.special
        assert events[-1].token.text == "<end>"
        assert events[-1].completion.finish_reason == generation_pb2.FINISH_REASON_EOS_TOKEN
        assert events[-1].completion.text == "ab"


async def test_the_seed_is_told_if_one_was_used(serving: Any) -> None:
    async with serving() as shard:
        greedy = [event async for event in shard.generate("x")][-1].completion
        assert not greedy.HasField("seed")
        sampling = generation_pb2.Sampling(do_sample=True, seed=2**64 - 1)
        sampled = [event async for event in shard.generate("x", sampling=sampling)][-1].completion
        assert sampled.seed == 2**64 - 1


async def test_info_is_told(serving: Any) -> None:
    async with serving() as shard:
        assert (await shard.stub.Info(generation_pb2.InfoRequest())).model_id == "counting"


async def test_tokens_and_their_places_are_told(serving: Any) -> None:
    async with serving() as shard:
        reply = await shard.stub.Tokenize(generation_pb2.TokenizeRequest(inputs="ab"))
        spans = [(token.id, token.text, token.start, token.stop) for token in reply.tokens]
        assert spans == [(97, "a", 0, 1), (98, "b", 1, 2)]
