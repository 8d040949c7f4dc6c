"""The parts of the fuzzer that a wrong find, or a missed one, would come from."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pytest
from typer.testing import CliRunner

from benchmarks.fuzz.__main__ import app
from benchmarks.fuzz.answers import Answers
from benchmarks.fuzz.orders import in_every_order
from benchmarks.fuzz.patterns import UntranslatableError, to_python, whole_match
from benchmarks.fuzz.probe import Compilation, Examination, Kind, Probe, attempt
from benchmarks.fuzz.reduction import reduced, simpler_texts, simpler_values
from benchmarks.fuzz.reference import NoJudgementError, Reference
from benchmarks.fuzz.writing import plain, read, write
from grammar_service.compiler import compile_grammar
from grammar_service.limits import Limits
from protos import grammar_pb2
from protos.automaton import Automaton

TREE = {"type": "object", "properties": {"v": {"enum": [1, "é"]}, "next": {"items": {"$ref": "#"}}}}


def compiled(schema: Any) -> Automaton:
    grammar = grammar_pb2.Grammar(json_schema=json.dumps(schema), strict=False)
    return Automaton.from_message(compile_grammar(grammar, Limits()).automaton)


@pytest.mark.parametrize("schema", [{}, TREE, {"type": "string", "minLength": 30}, {"const": {"a": [1]}}])
def test_random_answers_are_answers(schema: Any) -> None:
    automaton = compiled(schema)
    answers = Answers(automaton, Random(0))
    drawn = [answers.draw(bytes_before_end=length) for length in range(0, 60, 3)]
    assert all(map(automaton.accepts, drawn))
    assert len(set(drawn)) > 5 or "const" in schema


def test_an_answer_that_ends_at_once_is_as_short_as_can_be() -> None:
    schema = {"type": "array", "items": {"type": "array", "minItems": 2}, "minItems": 1}
    assert len(Answers(compiled(schema), Random(0)).draw(bytes_before_end=0)) == len("[[0, 0]]")


def test_a_find_is_made_as_simple_as_it_can_be() -> None:
    value: Any = {"allOf": [{"minimum": 3, "items": {"pattern": "abcdef"}}, {"type": "null"}]}
    assert reduced(value, simpler_values, lambda each: "cd" in write(each)) == {"pattern": "cd"}
    assert reduced("(ab|c)+d", simpler_texts, lambda each: "c" in each) == "c"


@pytest.mark.parametrize(
    ("ecma", "text", "found"),
    [
        ("^a$", "a\n", False),
        (".", "\u2028", False),
        ("[^]", "\n", True),
        ("[]", "a", False),
        (r"^[[\w.]$", "[", True),
        (r"\u{e9}", "é", True),
        (r"(?<n>a)\B", "a", False),
        (r"\d|\w", "٣é", False),
    ],
)
def test_patterns_are_found_as_ecma262_finds_them(ecma: str, text: str, found: bool) -> None:
    reference = Reference({"pattern": ecma})
    assert (reference.complaint(text, formats=False) is None) is found


@pytest.mark.parametrize("pattern", [r"\p{L}", r"\cA", "[a[]", r"[^\S]", "(a"])
def test_what_python_cannot_say_is_not_judged(pattern: str) -> None:
    with pytest.raises(UntranslatableError):
        to_python(pattern)
    with pytest.raises(NoJudgementError):
        Reference({"patternProperties": {pattern: {}}})


def test_whole_matches_are_pythons_but_for_the_end_and_ascii() -> None:
    assert whole_match("a|ab")("ab")
    assert not whole_match(r"a$\n")("a\n")
    assert whole_match(r"\B")("")
    assert not whole_match(r"\w")("é")


def test_the_reference_is_exact_about_numbers() -> None:
    reference = Reference(read('{"multipleOf": 0.01, "type": "integer"}'))
    assert reference.complaint(read("1e2"), formats=False) is None
    assert reference.complaint(read("0.07"), formats=False) is not None
    hundredths = Reference(read('{"multipleOf": 0.01}'))
    assert hundredths.complaint(read("0.07"), formats=False) is None
    assert hundredths.complaint(read("0.075"), formats=False) is not None


@pytest.mark.parametrize(
    "schema",
    [
        {"type": 3},
        {"dependencies": {}},
        {"items": [{}]},
        {"items": {"$schema": "http://json-schema.org/draft-07/schema#", "type": "integer"}},
    ],
)
def test_a_schema_that_drafts_read_differently_is_not_judged(schema: Any) -> None:
    with pytest.raises(NoJudgementError):
        Reference(schema)


@pytest.mark.parametrize(
    "schema", [{"not": {"format": "ipv4"}}, {"oneOf": [True, {"format": "uri"}]}, {"if": {"format": "date"}}]
)
def test_a_schema_that_may_hold_because_a_format_does_not_is_not_judged(schema: Any) -> None:
    with pytest.raises(NoJudgementError):
        Reference(schema)


def test_numbers_are_written_as_they_are_spelled() -> None:
    value = {"a": [Decimal("1.50"), 10**30, Decimal("1E+400"), True, "é\\"]}
    assert write(value) == '{"a": [1.50, 1' + "0" * 30 + ', 1E+400, true, "\\u00e9\\\\"]}'
    assert read(write(value)) == value
    assert write(plain([Decimal("1.50"), Decimal("2.0")])) == "[1.5, 2]"


def test_every_order_of_the_keys_is_tried() -> None:
    orders = [json.dumps(order) for order in in_every_order([{"a": {"b": 1, "c": 2}, "d": 3}])]
    assert len(set(orders)) == len(orders) == 4


@pytest.mark.parametrize(
    ("kind", "source"),
    [
        (Kind.JSON_SCHEMA, json.dumps(TREE)),
        (Kind.REGEX, "(a|b)*c{2,}"),
        (Kind.JSON_SCHEMA, '{"type": "string"}'),
    ],
)
def test_a_sound_grammar_shows_no_flaw(kind: Kind, source: str) -> None:
    probe = Probe(kind=kind, source=source)
    compilation = attempt(probe)
    assert isinstance(compilation, Compilation)
    assert compilation.automaton
    examination = attempt((probe, compilation.automaton))
    assert isinstance(examination, Examination)
    assert examination.flaw is None
    assert examination.answers > 0
    assert examination.values > 0


@pytest.mark.parametrize(
    ("kind", "asked", "compiled_instead", "flaw"),
    [
        (Kind.JSON_SCHEMA, '{"type": "integer"}', '{"type": "number"}', "accepts what is invalid"),
        (Kind.JSON_SCHEMA, '{"type": "number"}', '{"type": "integer"}', "refuses what is valid"),
        (Kind.REGEX, "[ab]*", "[abc]*", "accepts what does not match"),
        (Kind.REGEX, "[ab1]*", "[ab]*", "differs from Python about a text"),
    ],
)
def test_another_grammars_automaton_is_found_out(
    kind: Kind, asked: str, compiled_instead: str, flaw: str
) -> None:
    compilation = attempt(Probe(kind=kind, source=compiled_instead))
    assert isinstance(compilation, Compilation)
    examination = attempt((Probe(kind=kind, source=asked), compilation.automaton))
    assert isinstance(examination, Examination)
    assert examination.flaw is not None
    assert examination.flaw.flaw == flaw


def test_small_values_find_out_what_few_values_differ_in() -> None:
    compilation = attempt(Probe(kind=Kind.JSON_SCHEMA, source="{}"))
    assert isinstance(compilation, Compilation)
    source = '{"not": {"const": {"a": 1, "b": "a", "z": 1}}}'
    flaws = []
    for small_values in (False, True):
        probe = Probe(kind=Kind.JSON_SCHEMA, source=source, small_values=small_values)
        examination = attempt((probe, compilation.automaton))
        assert isinstance(examination, Examination)
        flaws.append(examination.flaw and examination.flaw.flaw)
    assert flaws == [None, "accepts what is invalid"]


def test_a_refusal_as_a_contradiction_is_doubted() -> None:
    for source, flaw in (('{"type": ["null", "array"]}', "refuses what is valid"), ("false", None)):
        examination = attempt((Probe(kind=Kind.JSON_SCHEMA, source=source), b""))
        assert isinstance(examination, Examination)
        assert (examination.flaw and examination.flaw.flaw) == flaw


def test_what_is_nested_too_deeply_for_the_judge_is_no_flaw() -> None:
    probe = Probe(kind=Kind.JSON_SCHEMA, source='{"const":[' * 200 + "]}" * 200)
    assert attempt((probe, b"")) == Examination()


def test_the_command_tells_what_it_found(tmp_path: Path) -> None:
    output = tmp_path / "finds.json"
    result = CliRunner().invoke(app, ["--minutes", "0", "--folder", str(tmp_path), "--output", str(output)])
    assert result.exit_code == 0, result.output
    assert "none are changed" in result.output
    assert json.loads(output.read_text()) == {"finds": [], "over a limit": []}
