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


async def test_the_special_tokens_of_a_prompt_can_be_left_to_the_caller(serving: Any) -> None:
    async with serving() as shard:
        for given, length in (({}, 4), ({"add_special_tokens": True}, 4), ({"add_special_tokens": False}, 3)):
            events = [event async for event in shard.generate("<b>", **given)]
            assert events[-1].completion.input_tokens == length


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


async def test_an_adapter_that_is_not_loaded_is_refused_by_name(serving: Any, failure: Any) -> None:
    async with serving() as shard:
        message = await refused(failure, shard.generate("x", adapter_id="novels"))
        assert message == "`adapter_id` 'novels' is not loaded. Loaded adapters: letters, poems"
        assert await shard.text("x", adapter_id="poems") == await shard.text("x")


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


async def test_what_the_shard_does_is_told(serving: Any) -> None:
    async with serving() as shard:
        await shard.text("ab", max_new_tokens=5)
        await shard.all_free()
        told = await shard.stub.Statistics(generation_pb2.StatisticsRequest())
        assert told == generation_pb2.StatisticsReply(cache_tokens=64 * 4, steps=5)


async def test_tokens_and_their_places_are_told(serving: Any) -> None:
    async with serving() as shard:
        reply = await shard.stub.Tokenize(generation_pb2.TokenizeRequest(inputs="ab"))
        spans = [(token.id, token.text, token.start, token.stop) for token in reply.tokens]
        assert spans == [(97, "a", 0, 1), (98, "b", 1, 2)]


async def test_several_answers_come_as_one_stream_each_with_its_index(serving: Any) -> None:
    async with serving() as shard:
        sampling = generation_pb2.Sampling(do_sample=True, seed=5)
        events = [event async for event in shard.generate("xy", n=3, sampling=sampling)]
        for index in range(3):
            own = [event for event in events if event.index == index]
            assert "".join(event.token.text for event in own) == own[-1].completion.text == "cdefg"
            assert [event.HasField("completion") for event in own] == [False] * 4 + [True]
        seeds = [event.completion.seed for event in events if event.HasField("completion")]
        assert 5 in seeds
        assert len(set(seeds)) == 3
        await shard.all_free()


async def test_several_answers_of_a_token_each_all_end(serving: Any) -> None:
    async with serving() as shard:
        events = [event async for event in shard.generate("xy", n=4, max_new_tokens=1)]
        assert sorted(event.index for event in events if event.HasField("completion")) == [0, 1, 2, 3]


async def test_each_of_several_answers_follows_the_grammar_for_itself(serving: Any) -> None:
    async with serving() as shard:
        call = shard.generate(
            "xy", n=3, automaton=automaton_pb2.Automaton(), automaton_id="abc", max_new_tokens=9
        )
        texts = [event.completion.text async for event in call if event.HasField("completion")]
        assert texts == ["abc"] * 3


async def test_the_prompt_is_read_once_for_several_answers(serving: Any) -> None:
    async with serving() as shard:
        await shard.text("q" * 17, n=1)
        before = shard.model.tokens_read
        calls = [event async for event in shard.generate("p" * 41, n=5, max_new_tokens=2)]
        assert len(calls) == 10
        # The prompt once, the last token of it four times more, and the first of two new tokens five times.
        assert shard.model.tokens_read - before == 41 + 4 + 5


async def test_hanging_up_ends_all_answers(serving: Any) -> None:
    async with serving(blocks=60_000) as shard:
        call = shard.generate("xy", n=4, max_new_tokens=10_000)
        for _ in range(20):
            await call.read()
        call.cancel()
        await shard.all_free()


async def test_one_answer_that_finds_no_place_refuses_all_of_them(serving: Any, failure: Any) -> None:
    async with serving(running=1, waiting=2) as shard:
        code, _ = await failure(shard.generate("xy", n=9))
        assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
        await shard.all_free()


async def test_a_failure_of_the_model_is_told_once_for_all_answers(serving: Any, failure: Any) -> None:
    async with serving(blocks=60_000) as shard:
        call = shard.generate("xy", n=4, max_new_tokens=10_000)
        for _ in range(20):
            await call.read()
        shard.model.failure = ZeroDivisionError("secret")
        code, _ = await failure(call)
        assert code is grpc.StatusCode.INTERNAL
        with pytest.raises(ZeroDivisionError):
            await shard.loop


async def test_the_prompt_s_tokens_come_once_with_the_first_event(serving: Any) -> None:
    async with serving() as shard:
        call = shard.generate("x\N{ROBOT FACE}", n=2, prefill_logprobs=True)
        events = [event async for event in call]
        prefill = events[0].prefill
        assert [token.id for token in prefill] == list("x\N{ROBOT FACE}".encode())
        assert [token.text for token in prefill] == ["x", *["\N{REPLACEMENT CHARACTER}"] * 4]
        assert not prefill[0].HasField("logprob")
        assert [token.logprob for token in prefill[1:]] == [-1.0, -2.0, -3.0, -4.0]
        assert not any(event.prefill for event in events[1:])


async def test_the_likeliest_tokens_have_texts_of_their_own(serving: Any) -> None:
    async with serving() as shard:
        events = [event async for event in shard.generate("xy", top_n_tokens=2, max_new_tokens=1)]
        told = [(each.id, each.text, each.logprob, each.special) for each in events[0].top_tokens]
        assert told == [(ord("c"), "c", -1.0, False), (256, "<end>", -2.0, True)]


async def test_the_time_a_request_took_is_told(serving: Any) -> None:
    async with serving(running=1) as shard:
        calls = [shard.generate("xy", max_new_tokens=50) for _ in range(2)]
        first, second = [[event async for event in call][-1].completion for call in calls]
        assert first.queue_seconds >= 0
        assert first.inference_seconds > 0
        assert second.queue_seconds > 0
        assert second.cumulative_logprob == -50


@pytest.mark.parametrize(
    ("field", "request_fields"),
    [
        ("n", {"n": 0}),
        ("top_n_tokens", {"top_n_tokens": 101}),
        ("logit_bias", {"sampling": generation_pb2.Sampling(logit_bias={257: 1.0})}),
        ("min_p", {"sampling": generation_pb2.Sampling(min_p=float("nan"))}),
        ("stop_tokens", {"stopping": generation_pb2.Stopping(stop_tokens=[2**32 - 1])}),
        ("min_new_tokens", {"stopping": generation_pb2.Stopping(max_new_tokens=2, min_new_tokens=3)}),
        ("max_new_tokens", {"stopping": generation_pb2.Stopping(max_new_tokens=0)}),
        ("stop", {"stopping": generation_pb2.Stopping(stop=[""])}),
        ("truncate", {"truncate": 0}),
        (
            "ignore_eos",
            {
                "stopping": generation_pb2.Stopping(ignore_eos=True),
                "automaton": automaton_pb2.Automaton(),
            },
        ),
    ],
)
async def test_what_is_wrong_is_named(
    serving: Any, failure: Any, field: str, request_fields: dict[str, Any]
) -> None:
    async with serving() as shard:
        request = generation_pb2.GenerateRequest(inputs="xy", **request_fields)
        assert f"`{field}`" in await refused(failure, shard.stub.Generate(request))
        assert await shard.text("xy", max_new_tokens=1) == "c"
