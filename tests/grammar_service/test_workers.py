"""Workers with real processes, and compilers that misbehave in every way."""

from __future__ import annotations

import asyncio
import gc
import os
import re
import signal
from collections.abc import AsyncIterator, Callable

import psutil
import pytest

from grammar_service.grammar import CanonicalGrammar, GrammarReader
from grammar_service.limits import Limits
from grammar_service.outcome import Compiled, Outcome, Refused
from grammar_service.workers import Workers
from protos import automaton_pb2, grammar_pb2
from protos.errors import InvalidRequestError, OverloadedError

MEMORY = 256 << 20


class FussyError(InvalidRequestError):
    """Cannot be unpickled, as its arguments are keywords."""

    def __init__(self, *, keyword: str) -> None:
        super().__init__(f"/a: {keyword} is not supported")


def loop() -> None:
    while True:
        pass


def stay_in_native_code() -> None:
    re.fullmatch("(a*)*b", "a" * 60)


def eat_memory() -> None:
    chunks = []
    while True:
        chunks.append(b"x" * (1 << 20))


def nest() -> None:
    nest()


def refuse() -> None:
    raise FussyError(keyword="uniqueItems")


def stumble() -> None:
    raise FussyError()  # type: ignore[call-arg] # a TypeError is the point


DEEDS: dict[str, Callable[[], object]] = {
    "loop": loop,
    "native": stay_in_native_code,
    "eat": eat_memory,
    "crash": lambda: os._exit(7),
    "abort": os.abort,
    "vanish": lambda: os._exit(0),
    "nest": nest,
    "refuse": refuse,
    "bug": stumble,
}


def compile_as_told(grammar: grammar_pb2.Grammar, limits: Limits) -> Compiled:
    """Does what the regex says; runs in a worker."""
    word = grammar.regex.split()[0]
    if word in DEEDS:
        DEEDS[word]()
    size = 64 << 20 if word == "large" else 8
    automaton = automaton_pb2.Automaton(
        num_states=limits.max_states, byte_classes=grammar.regex.encode(), transitions=bytes(size)
    )
    return Compiled(automaton, grammar_pb2.Summary(shortest_answer=word))


def grammar_of(regex: str) -> CanonicalGrammar:
    reader = GrammarReader(limits=Limits(), compiler_version="1", max_source_bytes=1_000_000)
    return reader.read(grammar_pb2.Grammar(regex=regex))


def expected(regex: str) -> Compiled:
    automaton = automaton_pb2.Automaton(num_states=99, byte_classes=regex.encode(), transitions=bytes(8))
    return Compiled(automaton, grammar_pb2.Summary(shortest_answer=regex.split()[0]))


def workers_of(
    *,
    seconds: float = 60.0,
    quick_seconds: float = 30.0,
    queue_seconds: float = 60.0,
    queue_length: int = 100,
    memory_bytes: int = MEMORY,
) -> Workers:
    return Workers(
        compile_as_told,
        prepare=gc.freeze,
        limits=Limits(max_states=99),
        workers=1,
        slow_workers=1,
        seconds=seconds,
        quick_seconds=quick_seconds,
        queue_seconds=queue_seconds,
        queue_length=queue_length,
        memory_bytes=memory_bytes,
    )


@pytest.fixture
async def workers() -> AsyncIterator[Workers]:
    async with workers_of() as workers:
        yield workers


@pytest.fixture
async def hasty_workers() -> AsyncIterator[Workers]:
    """They give up after a second, and after a third of one in the quick lane."""
    async with workers_of(seconds=1.0, quick_seconds=0.3) as workers:
        yield workers


def worker_processes() -> list[psutil.Process]:
    """The processes of all lanes: children of the fork server, which is a child of this process."""
    return [
        worker
        for child in psutil.Process().children()
        for worker in child.children()
        if "multiprocessing.forkserver" in " ".join(worker.cmdline())
    ]


async def test_a_grammar_is_compiled_within_the_limits(workers: Workers) -> None:
    assert await workers.compile(grammar_of("a+")) == expected("a+")


async def test_what_the_compiler_refuses_is_a_lasting_refusal(workers: Workers) -> None:
    outcome = await workers.compile(grammar_of("refuse"))
    assert outcome == Refused("/a: uniqueItems is not supported")
    assert await workers.compile(grammar_of("next")) == expected("next")


async def test_a_grammar_too_deep_for_the_compiler_is_refused(workers: Workers) -> None:
    assert await workers.compile(grammar_of("nest")) == Refused("grammar: it is nested too deeply")


