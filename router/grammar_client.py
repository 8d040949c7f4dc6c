"""The grammar service, as the router sees it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

import grpc
from grpc import StatusCode
from tenacity import AsyncRetrying, retry_if_exception, stop_after_delay, wait_exponential

from protos import grammar_pb2, grammar_pb2_grpc
from router.errors import RequestError
from router.grammar import AnyJsonObject, Choice, CompiledGrammar, Grammar, JsonSchema, Origin, Regex, Tagged
from router.rpc import failures_of, serving

RETRY_SECONDS = 2.0
"""A service that restarts is back sooner; one that is gone should not keep its callers waiting."""

WHITESPACE = MappingProxyType(
    {
        None: grammar_pb2.WHITESPACE_UNSPECIFIED,
        "single": grammar_pb2.WHITESPACE_SINGLE,
        "compact": grammar_pb2.WHITESPACE_COMPACT,
        "flexible": grammar_pb2.WHITESPACE_FLEXIBLE,
    }
)

ORIGINS: Mapping[int, Origin] = MappingProxyType(
    {
        grammar_pb2.ORIGIN_MEMORY: "memory",
        grammar_pb2.ORIGIN_REDIS: "redis",
        grammar_pb2.ORIGIN_COMPILED: "compiled",
    }
)

FREE_TEXT = MappingProxyType(
    {
        "anywhere": grammar_pb2.FREE_TEXT_ANYWHERE,
        "before": grammar_pb2.FREE_TEXT_BEFORE,
        "nowhere": grammar_pb2.FREE_TEXT_NOWHERE,
    }
)

KEPT_GRAMMARS = 256
KEPT_BYTES = 256 * 1024
"""The automata that are kept, and the largest of them: it saves a known grammar the way to the service."""


class GrammarClient:
    """A `GrammarCompiler` behind a channel. Compiling has no side effects, so it may be asked for again.

    What was compiled last is kept: a grammar has one automaton for as long as this process and that service
    are of one version.
    """

    def __init__(self, channel: grpc.aio.Channel, *, seconds: float) -> None:
        """`seconds` is how long one attempt may take."""
        self._channel = channel
        self._stub = grammar_pb2_grpc.GrammarServiceStub(channel)
        self._seconds = seconds
        self._kept: OrderedDict[Grammar, CompiledGrammar] = OrderedDict()

    async def compile(self, grammar: Grammar) -> CompiledGrammar:
        """The automaton of `grammar`. For two seconds a service that is not there is asked again.

        Raises:
            RequestError: INVALID_ARGUMENT says why the grammar is refused; others are the service's.
        """
        kept = self._kept.get(grammar)
        if kept is not None:
            self._kept.move_to_end(grammar)
            return kept
        request = grammar_pb2.CompileRequest(grammar=_message(grammar))
        try:
            with failures_of("grammar service"):
                reply = await self._compile(request)
        except RequestError as failure:
            if failure.code is StatusCode.INVALID_ARGUMENT:
                why = failure.detail.removeprefix("grammar: ")  # what is said of no part of it
                raise RequestError.invalid(f"grammar is not valid: {why}") from failure
            raise
        compiled = CompiledGrammar(
            id=reply.automaton_id,
            automaton=reply.automaton.SerializeToString(),
            origin=ORIGINS[reply.origin],
        )
        if len(compiled.automaton) <= KEPT_BYTES:
            self._kept[grammar] = replace(compiled, origin="router")
            if len(self._kept) > KEPT_GRAMMARS:
                self._kept.popitem(last=False)
        return compiled

    async def _compile(self, request: grammar_pb2.CompileRequest) -> grammar_pb2.CompileReply:
        retrying = AsyncRetrying(
            retry=retry_if_exception(_unavailable),
            stop=stop_after_delay(RETRY_SECONDS),
            wait=wait_exponential(multiplier=0.1, max=0.5),
            reraise=True,
        )

        async def attempt() -> grammar_pb2.CompileReply:
            reply: grammar_pb2.CompileReply = await self._stub.Compile(request, timeout=self._seconds)
            return reply

        return await retrying(attempt)

    async def healthy(self) -> bool:
        """Whether the grammar service is serving."""
        return await serving(self._channel)


def _unavailable(error: BaseException) -> bool:
    return isinstance(error, grpc.aio.AioRpcError) and error.code() is StatusCode.UNAVAILABLE


def _message(grammar: Grammar) -> grammar_pb2.Grammar:
    match grammar:
        case JsonSchema(text=text, strict=strict, whitespace=whitespace):
            return grammar_pb2.Grammar(json_schema=text, strict=strict, whitespace=WHITESPACE[whitespace])
        case Regex(pattern=pattern):
            return grammar_pb2.Grammar(regex=pattern)
        case Choice(values=values):
            return grammar_pb2.Grammar(choice=grammar_pb2.Choice(values=values))
        case AnyJsonObject(whitespace=whitespace):
            return grammar_pb2.Grammar(
                json_object=grammar_pb2.JsonObject(), whitespace=WHITESPACE[whitespace]
            )
        case Tagged():
            return grammar_pb2.Grammar(tagged=_tagged(grammar))


def _tagged(tagged: Tagged) -> grammar_pb2.Tagged:
    return grammar_pb2.Tagged(
        tags=[
            grammar_pb2.Tag(begin=tag.begin, content=_message(tag.content), end=tag.end)
            for tag in tagged.tags
        ],
        triggers=tagged.triggers,
        at_least_one=tagged.at_least_one,
        stop_after_first=tagged.stop_after_first,
        free_text=FREE_TEXT[tagged.free_text],
        separator=tagged.separator,
        open=tagged.open,
        close=tagged.close,
    )
