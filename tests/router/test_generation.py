"""The use case, against fakes of its two seams."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from grpc import StatusCode

from router.answers import collect
from router.errors import RequestError
from router.generation import Generations
from router.grammar import CompiledGrammar, Grammar, Regex
from router.metrics import Metrics
from router.model import Model, Span, Statistics
from router.request import GenerationRequest
from router.token_event import Completion, PrefillToken, Token, TokenEvent


class OneGrammar:
    """Compiles every grammar to the same bytes."""

    async def compile(self, grammar: Grammar) -> CompiledGrammar:
        return CompiledGrammar(id="one", automaton=b"automaton", origin="compiled")

    async def healthy(self) -> bool:
        return True


class Counter:
    """Counts to `count`; the last number comes with a completion if it `completes`."""

    def __init__(self, *, count: int, completes: bool = True) -> None:
        self._count = count
        self._completes = completes
        self.under_way = 0
        self.grammars: list[CompiledGrammar | None] = []

    @asynccontextmanager
    async def generate(
        self, request: GenerationRequest, grammar: CompiledGrammar | None
    ) -> AsyncIterator[AsyncIterator[TokenEvent]]:
        self.grammars.append(grammar)
        self.under_way += 1
        try:
            yield self._events()
        finally:
            self.under_way -= 1

    async def _events(self) -> AsyncIterator[TokenEvent]:
        for number in range(1, self._count + 1):
            token = Token(id=number, text=str(number), logprob=-1.0, special=False)
            last = self._completes and number == self._count
            yield TokenEvent(token=token, completion=self._completion() if last else None)

    def _completion(self) -> Completion:
        text = "".join(map(str, range(1, self._count + 1)))
        return Completion(
            text=text,
            finish_reason="length",
            generated_tokens=self._count,
            input_tokens=1,
            seed=None,
            cumulative_logprob=-1.0 * self._count,
            queue_seconds=0.0,
            inference_seconds=0.0,
        )

    async def model(self) -> Model:
        raise NotImplementedError

    async def statistics(self) -> Statistics:
        raise NotImplementedError

    async def tokenize(self, text: str, *, add_special_tokens: bool) -> list[Span]:
        raise NotImplementedError

    async def healthy(self) -> bool:
        return True


def generations(counter: Counter, *, limit: int = 1) -> Generations:
    return Generations(grammars=OneGrammar(), generator=counter, limit=limit, metrics=Metrics())


async def test_an_answer_has_every_token_and_the_completion() -> None:
    async with generations(Counter(count=3)).run(GenerationRequest(inputs="x")) as events:
        (answer,) = (await collect(events)).answers
    assert [token.text for token in answer.tokens] == ["1", "2", "3"]
    assert answer.completion.text == "123"


def event(index: int, text: str, *, last: bool = False, prefill: tuple[PrefillToken, ...] = ()) -> TokenEvent:
    token = Token(id=0, text=text, logprob=-1.0, special=False)
    completion = Completion(
        text=text,
        finish_reason="length",
        generated_tokens=2,
        input_tokens=1,
        seed=None,
        cumulative_logprob=-3.0,
        queue_seconds=0.0,
        inference_seconds=0.0,
    )
    return TokenEvent(
        token=token,
        completion=completion if last else None,
        index=index,
        top_tokens=(token,),
        prefill=prefill,
    )


async def test_answers_that_come_mixed_are_told_apart() -> None:
    prompt = (PrefillToken(id=1, text="x", logprob=None),)

    async def mixed() -> AsyncIterator[TokenEvent]:
        yield event(0, "a", prefill=prompt)
        yield event(1, "x")
        yield event(1, "y", last=True)
        yield event(0, "b", last=True)

    collected = await collect(mixed())
    texts = [[token.text for token in answer.tokens] for answer in collected.answers]
    assert texts == [["a", "b"], ["x", "y"]]
    assert collected.prefill == prompt
    assert collected.answers[0].mean_logprob == -1.5
    assert [len(tokens) for tokens in collected.answers[0].top_tokens] == [1, 1]


async def test_a_stream_with_an_answer_missing_is_incomplete() -> None:
    with pytest.raises(RequestError) as raised:
        async with generations(Counter(count=3)).run(GenerationRequest(inputs="x", n=2)) as events:
            await collect(events)
    assert raised.value.code is StatusCode.DATA_LOSS


async def test_a_stream_without_a_completion_is_incomplete() -> None:
    running = generations(Counter(count=3, completes=False))
    with pytest.raises(RequestError) as raised:
        async with running.run(GenerationRequest(inputs="x")) as events:
            await collect(events)
    assert raised.value.code is StatusCode.DATA_LOSS


async def test_a_grammar_is_compiled_for_the_generator_and_only_if_there_is_one() -> None:
    counter = Counter(count=1)
    running = generations(counter)
    for grammar in (None, Regex(pattern="a")):
        async with running.run(GenerationRequest(inputs="x", grammar=grammar)) as events:
            await collect(events)
    assert counter.grammars == [None, CompiledGrammar(id="one", automaton=b"automaton", origin="compiled")]


async def test_one_more_than_the_limit_is_refused_until_a_permit_is_free() -> None:
    running = generations(Counter(count=1))
    request = GenerationRequest(inputs="x")
    async with running.run(request):
        with pytest.raises(RequestError) as raised:
            async with running.run(request):
                pass
        assert raised.value.code is StatusCode.RESOURCE_EXHAUSTED
    async with running.run(request) as events:
        assert (await collect(events)).answers[0].completion.text == "1"


async def test_leaving_early_ends_the_generation_and_frees_the_permit() -> None:
    counter = Counter(count=100)
    running = generations(counter)
    for _ in range(3):
        async with running.run(GenerationRequest(inputs="x")) as events:
            assert (await anext(events)).token.text == "1"
            assert counter.under_way == 1
        assert counter.under_way == 0