async def test_an_automaton_too_large_to_send_is_refused() -> None:
    async with workers_of(memory_bytes=4 * MEMORY) as roomy:
        outcome = await roomy.compile(grammar_of("large"))
    assert outcome == Refused("grammar: the automaton is too large to send")


async def test_a_bug_in_the_compiler_is_reported_with_its_traceback(workers: Workers) -> None:
    with pytest.raises(RuntimeError, match="in compile_as_told"):
        await workers.compile(grammar_of("bug"))
    assert await workers.compile(grammar_of("next")) == expected("next")


@pytest.mark.parametrize("regex", ["loop", "native"])
async def test_a_grammar_that_takes_too_long_is_refused_and_its_process_ended(
    hasty_workers: Workers, regex: str
) -> None:
    outcome = await hasty_workers.compile(grammar_of(regex))
    assert outcome == Refused("grammar: compiling it takes longer than 1 s", lasting=False)
    assert await hasty_workers.compile(grammar_of("next")) == expected("next")


async def test_a_grammar_that_takes_too_much_memory_is_refused(workers: Workers) -> None:
    outcome = await workers.compile(grammar_of("eat"))
    assert outcome == Refused("grammar: compiling it takes more than 256 MB", lasting=False)
    assert await workers.compile(grammar_of("next")) == expected("next")


@pytest.mark.parametrize("regex", ["crash", "abort"])
async def test_a_grammar_that_kills_its_worker_is_refused(workers: Workers, regex: str) -> None:
    outcome = await workers.compile(grammar_of(regex))
    assert isinstance(outcome, Refused)
    assert "the compiler died of it" in outcome.message
    assert not outcome.lasting
    assert await workers.compile(grammar_of("next")) == expected("next")


async def test_a_worker_that_vanishes_without_an_error_is_noticed_as_well(hasty_workers: Workers) -> None:
    outcome = await hasty_workers.compile(grammar_of("vanish"))
    assert isinstance(outcome, Refused)
    assert await hasty_workers.compile(grammar_of("next")) == expected("next")


async def test_ordinary_grammars_are_served_while_hostile_ones_burn(hasty_workers: Workers) -> None:
    hostile = [asyncio.create_task(hasty_workers.compile(grammar_of(f"loop {n}"))) for n in range(3)]
    served = await asyncio.gather(*(hasty_workers.compile(grammar_of(f"good {n}")) for n in range(50)))
    assert served == [expected(f"good {n}") for n in range(50)]
    assert not hostile[-1].done(), "they waited for the hostile ones to be refused"
    assert all(isinstance(outcome, Refused) for outcome in await asyncio.gather(*hostile))


async def test_workers_killed_from_outside_are_replaced(workers: Workers) -> None:
    await workers.compile(grammar_of("first"))
    for process in worker_processes():
        process.kill()
        process.wait(10)
    assert await workers.compile(grammar_of("next")) == expected("next")


async def test_a_worker_killed_from_outside_costs_its_grammar_nothing(workers: Workers) -> None:
    await workers.compile(grammar_of("first"))
    (process,) = worker_processes()
    process.send_signal(signal.SIGSTOP)  # so that it surely is at work when it is killed
    tasks = [asyncio.create_task(workers.compile(grammar_of(f"good {n}"))) for n in range(5)]
    await asyncio.sleep(0)
    process.kill()
    assert await asyncio.gather(*tasks) == [expected(f"good {n}") for n in range(5)]


async def test_a_grammar_waits_only_so_long_for_a_worker() -> None:
    async with workers_of(seconds=1.0, quick_seconds=0.3, queue_seconds=0.05) as workers:
        tasks = [asyncio.create_task(workers.compile(grammar_of(f"loop {n}"))) for n in range(3)]
        outcomes: list[Outcome | BaseException] = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(outcomes[0], Refused)
    assert isinstance(outcomes[1], OverloadedError)
    assert isinstance(outcomes[2], OverloadedError)


async def test_one_grammar_too_many_in_the_queue_is_turned_away_at_once() -> None:
    async with workers_of(queue_length=1) as workers:
        tasks = [asyncio.create_task(workers.compile(grammar_of(f"good {n}"))) for n in range(4)]
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert outcomes[:3] == [expected(f"good {n}") for n in range(3)]
    assert isinstance(outcomes[3], OverloadedError)


async def test_no_process_is_left_behind() -> None:
    async with workers_of() as workers:
        await workers.compile(grammar_of("first"))
        task = asyncio.create_task(workers.compile(grammar_of("loop")))
        await asyncio.sleep(0)
        processes = worker_processes()
        assert processes
    task.cancel()
    assert not any(process.is_running() for process in processes)
