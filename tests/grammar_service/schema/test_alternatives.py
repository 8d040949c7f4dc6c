"""Alternatives that must be told apart, and how many of them there may be."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from grammar_service.compiler import compile_grammar
from grammar_service.limits import Limits
from protos import grammar_pb2
from protos.automaton import Automaton
from protos.errors import InvalidRequestError

Compile = Callable[..., Automaton]


def tagged(tag: dict[str, Any], *keys: str) -> dict[str, Any]:
    properties = {"kind": tag, **{key: {"type": "integer"} for key in keys}}
    return {"type": "object", "properties": properties, "required": ["kind"]}


@pytest.mark.parametrize("keyword", ["const", "pattern"])
def test_a_key_with_a_value_of_its_own_tells_many_branches_apart(
    compile_schema: Compile, keyword: str
) -> None:
    def branch(number: int) -> dict[str, Any]:
        kind = f"k{number:02}" if keyword == "const" else f"^k{number:02}$"
        return tagged({"type": "string", keyword: kind}, "a", "b", "c", "d", f"x{number}")

    automaton = compile_schema({"oneOf": [branch(number) for number in range(40)]}, strict=False)
    assert automaton.accepts(b'{"kind": "k07", "a": 1, "x7": 2}')
    assert not automaton.accepts(b'{"kind": "k07", "a": 1, "x7": "2"}')
    assert not automaton.accepts(b'{"kind": "k99"}')


def test_branches_that_one_branch_overlaps_do_not_multiply(compile_schema: Compile) -> None:
    branches = [tagged({"const": f"k{number}"}, "a", "b", "c") for number in range(12)]
    automaton = compile_schema({"oneOf": [*branches, tagged({"type": "string"}, "z")]}, strict=False)
    assert automaton.accepts(b'{"kind": "other", "z": 1}')
    assert automaton.accepts(b'{"kind": "k3", "z": "not the last branch"}')
    assert not automaton.accepts(b'{"kind": "k3", "z": 1}')


def test_many_open_branches_of_which_each_requires_its_own_key(compile_schema: Compile) -> None:
    keys = [f"k{number}" for number in range(12)]
    branches = [{"properties": {key: {"type": "integer"}}, "required": [key]} for key in keys]
    automaton = compile_schema({"type": "object", "oneOf": branches}, strict=False)
    assert automaton.accepts(b'{"k3": 1}')
    assert automaton.accepts(b'{"k3": 1, "k4": "no integer"}')
    assert not automaton.accepts(b'{"k3": 1, "k4": 1}')


def test_branches_may_refer_to_the_schema_they_stand_in(compile_schema: Compile) -> None:
    def branch(key: str) -> dict[str, Any]:
        inner = {"oneOf": [{"type": "integer"}, {"$ref": "#/$defs/rule"}]}
        return {"properties": {key: inner}, "required": [key], "additionalProperties": False}

    rule = {"type": "object", "oneOf": [branch("not"), branch("maybe")]}
    automaton = compile_schema({"$ref": "#/$defs/rule", "$defs": {"rule": rule}})
    assert automaton.accepts(b'{"not": {"maybe": {"not": 1}}}')
    assert not automaton.accepts(b'{"not": {"not": 1, "maybe": 1}}')


def refusal(schema: Any, **limits: int) -> str:
    grammar = grammar_pb2.Grammar(json_schema=json.dumps(schema), strict=False)
    compile_grammar(grammar, Limits())
    with pytest.raises(InvalidRequestError) as refused:
        compile_grammar(grammar, replace(Limits(), **limits))
    return str(refused.value)


def choices(count: int, *, of: int) -> dict[str, Any]:
    """A choice between `of` objects, each with another key required, and that `count` times."""
    return {
        "type": "object",
        "allOf": [
            {"anyOf": [{"required": [f"{letter}{number}"]} for number in range(of)]}
            for letter in "abcdef"[:count]
        ],
    }


@pytest.mark.parametrize(
    ("schema", "limits"),
    [
        (choices(2, of=3), {"max_alternatives": 8}),
        (choices(2, of=3), {"max_combinations": 8}),
        ({"type": "array", "uniqueItems": True, "items": {"enum": [1, 2, 3]}}, {"max_unique_values": 2}),
        ({"items": {"items": {"items": {"type": "null"}}}}, {"max_schema_depth": 3}),
    ],
)
def test_a_limit_that_is_exceeded_is_named(schema: Any, limits: dict[str, int]) -> None:
    (name,) = limits
    assert name in refusal(schema, **limits)


def test_a_schema_as_deep_as_it_may_be_compiles() -> None:
    schema: dict[str, Any] = {"type": "integer"}
    for _ in range(Limits().max_schema_depth - 1):
        schema = {"items": schema, "type": "array"}
    compile_grammar(grammar_pb2.Grammar(json_schema=json.dumps(schema)), Limits())
