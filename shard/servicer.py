"""The gRPC face of the shard: messages in, sequences out, and back."""

from __future__ import annotations

import asyncio
from collections import abc
from collections.abc import AsyncIterator, Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import asdict, replace
from typing import Any, Protocol, TypeAlias

from grpc.aio import ServicerContext

from protos import automaton_pb2, generation_pb2, generation_pb2_grpc
from protos.errors import InvalidRequestError
from shard.answer import Answer
from shard.counters import Counters
from shard.deadline import Budget
from shard.detokenizer import Detokenizer
from shard.engine import Engine
from shard.limits import Limits
from shard.messages import Messages
from shard.parameters import (
    answer_seed,
    parse_adapter,
    parse_budget,
    parse_max_new_tokens,
    parse_min_new_tokens,
    parse_n,
    parse_sampling,
    parse_stop_strings,
    parse_stop_tokens,
    parse_top_n_tokens,
    parse_truncate,
    refuse_contradictions,
)
from shard.sequence import Constraint, Sampling, Sequence, Watermark
from shard.siblings import Member, answers
from shard.stopping import StopStrings
from shard.tokenizer import Span

TokenBytes: TypeAlias = "abc.Sequence[bytes | None]"
Context: TypeAlias = "ServicerContext[Any, Any]"


class TextTokenizer(Protocol):
    """What the servicer needs of a tokenizer. Called from several threads."""

    @property
    def special_tokens(self) -> dict[int, str]: ...

    def encode(self, text: str, *, add_special_tokens: bool) -> list[int]: ...

    def spans(self, text: str, *, add_special_tokens: bool) -> list[Span]: ...


