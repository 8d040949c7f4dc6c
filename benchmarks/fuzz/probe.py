"""One grammar, what the compiler makes of it, and what is wrong with that: what a child process does."""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from random import Random
from typing import Any, NamedTuple

from benchmarks.fuzz.answers import Answers, DeadEndError
from benchmarks.fuzz.evaluation import SMALL_VALUES
from benchmarks.fuzz.mutation import Mutation, parts
from benchmarks.fuzz.orders import in_every_order
from benchmarks.fuzz.patterns import UntranslatableError, whole_match
from benchmarks.fuzz.reference import NoJudgementError, Reference
from benchmarks.fuzz.writing import plain, read, write
from benchmarks.key_order import KeyOrder
from grammar_service.compiler import COMPILER_VERSION, compile_grammar
from grammar_service.grammar import GrammarReader
from grammar_service.limits import Limits
from grammar_service.settings import Settings
from protos import grammar_pb2
from protos.automaton import Automaton
from protos.automaton_pb2 import Automaton as AutomatonMessage
from protos.errors import InvalidRequestError

_MAX_SAMPLED_STATES = 20_000
_ANSWERS = 15
_VALUES = 25
_MAX_ORDERS = 400
_NOT_PROMISED = re.compile(
    r"\d[eE]|\d{16}|\d\.\d{14}|\\ud[89ab]..(?!\\ud[c-f])|(?<!\\ud[89ab]..)\\ud[c-f]", re.IGNORECASE
)
"""What may be refused though it is valid: numbers of many digits, and surrogates that stand alone."""


class Kind(StrEnum):
    """The source of a grammar."""

    JSON_SCHEMA = "json_schema"
    REGEX = "regex"


@dataclass(frozen=True, kw_only=True)
class Probe:
    """A grammar, and the seed of what it is tried with."""

    kind: Kind
    source: str
    strict: bool = False
    whitespace: grammar_pb2.Whitespace = grammar_pb2.WHITESPACE_SINGLE
    seed: int = 0
    small_values: bool = False
    """Whether all of `evaluation.SMALL_VALUES` are tried, beside random values."""

    @property
    def grammar(self) -> grammar_pb2.Grammar:
        """As a caller would send it."""
        if self.kind is Kind.REGEX:
            return grammar_pb2.Grammar(regex=self.source)
        return grammar_pb2.Grammar(json_schema=self.source, strict=self.strict, whitespace=self.whitespace)


class Flaw(NamedTuple):
    """Something that should not be."""

    flaw: str
    """The same for what is likely the same mistake."""
    detail: str


@dataclass(frozen=True, kw_only=True)
class Compilation:
    """What came of compiling a probe: an automaton, a refusal or a flaw."""

    automaton: bytes = b""
    refusal: str = ""
    flaw: Flaw | None = None


@dataclass(frozen=True, kw_only=True)
class Examination:
    """What came of trying an automaton."""

    flaw: Flaw | None = None
    answers: int = 0
    """How many of its answers were judged."""
    values: int = 0
    """How many other values were judged."""


def attempt(task: Probe | tuple[Probe, bytes]) -> Compilation | Examination:
    """A child's task: compile a probe, or examine what that gave: no bytes, if nothing can satisfy it."""
    if isinstance(task, Probe):
        return compile_probe(task)
    probe, automaton = task
    random = Random(probe.seed)
    try:
        if not automaton:
            return _examine_contradiction(probe, random)
        if probe.kind is Kind.REGEX:
            return _examine_expression(probe, automaton, random)
        return _examine_schema(probe, automaton, random)
    except DeadEndError as error:
        return Examination(flaw=Flaw("an allowed beginning has no end", str(error)))
    except InvalidRequestError as error:
        return Examination(flaw=Flaw("the automaton is none that can be read", str(error)))
    except RecursionError:  # of the judge: the values of such a schema are nested too deeply for Python
        return Examination()


def compile_probe(probe: Probe) -> Compilation:
    """Compile as the service does; what the service would not compile is compiled as it stands."""
    settings = Settings()
    reader = GrammarReader(
        limits=Limits(), compiler_version=COMPILER_VERSION, max_source_bytes=settings.max_source_bytes
    )
    try:
        grammar = probe.grammar
        try:
            grammar = grammar_pb2.Grammar.FromString(reader.read(grammar).message)
        except InvalidRequestError as refusal:
            compile_grammar(grammar, Limits())
            return Compilation(refusal=str(refusal))
        return Compilation(automaton=compile_grammar(grammar, Limits()).automaton.SerializeToString())
    except InvalidRequestError as refusal:
        return Compilation(refusal=str(refusal))
    except MemoryError:
        raise
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        kind = f"{type(error).__name__} in {last.name}, {last.filename.rpartition('/')[2]}"
        return Compilation(flaw=Flaw(kind, traceback.format_exc()[-2000:]))


