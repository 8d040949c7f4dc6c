"""The shard client, against a real gRPC server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from grpc import StatusCode
from hypothesis import given
from hypothesis import strategies as st

from protos import automaton_pb2, generation_pb2
from protos.channel import open_channel
from protos.errors import GenerationError, InvalidRequestError, OverloadedError, UnavailableError
from router.answers import collect
from router.errors import RequestError
from router.grammar import CompiledGrammar
from router.model import Span, Statistics
from router.request import GenerationRequest, Sampling
from router.shard_client import ShardClient, _shortest

if TYPE_CHECKING:
    from tests.router.conftest import Services


@pytest.fixture
async def shard(services: Services) -> AsyncIterator[ShardClient]:
    async with open_channel(services.shard_address) as channel:
        yield ShardClient(channel)


async def test_what_is_left_out_is_unset_on_the_wire(services: Services, shard: ShardClient) -> None:
    async with shard.generate(GenerationRequest(inputs="hello"), None) as events:
        await collect(events)
    assert services.shard.requests == [
        generation_pb2.GenerateRequest(
            inputs="hello", sampling=generation_pb2.Sampling(), stopping=generation_pb2.Stopping()
        )
    ]


async def test_what_is_asked_for_reaches_the_shard(services: Services, shard: ShardClient) -> None:
    request = GenerationRequest(
        inputs="hello",
        sampling=Sampling(
            do_sample=True,
            temperature=0.5,
            top_k=3,
            top_p=0.25,
            typical_p=0.75,
            min_p=0.0625,
            repetition_penalty=1.5,
            frequency_penalty=-0.5,
            presence_penalty=2.0,
            logit_bias=((5, -100.0), (6, 1.0)),
            watermark=True,
            seed=2**64 - 1,
        ),
        max_new_tokens=7,
        min_new_tokens=2,
        stop=("a", "b"),
        exclude_stop=True,
        stop_tokens=(1, 2),
        ignore_eos=True,
        truncate=9,
        n=2,
        top_n_tokens=3,
        prefill_logprobs=True,
        adapter_id="poems",
        complete="required",
    )
    automaton = automaton_pb2.Automaton(format_version=1, start=7)
    grammar = CompiledGrammar(id="the-id", automaton=automaton.SerializeToString(), origin="compiled")
    async with shard.generate(request, grammar) as events:
        await collect(events)
    assert services.shard.requests == [
        generation_pb2.GenerateRequest(
            inputs="hello",
            sampling=generation_pb2.Sampling(
                do_sample=True,
                temperature=0.5,
                top_k=3,
                top_p=0.25,
                typical_p=0.75,
                min_p=0.0625,
                repetition_penalty=1.5,
                frequency_penalty=-0.5,
                presence_penalty=2.0,
                logit_bias={5: -100.0, 6: 1.0},
                watermark=True,
                seed=2**64 - 1,
            ),
            stopping=generation_pb2.Stopping(
                max_new_tokens=7,
                min_new_tokens=2,
                stop=["a", "b"],
                exclude_stop=True,
                stop_tokens=[1, 2],
                ignore_eos=True,
                complete=generation_pb2.COMPLETE_REQUIRED,
            ),
            truncate=9,
            automaton=automaton,
            automaton_id="the-id",
            n=2,
            top_n_tokens=3,
            prefill_logprobs=True,
            adapter_id="poems",
        )
    ]


async def test_a_text_is_told_in_tokens(shard: ShardClient) -> None:
    assert await shard.tokenize("é b", add_special_tokens=False) == [
        Span(id=10, text="é", start=0, stop=1),
        Span(id=11, text=" b", start=1, stop=3),
    ]
    assert len(await shard.tokenize("é b", add_special_tokens=True)) == 3


async def test_what_the_shard_does_is_told(services: Services, shard: ShardClient) -> None:
    plain = Statistics(
        running=1,
        waiting=2,
        cache_tokens_used=30,
        cache_tokens=400,
        steps=5,
        mask_first_visits=6,
        mask_hits=7,
        mask_seconds=0.5,
        late_masks=8,
        drafted_tokens=None,
        accepted_tokens=None,
    )
    assert await shard.statistics() == plain
    services.shard.statistics.drafted_tokens = 7
    services.shard.statistics.accepted_tokens = 0
    assert await shard.statistics() == replace(plain, drafted_tokens=7, accepted_tokens=0)


async def test_events_come_as_the_shard_sends_them(shard: ShardClient) -> None:
    request = GenerationRequest(
        inputs="a b", sampling=Sampling(do_sample=True), n=2, top_n_tokens=1, prefill_logprobs=True
    )
    async with shard.generate(request, None) as events:
        collected = await collect(events)
    first, second = collected.answers
    assert [(token.id, token.text, token.logprob) for token in first.tokens] == [
        (10, " a", -0.3),
        (11, " b", -0.3),
    ]
    assert [[token.text for token in tokens] for tokens in first.top_tokens] == [["likely"], ["likely"]]
    assert first.completion.text == " a b"
    assert first.completion.finish_reason == "eos_token"
    assert [each.completion.seed for each in (first, second)] == [42, 43]
    assert first.mean_logprob == pytest.approx(-0.3)
    assert (first.completion.queue_seconds, first.completion.inference_seconds) == (0.25, 1.5)
    assert [(each.text, each.logprob) for each in collected.prefill] == [("a", None), ("b", -1.5)]


async def test_leaving_the_block_cancels_the_call(services: Services, shard: ShardClient) -> None:
    services.shard.gate.clear()
    async with shard.generate(GenerationRequest(inputs="a b"), None) as events:
        await anext(events)
    await asyncio.wait_for(services.shard.cancelled.wait(), timeout=10)


@pytest.mark.parametrize(
    ("raised", "code", "detail"),
    [
        (InvalidRequestError("too long"), StatusCode.INVALID_ARGUMENT, "too long"),
        (OverloadedError("queue full"), StatusCode.RESOURCE_EXHAUSTED, "queue full"),
        (UnavailableError("draining"), StatusCode.UNAVAILABLE, "the shard is unavailable"),
        (GenerationError("out of memory"), StatusCode.INTERNAL, "Server error: out of memory"),
        (ValueError("a bug"), StatusCode.INTERNAL, "Server error: internal error: ValueError"),
    ],
)
@pytest.mark.parametrize("index", [0, 1])
async def test_a_failure_travels_at_any_point_of_the_stream(
    services: Services, shard: ShardClient, raised: Exception, code: StatusCode, detail: str, index: int
) -> None:
    services.shard.failures = {index: raised}
    with pytest.raises(RequestError) as failure:
        async with shard.generate(GenerationRequest(inputs="a b c"), None) as events:
            await collect(events)
    assert (failure.value.code, failure.value.detail) == (code, detail)
    assert len(services.shard.requests) == 1


async def test_a_shard_that_is_gone_is_unavailable(services: Services, shard: ShardClient) -> None:
    await services.stop_shard()
    with pytest.raises(RequestError, match="the shard is unavailable"):
        async with shard.generate(GenerationRequest(inputs="a"), None) as events:
            await collect(events)
    with pytest.raises(RequestError, match="the shard is unavailable"):
        await shard.model()
    assert not await shard.healthy()


@given(st.floats(width=32))
def test_a_logprob_is_the_shortest_json_number_of_its_32_bits(value: float) -> None:
    shortest = _shortest(value)
    if shortest is None:
        assert value != value or abs(value) == float("inf")
        return
    text = json.dumps(shortest)
    assert generation_pb2.Token(logprob=float(text)).logprob == value
    assert len(text.lstrip("-").split("e")[0].replace(".", "").strip("0")) <= 9
