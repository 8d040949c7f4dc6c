"""The use case: compile the grammar, let the shard generate, hand on its events."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Literal, NamedTuple, Protocol, TypeAlias

from router.errors import RequestError
from router.metrics import Metrics

FinishReason = Literal["length", "eos_token", "stop_sequence"]
Whitespace = Literal["single", "compact", "flexible"]
FreeText = Literal["anywhere", "before", "nowhere"]
Complete = Literal["auto", "required", "off"]


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


@dataclass(frozen=True, kw_only=True)
class AnyJsonObject:
    """The answer is a JSON object, whatever its members."""

    whitespace: Whitespace | None = None


UntaggedGrammar: TypeAlias = JsonSchema | Regex | Choice | AnyJsonObject


@dataclass(frozen=True, kw_only=True)
class Tag:
    """A kind of part: a text that opens it, what comes then, and the text that closes it."""

    begin: str
    content: UntaggedGrammar
    end: str = ""


@dataclass(frozen=True, kw_only=True)
class Tagged:
    """The answer is text with tagged parts. What each field means is told in grammar.proto."""

    tags: tuple[Tag, ...]
    triggers: tuple[str, ...] = ()
    at_least_one: bool = False
    stop_after_first: bool = False
    free_text: FreeText = "anywhere"
    separator: str = ""
    open: str = ""
    close: str = ""


Grammar: TypeAlias = UntaggedGrammar | Tagged


Origin = Literal["router", "memory", "redis", "compiled", "refused"]
"""Where a compiled grammar was found: in this process, in the grammar service, or nowhere."""


@dataclass(frozen=True, kw_only=True)
class CompiledGrammar:
    """A grammar that a shard can follow. Only the two clients know what the bytes mean."""

    id: str
    automaton: bytes
    origin: Origin


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How tokens are chosen. Every value is in range; None leaves the model's distribution alone."""

    do_sample: bool = False
    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    typical_p: float | None = None
    min_p: float | None = None
    repetition_penalty: float | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    logit_bias: tuple[tuple[int, float], ...] = ()
    """Tokens, and what is added to their logits."""
    watermark: bool = False
    seed: int | None = None


@dataclass(frozen=True, kw_only=True)
class GenerationRequest:
    """What is asked for, in no dialect. Every value is in range but those that only the model can judge."""

    inputs: str
    sampling: Sampling = Sampling()
    max_new_tokens: int | None = None
    """None: as many as the model has room for."""
    min_new_tokens: int = 0
    stop: tuple[str, ...] = ()
    exclude_stop: bool = False
    """Whether the text ends before the stop string that ends the answer."""
    stop_tokens: tuple[int, ...] = ()
    """Tokens that end the answer."""
    ignore_eos: bool = False
    """Whether to go on after an end-of-sequence token."""
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
    add_special_tokens: bool = True
    """Whether the prompt gets the special tokens that go around it; a chat template has written them."""
    complete: Complete = "auto"
    """Whether an answer with a grammar ends in time: if it can, or else the request is refused, or never."""


class Token(NamedTuple):
    """One token of an answer. (A tuple, as the event is: they are made for every token that is streamed.)"""

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


class TokenEvent(NamedTuple):
    """One step of one of the answers. Only the last event of each answer has a completion."""

    token: Token
    completion: Completion | None
    index: int = 0  # type: ignore[assignment] # hides a method of tuples that nobody calls
    """Which of the answers this is."""
    top_tokens: tuple[Token, ...] = ()
    """As many of the likeliest tokens as were asked for, the likeliest first."""
    prefill: tuple[PrefillToken, ...] = ()
    """The prompt, if it was asked for; on the first event of a stream only."""


@dataclass(frozen=True, kw_only=True)
class Span:
    """A token of a text, and the characters [start, stop) that it stands for."""

    id: int
    text: str
    start: int
    stop: int


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
    chat_templates: Mapping[str, str]
    """Jinja templates for conversations, by name."""
    special_tokens: Mapping[str, str]
    """The texts of special tokens, by the names that chat templates have for them."""


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """What a shard is doing; counts are since it started."""

    running: int
    """Answers that the model works on."""
    waiting: int
    cache_tokens_used: int
    cache_tokens: int
    steps: int
    mask_first_visits: int
    mask_hits: int
    mask_seconds: float
    late_masks: int
    """Times that an answer waited a step for its mask."""
    drafted_tokens: int | None
    """Tokens that grammars forced; None if the shard does not do that."""
    accepted_tokens: int | None


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

    async def statistics(self) -> Statistics:
        """What it is doing."""
        ...

    async def tokenize(self, text: str, *, add_special_tokens: bool) -> list[Span]:
        """The tokens of `text`, with those that a prompt gets around it if `add_special_tokens`."""
        ...

    async def healthy(self) -> bool:
        """Whether the service behind it would take a request now."""
        ...


class Generations:
    """The generations under way, at most `limit`: each one holds a permit while its block is open."""

    def __init__(
        self, *, grammars: GrammarCompiler, generator: Generator, limit: int, metrics: Metrics
    ) -> None:
        self._grammars = grammars
        self._metrics = metrics
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
        began = perf_counter()
        try:
            grammar = await self._compiled(request.grammar) if request.grammar else None
            self._metrics.begun(request, perf_counter() - began)
            async with (
                self._generator.generate(request, grammar) as events,
                aclosing(self._completed(events, request.n)) as completed,
            ):
                yield completed
        finally:
            self._permits += 1

    async def _compiled(self, grammar: Grammar) -> CompiledGrammar:
        began = perf_counter()
        try:
            compiled = await self._grammars.compile(grammar)
        except RequestError:
            self._metrics.compiled("refused", perf_counter() - began)
            raise
        self._metrics.compiled(compiled.origin, perf_counter() - began)
        return compiled

    async def _completed(
        self, events: AsyncIterator[TokenEvent], count: int
    ) -> AsyncGenerator[TokenEvent, None]:
        """The events up to the last completion of `count`."""
        async for event in events:
            if event.completion:
                self._metrics.completed(event.completion)
                count -= 1
            yield event
            if not count:
                return
        raise RequestError.incomplete()
