"""The gRPC face of the shard: messages in, sequences out, and back."""

from __future__ import annotations

import asyncio
from collections import abc
from collections.abc import AsyncIterator, Callable, Collection
from typing import Any, Protocol, TypeAlias

from grpc.aio import ServicerContext

from protos import automaton_pb2, generation_pb2, generation_pb2_grpc
from protos.errors import InvalidRequestError
from shard.answer import Answer, Event
from shard.detokenizer import Detokenizer
from shard.engine import Engine
from shard.limits import Limits
from shard.parameters import parse_max_new_tokens, parse_sampling, parse_stop_strings, parse_truncate
from shard.sequence import Constraint, Sequence
from shard.stopping import FinishReason, StopStrings
from shard.tokenizer import Span

TokenBytes: TypeAlias = "abc.Sequence[bytes | None]"
Context: TypeAlias = "ServicerContext[Any, Any]"

FINISH_REASONS = {
    FinishReason.LENGTH: generation_pb2.FINISH_REASON_LENGTH,
    FinishReason.EOS_TOKEN: generation_pb2.FINISH_REASON_EOS_TOKEN,
    FinishReason.STOP_SEQUENCE: generation_pb2.FINISH_REASON_STOP_SEQUENCE,
}


class TextTokenizer(Protocol):
    """What the servicer needs of a tokenizer. Called from several threads."""

    @property
    def special_tokens(self) -> dict[int, str]: ...

    def encode(self, text: str) -> list[int]: ...

    def spans(self, text: str, *, add_special_tokens: bool) -> list[Span]: ...


class Grammars(Protocol):
    """What the servicer needs of `GrammarMasks`. Called from several threads."""

    def constraint(self, message: automaton_pb2.Automaton, automaton_id: str) -> Constraint: ...


class GenerationServicer(generation_pb2_grpc.GenerationServiceServicer):
    """Translates and delegates; a call lives as long as its `generation` block."""

    def __init__(
        self,
        engine: Engine,
        *,
        tokenizer: TextTokenizer,
        token_bytes: TokenBytes,
        eos_ids: Collection[int],
        grammars: Grammars,
        limits: Limits,
        info: generation_pb2.InfoReply,
    ) -> None:
        self._engine = engine
        self._tokenizer = tokenizer
        self._token_bytes = token_bytes
        self._special_tokens = tokenizer.special_tokens
        self._eos_ids = eos_ids
        self._grammars = grammars
        self._limits = limits
        self._info = info

    async def Generate(
        self, request: generation_pb2.GenerateRequest, context: Context
    ) -> AsyncIterator[generation_pb2.GenerateEvent]:
        sequence = await self._sequence(request)
        answer = self._answer(request, sequence)
        async with self._engine.generation(sequence, answer) as events:
            async for event in events:
                yield _event(event, answer, sequence)

    async def Info(self, request: generation_pb2.InfoRequest, context: Context) -> generation_pb2.InfoReply:
        return self._info

    async def Tokenize(
        self, request: generation_pb2.TokenizeRequest, context: Context
    ) -> generation_pb2.TokenizeReply:
        special = request.add_special_tokens if request.HasField("add_special_tokens") else True
        text = request.inputs
        spans = await asyncio.to_thread(self._tokenizer.spans, text, add_special_tokens=special)
        return generation_pb2.TokenizeReply(
            tokens=[
                generation_pb2.TokenSpan(
                    id=span.token_id, text=text[span.start : span.stop], start=span.start, stop=span.stop
                )
                for span in spans
            ]
        )

    async def _sequence(self, request: generation_pb2.GenerateRequest) -> Sequence:
        """The request as the engine takes it; raises InvalidRequestError for whatever is wrong with it."""
        sampling = parse_sampling(request.sampling)
        truncate = parse_truncate(request, max_input_tokens=self._limits.max_input_tokens)
        asked = parse_max_new_tokens(request.stopping)
        token_ids = await asyncio.to_thread(self._tokenizer.encode, request.inputs) if request.inputs else []
        if not token_ids:
            raise InvalidRequestError("`inputs` cannot be empty")
        if truncate:
            token_ids = token_ids[-truncate:]
        new = self._limits.max_new_tokens(input_tokens=len(token_ids), asked=asked)
        constraint = None
        if request.HasField("automaton"):
            constraint = await asyncio.to_thread(
                self._grammars.constraint, request.automaton, request.automaton_id
            )
        return Sequence(token_ids, max_new_tokens=new, sampling=sampling, constraint=constraint)

    def _answer(self, request: generation_pb2.GenerateRequest, sequence: Sequence) -> Answer:
        return Answer(
            max_new_tokens=sequence.max_new_tokens,
            detokenizer=Detokenizer(self._token_bytes),
            stop_strings=StopStrings(parse_stop_strings(request.stopping)),
            eos_ids=self._eos_ids,
            special_tokens=self._special_tokens,
        )


def _event(event: Event, answer: Answer, sequence: Sequence) -> generation_pb2.GenerateEvent:
    token = generation_pb2.Token(
        id=event.token_id, text=event.text, logprob=event.logprob, special=event.special
    )
    if not event.finish_reason:
        return generation_pb2.GenerateEvent(token=token)
    completion = generation_pb2.Completion(
        text=answer.text,
        finish_reason=FINISH_REASONS[event.finish_reason],
        generated_tokens=answer.generated,
        input_tokens=sequence.input_length,
        seed=sequence.sampling.seed if sequence.sampling.do_sample else None,
    )
    return generation_pb2.GenerateEvent(token=token, completion=completion)


def registration(servicer: GenerationServicer) -> Callable[[Any], None]:
    """What `protos.server.serve` calls with its server."""
    return lambda server: generation_pb2_grpc.add_GenerationServiceServicer_to_server(servicer, server)
