"""The shard, as the router sees it."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType

import grpc
import numpy as np

from protos import automaton_pb2, generation_pb2, generation_pb2_grpc
from router.grammar import CompiledGrammar
from router.model import Model, Span, Statistics
from router.request import Complete, GenerationRequest
from router.rpc import failures_of, serving
from router.token_event import Completion, FinishReason, PrefillToken, Token, TokenEvent

INFO_SECONDS = 3.0
TOKENIZE_SECONDS = 10.0

FINISH_REASONS: Mapping[int, FinishReason] = MappingProxyType(
    {
        generation_pb2.FINISH_REASON_LENGTH: "length",
        generation_pb2.FINISH_REASON_EOS_TOKEN: "eos_token",
        generation_pb2.FINISH_REASON_STOP_SEQUENCE: "stop_sequence",
    }
)


COMPLETE: Mapping[Complete, generation_pb2.Complete] = MappingProxyType(
    {
        "auto": generation_pb2.COMPLETE_AUTO,
        "required": generation_pb2.COMPLETE_REQUIRED,
        "off": generation_pb2.COMPLETE_OFF,
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
            chat_templates={each.name: each.text for each in reply.chat_templates},
            special_tokens=dict(reply.special_tokens),
        )

    async def statistics(self) -> Statistics:
        """What the shard is doing.

        Raises:
            RequestError: the shard does not say so within three seconds.
        """
        with failures_of("shard"):
            told = await self._stub.Statistics(generation_pb2.StatisticsRequest(), timeout=INFO_SECONDS)
        return Statistics(
            running=told.running,
            waiting=told.waiting,
            cache_tokens_used=told.cache_tokens_used,
            cache_tokens=told.cache_tokens,
            steps=told.steps,
            mask_first_visits=told.mask_first_visits,
            mask_hits=told.mask_hits,
            mask_seconds=told.mask_seconds,
            late_masks=told.late_masks,
            drafted_tokens=told.drafted_tokens if told.HasField("drafted_tokens") else None,
            accepted_tokens=told.accepted_tokens if told.HasField("accepted_tokens") else None,
        )

    async def tokenize(self, text: str, *, add_special_tokens: bool) -> list[Span]:
        """The tokens of `text`, with those that a prompt gets around it if `add_special_tokens`.

        Raises:
            RequestError: the model's tokenizer cannot tell them, or the shard does not within ten seconds.
        """
        request = generation_pb2.TokenizeRequest(inputs=text, add_special_tokens=add_special_tokens)
        with failures_of("shard"):
            reply = await self._stub.Tokenize(request, timeout=TOKENIZE_SECONDS)
        return [Span(id=each.id, text=each.text, start=each.start, stop=each.stop) for each in reply.tokens]

    async def healthy(self) -> bool:
        """Whether the shard is serving."""
        return await serving(self._channel)


async def _events(call: AsyncIterator[generation_pb2.GenerateEvent]) -> AsyncIterator[TokenEvent]:
    with failures_of("shard"):
        async for event in call:
            yield _event(event)


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
            min_p=sampling.min_p,
            repetition_penalty=sampling.repetition_penalty,
            frequency_penalty=sampling.frequency_penalty,
            presence_penalty=sampling.presence_penalty,
            logit_bias=dict(sampling.logit_bias),
            watermark=sampling.watermark,
            seed=sampling.seed,
        ),
        stopping=generation_pb2.Stopping(
            max_new_tokens=request.max_new_tokens,
            min_new_tokens=request.min_new_tokens,
            stop=request.stop,
            exclude_stop=request.exclude_stop,
            stop_tokens=request.stop_tokens,
            ignore_eos=request.ignore_eos,
            complete=COMPLETE[request.complete],
        ),
        truncate=request.truncate,
        automaton=automaton_pb2.Automaton.FromString(grammar.automaton) if grammar else None,
        automaton_id=grammar.id if grammar else None,
        n=request.n if request.n > 1 else None,
        top_n_tokens=request.top_n_tokens,
        prefill_logprobs=request.prefill_logprobs,
        add_special_tokens=None if request.add_special_tokens else False,
        adapter_id=request.adapter_id,
    )


def _event(event: generation_pb2.GenerateEvent) -> TokenEvent:
    top_tokens, prefill = event.top_tokens, event.prefill
    return TokenEvent(
        token=_token(event.token),
        completion=_completion(event.completion) if event.HasField("completion") else None,
        index=event.index,
        # Empty as a rule, and then there is nothing to convert.
        top_tokens=tuple(map(_token, top_tokens)) if top_tokens else (),
        prefill=tuple(map(_prefill, prefill)) if prefill else (),
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
    return float(str(np.float32(value)))
