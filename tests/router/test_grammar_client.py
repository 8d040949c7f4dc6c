"""The grammar client, against a real gRPC server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest
from grpc import StatusCode

from protos import automaton_pb2, grammar_pb2
from protos.channel import open_channel
from protos.errors import InvalidRequestError, OverloadedError, UnavailableError
from router.errors import RequestError
from router.grammar import AnyJsonObject, Choice, Grammar, JsonSchema, Regex, Tag, Tagged
from router.grammar_client import KEPT_GRAMMARS, GrammarClient

if TYPE_CHECKING:
    from tests.router.conftest import Services


@pytest.fixture
async def grammars(services: Services) -> AsyncIterator[GrammarClient]:
    async with open_channel(services.grammar_address) as channel:
        yield GrammarClient(channel, seconds=10)


@pytest.mark.parametrize(
    ("grammar", "message"),
    [
        (JsonSchema(text="{}"), grammar_pb2.Grammar(json_schema="{}")),
        (
            JsonSchema(text='{"ä": 1}', strict=False, whitespace="flexible"),
            grammar_pb2.Grammar(
                json_schema='{"ä": 1}', strict=False, whitespace=grammar_pb2.WHITESPACE_FLEXIBLE
            ),
        ),
        (
            JsonSchema(text="true", strict=True, whitespace="compact"),
            grammar_pb2.Grammar(json_schema="true", strict=True, whitespace=grammar_pb2.WHITESPACE_COMPACT),
        ),
        (
            JsonSchema(text="{}", whitespace="single"),
            grammar_pb2.Grammar(json_schema="{}", whitespace=grammar_pb2.WHITESPACE_SINGLE),
        ),
        (Regex(pattern="a+"), grammar_pb2.Grammar(regex="a+")),
        (Choice(values=("a", "b")), grammar_pb2.Grammar(choice=grammar_pb2.Choice(values=["a", "b"]))),
        (AnyJsonObject(), grammar_pb2.Grammar(json_object=grammar_pb2.JsonObject())),
        (
            Tagged(tags=(Tag(begin="a", content=Regex(pattern="b")),)),
            grammar_pb2.Grammar(
                tagged=grammar_pb2.Tagged(
                    tags=[grammar_pb2.Tag(begin="a", content=grammar_pb2.Grammar(regex="b"))],
                    free_text=grammar_pb2.FREE_TEXT_ANYWHERE,
                )
            ),
        ),
        (
            Tagged(
                tags=(Tag(begin="[a", content=AnyJsonObject(), end="c"),),
                triggers=("[",),
                at_least_one=True,
                stop_after_first=True,
                free_text="before",
                separator=",",
                open="o",
                close="p",
            ),
            grammar_pb2.Grammar(
                tagged=grammar_pb2.Tagged(
                    tags=[
                        grammar_pb2.Tag(
                            begin="[a",
                            content=grammar_pb2.Grammar(json_object=grammar_pb2.JsonObject()),
                            end="c",
                        )
                    ],
                    triggers=["["],
                    at_least_one=True,
                    stop_after_first=True,
                    free_text=grammar_pb2.FREE_TEXT_BEFORE,
                    separator=",",
                    open="o",
                    close="p",
                )
            ),
        ),
    ],
)
async def test_every_grammar_has_its_message(
    services: Services, grammars: GrammarClient, grammar: Grammar, message: grammar_pb2.Grammar
) -> None:
    await grammars.compile(grammar)
    assert services.grammars.requests[0].grammar == message


async def test_a_compiled_grammar_is_the_reply_s_automaton(grammars: GrammarClient) -> None:
    compiled = await grammars.compile(Regex(pattern="a"))
    assert compiled.id == "the-id"
    assert automaton_pb2.Automaton.FromString(compiled.automaton).start == 7


async def test_a_refusal_is_a_grammar_that_is_not_valid(grammars: GrammarClient) -> None:
    with pytest.raises(RequestError) as raised:
        await grammars.compile(Regex(pattern="forbidden"))
    assert raised.value.code is StatusCode.INVALID_ARGUMENT
    assert raised.value.detail == (
        "grammar is not valid: /properties/a: keyword `forbidden` is not supported"
    )


async def test_a_refusal_of_the_whole_grammar_does_not_say_so_twice(
    services: Services, grammars: GrammarClient
) -> None:
    services.grammars.failures = [InvalidRequestError("grammar: compiling it takes longer than 6 s")]
    with pytest.raises(RequestError) as raised:
        await grammars.compile(Regex(pattern="a"))
    assert raised.value.detail == "grammar is not valid: compiling it takes longer than 6 s"


async def test_a_service_that_is_briefly_away_is_asked_again(
    services: Services, grammars: GrammarClient
) -> None:
    services.grammars.failures = [UnavailableError("draining"), UnavailableError("draining")]
    assert (await grammars.compile(Regex(pattern="a"))).id == "the-id"
    assert len(services.grammars.requests) == 3


async def test_an_overloaded_service_is_not_asked_again(services: Services, grammars: GrammarClient) -> None:
    services.grammars.failures = [OverloadedError("too many")]
    with pytest.raises(RequestError) as raised:
        await grammars.compile(Regex(pattern="a"))
    assert raised.value.code is StatusCode.RESOURCE_EXHAUSTED
    assert len(services.grammars.requests) == 1


async def test_a_service_that_is_gone_is_unavailable(services: Services, grammars: GrammarClient) -> None:
    await services.stop_grammars()
    with pytest.raises(RequestError, match="the grammar service is unavailable") as raised:
        await grammars.compile(Regex(pattern="a"))
    assert raised.value.code is StatusCode.UNAVAILABLE
    assert not await grammars.healthy()


async def test_a_service_that_never_answers_is_unavailable(services: Services) -> None:
    services.grammars.gate.clear()
    async with open_channel(services.grammar_address) as channel:
        with pytest.raises(RequestError, match="the grammar service is unavailable"):
            await GrammarClient(channel, seconds=0.1).compile(Regex(pattern="a"))


async def test_a_serving_service_is_healthy(grammars: GrammarClient) -> None:
    assert await grammars.healthy()


async def test_a_grammar_that_is_known_is_not_asked_for_again(
    services: Services, grammars: GrammarClient
) -> None:
    first = await grammars.compile(Regex(pattern="a"))
    again = await grammars.compile(Regex(pattern="a"))
    assert (first.origin, again.origin) == ("compiled", "router")
    assert (again.id, again.automaton) == (first.id, first.automaton)
    await grammars.compile(Regex(pattern="b"))
    assert [request.grammar.regex for request in services.grammars.requests] == ["a", "b"]


async def test_only_the_grammars_used_last_are_kept(services: Services, grammars: GrammarClient) -> None:
    for number in range(KEPT_GRAMMARS + 1):
        await grammars.compile(Regex(pattern=str(number)))
    await grammars.compile(Regex(pattern="0"))
    assert len(services.grammars.requests) == KEPT_GRAMMARS + 2