def _examine_expression(probe: Probe, message: bytes, random: Random) -> Examination:
    automaton = Automaton.from_message(AutomatonMessage.FromString(message))
    texts = [answer.decode() for answer in _answers(automaton, random)]
    try:
        matches = whole_match(probe.source)
    except UntranslatableError:
        return Examination()
    for text in texts:
        if not matches(text):
            return Examination(flaw=Flaw("accepts what does not match", repr(text)))
    mutation = Mutation(random, [])
    others = [mutation.of_text(mutation.of_text(random.choice([*texts, "ab"]))) for _ in range(_VALUES)]
    for text in others:
        if matches(text) != automaton.accepts(text.encode()):
            return Examination(flaw=Flaw("differs from Python about a text", repr(text)))
    return Examination(answers=len(texts), values=len(others))


def _answers(automaton: Automaton, random: Random) -> list[bytes]:
    if automaton.num_states > _MAX_SAMPLED_STATES:
        return []
    answers = Answers(automaton, random)
    return [answers.draw(bytes_before_end=random.choice([0, 5, 20, 60, 120])) for _ in range(_ANSWERS)]


def _examine_schema(probe: Probe, message: bytes, random: Random) -> Examination:
    automaton = Automaton.from_message(AutomatonMessage.FromString(message))
    schema = read(probe.source)
    try:
        reference = Reference(schema)
    except NoJudgementError:
        reference = None
    values = []
    for answer in _answers(automaton, random):
        try:
            value = read(answer.decode())
        except ValueError as error:
            return Examination(flaw=Flaw("accepts what is not JSON", f"{answer!r}: {error}"))
        values.append(value)
        try:
            complaint = reference and reference.complaint(value, formats=True)
        except NoJudgementError:
            reference = None
            continue
        if complaint:
            return Examination(flaw=Flaw("accepts what is invalid", f"{answer!r}: {complaint}"))
    if reference is None or probe.strict:
        return Examination(answers=len(values) if reference else 0)
    return _examine_values(probe, automaton.accepts, reference, schema, values, random)


def _examine_contradiction(probe: Probe, random: Random) -> Examination:
    """Try values on a schema that was refused because there are no valid ones."""
    schema = read(probe.source)
    try:
        reference = Reference(schema)
    except NoJudgementError:
        return Examination()
    return _examine_values(probe, lambda answer: False, reference, schema, [], random)


def _examine_values(
    probe: Probe,
    accepts: Callable[[bytes], bool],
    reference: Reference,
    schema: Any,
    answers: list[Any],
    random: Random,
) -> Examination:
    compact = probe.whitespace == grammar_pb2.WHITESPACE_COMPACT
    separators = (",", ":") if compact else (", ", ": ")
    judged = 0
    for value in _candidates(probe, schema, answers, random):
        text = write(value, separators=separators)
        try:
            complaint = reference.complaint(value, formats=False)
        except NoJudgementError:
            continue
        judged += 1
        if complaint:
            if accepts(text.encode()):
                return Examination(flaw=Flaw("accepts what is invalid", f"{text!r}: {complaint}"))
        elif not (_NOT_PROMISED.search(text) or reference.enforces_formats):
            orders = islice(_orders(value, schema), _MAX_ORDERS + 1)
            tried = [write(order, separators=separators).encode() for order in orders]
            if len(tried) <= _MAX_ORDERS and not any(map(accepts, tried)):
                return Examination(flaw=Flaw("refuses what is valid", text))
    return Examination(answers=len(answers), values=judged)


def _candidates(probe: Probe, schema: Any, answers: list[Any], random: Random) -> Iterator[Any]:
    """Values like the answers, and others."""
    mutation = Mutation(random, parts(schema)[:300])
    for _ in range(_VALUES):
        yield plain(mutation.of(random.choice([None, {}, [], *answers]), changes=random.randint(1, 3)))
    if probe.small_values:
        yield from SMALL_VALUES


def _orders(value: Any, schema: Any) -> Iterator[Any]:
    """The value with its keys in the schema's order first."""
    yield KeyOrder(schema).reordered(value)
    yield from in_every_order(value)
