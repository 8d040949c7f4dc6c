"""The use case: compile the grammar, let the shard generate, hand on its events."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from router.errors import RequestError

FinishReason = Literal["length", "eos_token", "stop_sequence"]
Whitespace = Literal["single", "compact", "flexible"]


@dataclass(frozen=True, kw_only=True)
class JsonSchema:
    """The answer is JSON that satisfies a schema. None leaves an option to the grammar service."""

    text: str
    """The schema as JSON text; its keys keep the caller's order."""
    strict: bool | None = None
    whitespace: Whitespace | None = None


@dataclass(frozen=True, kw_only=True)
class Regex:
    """The whole answer matches a regular expression."""

    pattern: str


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The answer is one of some strings."""

    values: tuple[str, ...]


Grammar: TypeAlias = JsonSchema | Regex | Choice


@dataclass(frozen=True, kw_only=True)
class CompiledGrammar:
    """A grammar that a shard can follow. Only the two clients know what the bytes mean."""

    id: str
    automaton: bytes


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How tokens are chosen. Every value is in range; None leaves the model's distribution alone."""

    do_sample: bool = False
    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    typical_p: float | None = None
    repetition_penalty: float | None = None
    frequency_penalty: float | None = None
    watermark: bool = False
    seed: int | None = None


@dataclass(frozen=True, kw_only=True)
class GenerationRequest:
    """What is asked for, in no dialect. Every value is in range but those that only the model can judge."""

    inputs: str
    sampling: Sampling = Sampling()
    max_new_tokens: int | None = None
    """None: as many as the model has room for."""
    stop: tuple[str, ...] = ()
    truncate: int | None = None
    """Keep only this many tokens of the prompt, the last ones. None: all."""
    grammar: Grammar | None = None
    adapter_id: str | None = None
    """The LoRA adapter to generate with; only the shard knows which are loaded."""
    n: int = 1
    """Answers to generate, each for itself."""
    top_n_tokens: int = 0
    """Likeliest tokens to tell beside each one that is generated."""
    prefill_logprobs: bool = False
    """Whether to tell the tokens of the prompt, with what the model thinks of them."""


@dataclass(frozen=True, kw_only=True)
class Token:
    """One token of an answer."""

    id: int
    text: str
    logprob: float | None
    """Natural logarithm; None if it is not a finite number, which JSON cannot say."""
    special: bool


@dataclass(frozen=True, kw_only=True)
class PrefillToken:
    """One token of a prompt."""

    id: int
    text: str
    logprob: float | None
    """Natural logarithm; None for the first token, and if it is not a finite number."""


@dataclass(frozen=True, kw_only=True)
class Completion:
    """What is known once the last token is there."""

    text: str
    finish_reason: FinishReason
    generated_tokens: int
    input_tokens: int
    seed: int | None
    cumulative_logprob: float
    queue_seconds: float
    inference_seconds: float


@dataclass(frozen=True, kw_only=True)
class TokenEvent:
    """One step of one of the answers. Only the last event of each answer has a completion."""

    token: Token
    completion: Completion | None
    index: int = 0
    """Which of the answers this is."""
    top_tokens: tuple[Token, ...] = ()
    """As many of the likeliest tokens as were asked for, the likeliest first."""
    prefill: tuple[PrefillToken, ...] = ()
    """The prompt, if it was asked for; on the first event of a stream only."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A whole answer."""

    tokens: list[Token]
    completion: Completion
    top_tokens: list[tuple[Token, ...]]
    """Of each of `tokens`, as many of the likeliest as were asked for."""

    @property
    def mean_logprob(self) -> float:
        """By which TGI tells which of several answers is the best."""
        return self.completion.cumulative_logprob / self.completion.generated_tokens


@dataclass(frozen=True, kw_only=True)
class Model:
    """What a shard serves, and within which limits."""

    id: str
    sha: str | None
    dtype: str
    device: str
    max_input_tokens: int
    max_total_tokens: int
    version: str


class GrammarCompiler(Protocol):
    """Turns grammars into automata. Every method but `healthy` raises `RequestError`."""

    async def compile(self, grammar: Grammar) -> CompiledGrammar:
        """The automaton of `grammar`, compiled now or found."""
        ...

    async def healthy(self) -> bool:
        """Whether the service behind it would take a request now."""
        ...


class Generator(Protocol):
    """Runs a model. Every method but `healthy` raises `RequestError`."""

    def generate(
        self, request: GenerationRequest, grammar: CompiledGrammar | None
    ) -> AbstractAsyncContextManager[AsyncIterator[TokenEvent]]:
        """The events of the answers; leaving the block for any reason ends the generation."""
        ...

    async def model(self) -> Model:
        """What is served."""
        ...

    async def healthy(self) -> bool:
        """Whether the service behind it would take a request now."""
        ...


class Generations:
    """The generations under way, at most `limit`: each one holds a permit while its block is open."""

    def __init__(self, *, grammars: GrammarCompiler, generator: Generator, limit: int) -> None:
        self._grammars = grammars
        self._generator = generator
        self._permits = limit

    @asynccontextmanager
    async def run(self, request: GenerationRequest) -> AsyncIterator[AsyncIterator[TokenEvent]]:
        """The events of the answers to `request`, its grammar compiled by the time the block is entered.

        The stream ends with the last answer's completion, or in a `RequestError`.

        Raises:
            RequestError: no permit is left, the grammar is refused, or a service cannot be reached.
        """
        if not self._permits:
            raise RequestError.overloaded()
        self._permits -= 1
        try:
            grammar = await self._grammars.compile(request.grammar) if request.grammar else None
            async with (
                self._generator.generate(request, grammar) as events,
                aclosing(_completed(events, request.n)) as completed,
            ):
                yield completed
        finally:
            self._permits += 1


@dataclass(frozen=True, kw_only=True)
class Collected:
    """All answers to a request, by their indices, and the tokens of its prompt if they were asked for."""

    answers: list[Answer]
    prefill: tuple[PrefillToken, ...]


async def collect(events: AsyncIterator[TokenEvent]) -> Collected:
    """All of a stream.

    Raises:
        RequestError: the stream fails or ends early.
    """
    collected: dict[int, list[TokenEvent]] = {}
    prefill: tuple[PrefillToken, ...] = ()
    async for event in events:
        collected.setdefault(event.index, []).append(event)
        prefill = prefill or event.prefill
    return Collected(answers=[_answer(collected[index]) for index in sorted(collected)], prefill=prefill)


def _answer(events: list[TokenEvent]) -> Answer:
    completion = events[-1].completion
    if completion is None:
        raise RequestError.incomplete()
    return Answer(
        tokens=[event.token for event in events],
        completion=completion,
        top_tokens=[event.top_tokens for event in events],
    )


async def _completed(events: AsyncIterator[TokenEvent], count: int) -> AsyncGenerator[TokenEvent, None]:
    """The events up to the last completion of `count`."""
    async for event in events:
        count -= event.completion is not None
        yield event
        if not count:
            return
    raise RequestError.incomplete()
