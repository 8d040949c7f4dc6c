"""The shard, as the router sees it."""

from __future__ import annotations

import math
import struct
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType

import grpc

from protos import automaton_pb2, generation_pb2, generation_pb2_grpc
from router.generation import (
    CompiledGrammar,
    Completion,
    FinishReason,
    GenerationRequest,
    Model,
    PrefillToken,
    Token,
    TokenEvent,
)
from router.rpc import failures_of, serving

INFO_SECONDS = 3.0

FINISH_REASONS: Mapping[int, FinishReason] = MappingProxyType(
    {
        generation_pb2.FINISH_REASON_LENGTH: "length",
        generation_pb2.FINISH_REASON_EOS_TOKEN: "eos_token",
        generation_pb2.FINISH_REASON_STOP_SEQUENCE: "stop_sequence",
    }
)


class ShardClient:
    """A `Generator` behind a channel. An answer is asked for once: it is not repeatable."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel
        self._stub = generation_pb2_grpc.GenerationServiceStub(channel)

    @asynccontextmanager
    async def generate(
        self, request: GenerationRequest, grammar: CompiledGrammar | None
    ) -> AsyncIterator[AsyncIterator[TokenEvent]]:
        """The events of the answers. Leaving the block cancels the call, which frees the shard's memory.

        The number of tokens bounds how long an answer takes, so there is no deadline; the channel's
        keepalive notices a shard that is gone.
        """
        call = self._stub.Generate(_message(request, grammar))
        try:
            yield _events(call)
        finally:
            call.cancel()

    async def model(self) -> Model:
        """What the shard serves.

        Raises:
            RequestError: the shard does not say so within three seconds.
        """
        with failures_of("shard"):
            reply = await self._stub.Info(generation_pb2.InfoRequest(), timeout=INFO_SECONDS)
        return Model(
            id=reply.model_id,
            sha=reply.model_sha or None,
            dtype=reply.dtype,
            device=reply.device,
            max_input_tokens=reply.max_input_tokens,
            max_total_tokens=reply.max_total_tokens,
            version=reply.version,
        )

    async def healthy(self) -> bool:
        """Whether the shard is serving."""
        return await serving(self._channel)


async def _events(call: AsyncIterator[generation_pb2.GenerateEvent]) -> AsyncIterator[TokenEvent]:
    with failures_of("shard"):
        async for event in call:
            completion = _completion(event.completion) if event.HasField("completion") else None
            yield TokenEvent(
                token=_token(event.token),
                completion=completion,
                index=event.index,
                top_tokens=tuple(_token(each) for each in event.top_tokens),
                prefill=tuple(_prefill(each) for each in event.prefill),
            )


def _message(request: GenerationRequest, grammar: CompiledGrammar | None) -> generation_pb2.GenerateRequest:
    sampling = request.sampling
    return generation_pb2.GenerateRequest(
        inputs=request.inputs,
        sampling=generation_pb2.Sampling(
            do_sample=sampling.do_sample,
            temperature=sampling.temperature,
            top_k=sampling.top_k,
            top_p=sampling.top_p,
            typical_p=sampling.typical_p,
            repetition_penalty=sampling.repetition_penalty,
            frequency_penalty=sampling.frequency_penalty,
            watermark=sampling.watermark,
            seed=sampling.seed,
        ),
        stopping=generation_pb2.Stopping(max_new_tokens=request.max_new_tokens, stop=request.stop),
        truncate=request.truncate,
        automaton=automaton_pb2.Automaton.FromString(grammar.automaton) if grammar else None,
        automaton_id=grammar.id if grammar else None,
        n=request.n if request.n > 1 else None,
        top_n_tokens=request.top_n_tokens,
        prefill_logprobs=request.prefill_logprobs,
        adapter_id=request.adapter_id,
    )


def _token(token: generation_pb2.Token) -> Token:
    return Token(id=token.id, text=token.text, logprob=_shortest(token.logprob), special=token.special)


def _prefill(token: generation_pb2.PrefillToken) -> PrefillToken:
    logprob = _shortest(token.logprob) if token.HasField("logprob") else None
    return PrefillToken(id=token.id, text=token.text, logprob=logprob)


def _completion(completion: generation_pb2.Completion) -> Completion:
    return Completion(
        text=completion.text,
        finish_reason=FINISH_REASONS[completion.finish_reason],
        generated_tokens=completion.generated_tokens,
        input_tokens=completion.input_tokens,
        seed=completion.seed if completion.HasField("seed") else None,
        cumulative_logprob=completion.cumulative_logprob,
        queue_seconds=completion.queue_seconds,
        inference_seconds=completion.inference_seconds,
    )


def _shortest(value: float) -> float | None:
    """The decimal with the fewest digits that is the same 32-bit float: -0.3, not -0.30000001192092896."""
    if not math.isfinite(value):
        return None
    single = struct.pack("<f", value)
    candidates = (float(f"{value:.{digits}g}") for digits in range(6, 10))
    return next((number for number in candidates if struct.pack("<f", number) == single), value)
