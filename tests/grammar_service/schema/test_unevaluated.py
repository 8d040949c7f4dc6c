"""`unevaluatedProperties` and `unevaluatedItems` beside alternatives, judged by the jsonschema package."""

import json
from collections.abc import Callable
from itertools import permutations, product
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from grammar_service.compiler import UnsatisfiableError, compile_grammar
from grammar_service.limits import Limits
from protos import grammar_pb2
from protos.automaton import Automaton

Compile = Callable[..., Automaton]

HAS_A = {"properties": {"a": True}, "required": ["a"]}
HAS_B = {"properties": {"b": True}, "required": ["b"]}

ALL_OBJECTS = [
    {key: value for key, value in zip("abc", values, strict=True) if value is not None}
    for values in product((1, "x", None), repeat=3)
]
ALL_ARRAYS = [list(items) for length in range(4) for items in product((1, "x", None), repeat=length)]

own_keys = st.dictionaries(st.sampled_from("abc"), st.sampled_from([True, {"type": "integer"}]), max_size=2)
object_leaves = st.fixed_dictionaries(
    {},
    optional={
        "properties": own_keys,
        "required": st.lists(st.sampled_from("abc"), max_size=1),
        "patternProperties": st.just({"^c": {"type": "integer"}}),
        "additionalProperties": st.just({"type": "string"}),
    },
)
array_leaves = st.fixed_dictionaries(
    {},
    optional={
        "prefixItems": st.lists(st.sampled_from([True, {"type": "integer"}]), min_size=1, max_size=2),
        "contains": st.sampled_from([{"type": "integer"}, {"const": "x"}]),
        "minContains": st.integers(0, 1),
        "minItems": st.integers(0, 2),
    },
)


def applied(keyword: str) -> Callable[[st.SearchStrategy[Any]], st.SearchStrategy[Any]]:
    def larger(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        several = st.lists(inner, min_size=1, max_size=2)
        optional: dict[Any, st.SearchStrategy[Any]] = {
            "if": inner,
            "then": inner,
            "else": inner,
            "not": inner,
            keyword: st.sampled_from([False, {"type": "string"}]),
        }
        if keyword == "unevaluatedProperties":
            optional["dependentSchemas"] = st.dictionaries(st.sampled_from("abc"), inner, max_size=1)
        choices = st.sampled_from(["allOf", "anyOf", "oneOf"])
        return st.builds(
            lambda name, branches, leaf, others: {**leaf, **others, name: branches},
            choices,
            several,
            inner,
            st.fixed_dictionaries({}, optional=optional),
        )

    return larger


def demanding(keyword: str, leaves: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    inner = st.recursive(leaves, applied(keyword), max_leaves=5)
    return st.builds(
        lambda schema, rest: {**schema, keyword: rest}, inner, st.sampled_from([False, {"type": "string"}])
    )


def assert_exact(schema: Any, instances: list[Any]) -> None:
    grammar = grammar_pb2.Grammar(json_schema=json.dumps(schema), strict=False)
    validator = Draft202012Validator(schema)
    valid = [validator.is_valid(instance) for instance in instances]
    try:
        automaton = Automaton.from_message(compile_grammar(grammar, Limits(max_states=100_000)).automaton)
    except UnsatisfiableError:
        assert not any(valid)
        return
    for instance, right in zip(instances, valid, strict=True):
        orders = [instance]
        if isinstance(instance, dict):
            orders = [{key: instance[key] for key in keys} for keys in permutations(instance)]
        assert any(automaton.accepts(json.dumps(v).encode()) for v in orders) == right, instance


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(demanding("unevaluatedProperties", object_leaves))
def test_properties_are_evaluated_by_the_branches_that_hold(schema: Any) -> None:
    assert_exact(schema, ALL_OBJECTS)


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(demanding("unevaluatedItems", array_leaves))
def test_items_are_evaluated_by_the_branches_that_hold(schema: Any) -> None:
    assert_exact(schema, ALL_ARRAYS)


def test_both_keywords_may_stand_in_one_place(compile_schema: Compile) -> None:
    automaton = compile_schema(
        {
            "anyOf": [HAS_A, {"type": "array", "prefixItems": [True]}, {"type": "null"}],
            "unevaluatedProperties": False,
            "unevaluatedItems": False,
        }
    )
    for value, allowed in (({"a": 1}, True), ({"a": 1, "b": 1}, False), ([1], True), ([1, 2], False)):
        assert automaton.accepts(json.dumps(value).encode()) == allowed
    assert automaton.accepts(b"null")


@pytest.mark.parametrize("applicator", ["allOf", "anyOf", "oneOf"])
def test_a_branch_keeps_the_keyword_that_its_parent_does_not_have(applicator: str) -> None:
    schema = {"unevaluatedItems": False, applicator: [{"unevaluatedProperties": False}]}
    assert_exact(schema, [{"a": 1}, {}, [], [1], 3])


def test_several_branches_may_hold_at_once(compile_schema: Compile) -> None:
    automaton = compile_schema({"type": "object", "anyOf": [HAS_A, HAS_B], "unevaluatedProperties": False})
    for value, allowed in (
        ({"a": 1, "b": 1}, True),
        ({"b": 1}, True),
        ({"a": 1, "c": 1}, False),
        ({}, False),
    ):
        assert automaton.accepts(json.dumps(value).encode()) == allowed


@pytest.mark.parametrize(("draft", "allowed"), [("2019-09", False), ("2020-12", True)])
def test_contains_evaluates_items_from_draft_2020_on(
    compile_schema: Compile, draft: str, allowed: bool
) -> None:
    automaton = compile_schema(
        {
            "$schema": f"https://json-schema.org/draft/{draft}/schema",
            "type": "array",
            "contains": {"const": 1},
            "unevaluatedItems": {"const": 2},
            "minContains": 0,
        }
    )
    assert automaton.accepts(b"[2, 2]")
    assert automaton.accepts(b"[1, 2]") == allowed
