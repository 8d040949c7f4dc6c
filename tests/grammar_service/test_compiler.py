"""Whole grammars of every kind, as a caller sends them."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grammar_service.compiler import compile_grammar
from grammar_service.limits import Limits
from protos import grammar_pb2
from protos.automaton import Automaton, Configuration
from protos.errors import InvalidRequestError

IPV4 = r"((25[0-5]|2[0-4]\d|[01]?\d\d?)\.){3}(25[0-5]|2[0-4]\d|[01]?\d\d?)"
ANIMALS = {
    "properties": {
        "location": {"type": "string"},
        "activity": {"type": "string"},
        "animals_seen": {"type": "integer", "minimum": 1, "maximum": 5},
        "animals": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["location", "activity", "animals_seen", "animals"],
}
SEEN = {"location": "park", "activity": "biking", "animals_seen": 3, "animals": ["puppy", "cat"]}

TAGGED = grammar_pb2.Tagged(
    tags=[
        grammar_pb2.Tag(begin="<é>", content=grammar_pb2.Grammar(json_object=grammar_pb2.JsonObject())),
        grammar_pb2.Tag(begin="<éa", content=grammar_pb2.Grammar(regex="[a-z]*"), end=">"),
    ],
    at_least_one=True,
)


def compiled(**fields: object) -> Automaton:
    grammar = grammar_pb2.Grammar(**fields)  # type: ignore[arg-type]
    return Automaton.from_message(compile_grammar(grammar, Limits(max_states=50_000)).automaton)


def test_the_schema_of_the_guidance_guide_means_what_it_says() -> None:
    automaton = compiled(json_schema=json.dumps(ANIMALS))
    assert automaton.accepts(json.dumps(SEEN).encode())
    for wrong in (
        {"animals_seen": 0},
        {"animals_seen": 6},
        {"animals": "cat"},
        {"location": None},
        {"more": 1},
    ):
        assert not automaton.accepts(json.dumps(SEEN | wrong).encode())
    assert not automaton.accepts(b"5")  # a schema with properties means an object, if read strictly


@pytest.mark.parametrize("schema", [{"type": "integer"}, {"type": ["integer", "null"], "multipleOf": 5}])
def test_an_integer_is_written_as_digits_which_every_parser_reads_as_one(schema: Any) -> None:
    automaton = compiled(json_schema=json.dumps(schema))
    assert automaton.accepts(b"-10")
    assert not any(automaton.accepts(spelling) for spelling in (b"-10.0", b"1e1"))
    assert compiled(json_schema=json.dumps(schema), strict=False).accepts(b"-10.0")


def test_without_strict_a_schema_has_json_schemas_own_meaning() -> None:
    automaton = compiled(json_schema=json.dumps(ANIMALS), strict=False)
    for valid in (SEEN, SEEN | {"more": [1]}, 5, "text"):
        assert automaton.accepts(json.dumps(valid).encode())
    assert not automaton.accepts(json.dumps(SEEN | {"animals_seen": 6}).encode())


@pytest.mark.parametrize(
    ("whitespace", "text", "accepted"),
    [
        ("SINGLE", '{"a": [1, 2], "b": {}}', True),
        ("SINGLE", '{"a":[1,2],"b":{}}', False),
        ("COMPACT", '{"a":[1,2],"b":{}}', True),
        ("COMPACT", '{"a": [1,2],"b":{}}', False),
        ("FLEXIBLE", '{"a": [1, 2], "b": {}}', True),
        ("FLEXIBLE", '{\n  "a" : [\n1\t,2 ],\r\n"b":{ }  }', True),
        ("FLEXIBLE", '{ "a" : [ 1 , 2.5\t, "b", null ] , "b" : { "c" : true } }', True),
        ("FLEXIBLE", '{"a":' + " " * 20 + "[]}", True),
        ("FLEXIBLE", '{"a":' + " " * 21 + "[]}", False),
    ],
)
def test_whitespace_is_where_it_was_chosen_to_be(whitespace: str, text: str, accepted: bool) -> None:
    automaton = compiled(
        json_schema='{"type": "object"}', whitespace=grammar_pb2.Whitespace.Value(f"WHITESPACE_{whitespace}")
    )
    assert automaton.accepts(text.encode()) is accepted


@pytest.mark.parametrize(
    ("text", "accepted"),
    [
        ("{}", True),
        ('{"a": {"b": [1, null]}, "c": "é"}', True),
        ('{"a":1}', False),
        ("[]", False),
        ("1", False),
        ("", False),
        ("{} ", False),
    ],
)
def test_a_json_object_is_any_one(text: str, accepted: bool) -> None:
    assert compiled(json_object=grammar_pb2.JsonObject()).accepts(text.encode()) is accepted


def test_a_json_object_has_the_whitespace_that_was_chosen() -> None:
    compact = compiled(json_object=grammar_pb2.JsonObject(), whitespace=grammar_pb2.WHITESPACE_COMPACT)
    assert compact.accepts(b'{"a":[1,2]}')
    assert not compact.accepts(b'{"a": [1, 2]}')


@given(st.from_regex(r"([0-9]{1,3}\.){2,4}[0-9]{1,3}", fullmatch=True))
def test_the_address_of_the_guidance_guide_matches_as_in_python(text: str) -> None:
    assert compiled(regex=IPV4).accepts(text.encode()) is bool(re.fullmatch(IPV4, text, re.ASCII))


@pytest.mark.parametrize("answer", ["foo", "foobar", "", "é\n", "日本"])
def test_a_choice_is_one_of_its_values(answer: str) -> None:
    automaton = compiled(choice=grammar_pb2.Choice(values=["foo", "foobar", "", "é\n", "日本", "foo"]))
    assert automaton.accepts(answer.encode())
    for other in ("fo", "foob", "foobarx", "é", "日"):
        assert not automaton.accepts(other.encode())


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"tagged": grammar_pb2.Tagged()}, "tagged.tags"),
        ({}, "the grammar is empty"),
        ({"choice": grammar_pb2.Choice()}, "at least one value"),
        ({"regex": "a^b"}, "nothing can satisfy"),
        ({"regex": "(a"}, "missing ) for the group at position 0"),
        ({"json_schema": "{"}, "not valid JSON"),
        ({"json_schema": '{"minimum": NaN}'}, "NaN is not a JSON number"),
        ({"json_schema": '{"items":' * 100_000}, "nested too deeply"),
        ({"json_schema": "[" * 100_000}, "nested too deeply"),
    ],
)
def test_a_grammar_that_cannot_be_served_says_why(fields: dict[str, object], why: str) -> None:
    with pytest.raises(InvalidRequestError, match=re.escape(why)):
        compiled(**fields)


grammars = st.sampled_from(
    [
        {"json_schema": json.dumps(ANIMALS)},
        {"json_schema": "{}", "whitespace": grammar_pb2.WHITESPACE_FLEXIBLE},
        {"json_schema": '{"type": "string", "pattern": "^[a-c]{2,}$", "maxLength": 4}'},
        {"json_schema": '{"enum": ["a", "ab", {"x": [1]}, null]}'},
        {"json_object": grammar_pb2.JsonObject()},
        {"tagged": TAGGED},
        {"regex": IPV4},
        {"regex": "(a|ab)(c|bcd)*"},
        {"choice": grammar_pb2.Choice(values=["one", "two", "ones"])},
    ]
)


@given(grammars, st.data())
def test_no_allowed_byte_leads_into_a_dead_end(fields: dict[str, object], data: st.DataObject) -> None:
    automaton = compiled(**fields)
    configuration = Configuration(automaton.start)
    for _ in range(12):
        steps = [(byte, automaton.step(configuration, byte)) for byte in range(256)]
        allowed = [(byte, following) for byte, following in steps if following is not None]
        if not allowed:
            assert automaton.ends(configuration)
            return
        configuration = data.draw(st.sampled_from(allowed))[1]
    assert can_end(automaton, configuration)


def can_end(automaton: Automaton, configuration: Configuration) -> bool:
    """Whether an end is within reach, by the shortest way over stacks no higher than needed."""
    height = len(configuration.stack) + 2
    seen, frontier = {configuration}, [configuration]
    while frontier:
        if any(automaton.ends(each) for each in frontier):
            return True
        reached = {automaton.step(each, byte) for each in frontier for byte in range(256)}
        frontier = [each for each in reached if each and each not in seen and len(each.stack) <= height]
        seen.update(frontier)
    return False