class Grammars(Protocol):
    """What the servicer needs of `GrammarMasks`. Called from several threads."""

    def constraint(
        self, message: automaton_pb2.Automaton, automaton_id: str, budget: Budget | None
    ) -> Constraint: ...


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
        watermark: Watermark,
        info: generation_pb2.InfoReply,
        counters: Counters,
        adapters: Collection[str] = (),
        scores_prompts: bool = True,
    ) -> None:
        """`scores_prompts`: whether the model tells the logits of a prompt's tokens."""
        self._engine = engine
        self._tokenizer = tokenizer
        self._token_bytes = token_bytes
        self._special_tokens = tokenizer.special_tokens
        self._eos_ids = eos_ids
        self._grammars = grammars
        # One thread for all: several at once would leave the model's own thread little of the interpreter.
        self._grammar_thread = ThreadPoolExecutor(1, "grammars")
        self._limits = limits
        self._watermark = watermark
        self._messages = Messages(token_bytes, self._special_tokens)
        self._info = info
        self._counters = counters
        self._adapters = adapters
        self._scores_prompts = scores_prompts

    async def Generate(
        self, request: generation_pb2.GenerateRequest, context: Context
    ) -> AsyncIterator[generation_pb2.GenerateEvent]:
        members, first = await self._members(request), True
        async with aclosing(answers(self._engine, members)) as events:
            async for index, event in events:
                sequence, answer = members[index]
                message = self._messages.event(event, answer, sequence, index=index)
                if first:
                    message.prefill.extend(self._messages.prefill(sequence))
                    first = False
                yield message

    async def Info(self, request: generation_pb2.InfoRequest, context: Context) -> generation_pb2.InfoReply:
        return self._info

    async def Statistics(
        self, request: generation_pb2.StatisticsRequest, context: Context
    ) -> generation_pb2.StatisticsReply:
        scheduler = self._engine.scheduler
        blocks = scheduler.blocks
        counts = asdict(self._counters)
        if not self._engine.drafts:
            del counts["drafted_tokens"], counts["accepted_tokens"]
        return generation_pb2.StatisticsReply(
            running=scheduler.running,
            waiting=scheduler.waiting,
            cache_tokens_used=(blocks.capacity - blocks.available) * blocks.size,
            cache_tokens=blocks.capacity * blocks.size,
            **counts,
        )

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

    async def _members(self, request: generation_pb2.GenerateRequest) -> list[Member]:
        """The request as the engine takes it; raises InvalidRequestError for whatever is wrong with it."""
        refuse_contradictions(request)
        count = parse_n(request)
        adapter = parse_adapter(request, loaded=self._adapters)
        sampling = self._sampling(request)
        truncate = parse_truncate(request, max_input_tokens=self._limits.max_input_tokens)
        asked = parse_max_new_tokens(request.stopping)
        token_ids = await self._encode(request)
        if request.prefill_logprobs and not self._scores_prompts:
            raise InvalidRequestError("prefill_logprobs: a model that is run plainly has none of its prompt")
        if truncate:
            token_ids = token_ids[-truncate:]
        new = self._limits.max_new_tokens(input_tokens=len(token_ids), asked=asked)
        fewest = parse_min_new_tokens(request.stopping, max_new_tokens=new)
        sampling = replace(sampling, min_new_tokens=fewest)
        budget = parse_budget(request, max_new_tokens=new)
        return [
            await self._member(request, token_ids, sampling, new, budget, adapter=adapter, index=index)
            for index in range(count)
        ]

    async def _encode(self, request: generation_pb2.GenerateRequest) -> list[int]:
        special = request.add_special_tokens if request.HasField("add_special_tokens") else True
        text = request.inputs
        token_ids = (
            await asyncio.to_thread(self._tokenizer.encode, text, add_special_tokens=special) if text else []
        )
        if not token_ids:
            raise InvalidRequestError("`inputs` cannot be empty")
        return token_ids

    def _sampling(self, request: generation_pb2.GenerateRequest) -> Sampling:
        vocabulary = len(self._token_bytes)
        sampling = parse_sampling(request.sampling, watermark=self._watermark, vocabulary=vocabulary)
        stop_ids = parse_stop_tokens(request.stopping, vocabulary=vocabulary)
        end_ids = stop_ids.union(() if request.stopping.ignore_eos else self._eos_ids)
        top_n = parse_top_n_tokens(request)
        return replace(sampling, end_ids=tuple(sorted(end_ids)), top_n=top_n)

    async def _member(
        self,
        request: generation_pb2.GenerateRequest,
        token_ids: list[int],
        sampling: Sampling,
        max_new_tokens: int,
        budget: Budget | None,
        *,
        adapter: str | None,
        index: int,
    ) -> Member:
        constraint = None
        if request.HasField("automaton"):
            constraint = await asyncio.get_running_loop().run_in_executor(
                self._grammar_thread,
                self._grammars.constraint,
                request.automaton,
                request.automaton_id,
                budget,
            )
        sequence = Sequence(
            token_ids,
            max_new_tokens=max_new_tokens,
            sampling=replace(sampling, seed=answer_seed(sampling.seed, index)),
            constraint=constraint,
            prompt_logprobs=request.prefill_logprobs and index == 0,
            adapter=adapter,
        )
        return sequence, self._answer(request, sequence)

    def _answer(self, request: generation_pb2.GenerateRequest, sequence: Sequence) -> Answer:
        stopping = request.stopping
        return Answer(
            max_new_tokens=sequence.max_new_tokens,
            min_new_tokens=sequence.sampling.min_new_tokens,
            detokenizer=Detokenizer(self._token_bytes),
            stop_strings=StopStrings(parse_stop_strings(stopping), exclude=stopping.exclude_stop),
            eos_ids=() if stopping.ignore_eos else self._eos_ids,
            stop_ids=frozenset(stopping.stop_tokens),
            special_tokens=self._special_tokens,
        )


def registration(servicer: GenerationServicer) -> Callable[[Any], None]:
    """What `protos.server.serve` calls with its server."""
    return lambda server: generation_pb2_grpc.add_GenerationServiceServicer_to_server(servicer, server)
