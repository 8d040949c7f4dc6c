"""Random schemas and values, judged by the jsonschema package."""

import json
from collections.abc import Iterator
from itertools import islice, permutations, product
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from grammar_service.compiler import compile_grammar
from grammar_service.limits import Limits
from protos import grammar_pb2
from protos.automaton import Automaton
from protos.errors import InvalidRequestError

KEYS = ["a", "b", "c", "xa", "xb"]
SCALARS: list[Any] = [None, True, False, 0, 1, 2, 3, -1, 1.5, 2.0, "", "a", "b", "ab", "xyz"]

small = st.integers(0, 3)
keys = st.sampled_from(KEYS)
patterns = st.sampled_from(["^x", "a", "b$", "^[a-b]+$", "^$", "."])
values = st.one_of(
    st.sampled_from(SCALARS),
    st.lists(st.sampled_from([1, 2, "a", None]), max_size=2),
    st.dictionaries(keys, st.sampled_from([1, "a", None]), max_size=2),
)
leaves: st.SearchStrategy[Any] = st.one_of(
    st.booleans(),
    st.fixed_dictionaries(
        {"type": st.sampled_from(["null", "boolean", "integer", "number", "string", "array", "object"])}
    ),
    st.fixed_dictionaries(
        {"type": st.lists(st.sampled_from(["null", "integer", "string", "object"]), min_size=1, unique=True)}
    ),
    st.fixed_dictionaries({"enum": st.lists(values, min_size=1, max_size=3)}),
    st.fixed_dictionaries({"const": values}),
    st.fixed_dictionaries({"minimum": small}),
    st.fixed_dictionaries({"exclusiveMaximum": small}),
    st.fixed_dictionaries({"multipleOf": st.sampled_from([2, 0.5, 3])}),
    st.fixed_dictionaries({"minLength": small}),
    st.fixed_dictionaries({"maxLength": small}),
    st.fixed_dictionaries({"pattern": patterns}),
    st.fixed_dictionaries({"required": st.lists(keys, max_size=2, unique=True)}),
    st.fixed_dictionaries({"minProperties": st.integers(0, 1)}),
    st.fixed_dictionaries({"maxProperties": small}),
    st.fixed_dictionaries({"minItems": small}),
    st.fixed_dictionaries({"maxItems": small}),
    st.fixed_dictionaries(
        {"dependentRequired": st.dictionaries(keys, st.lists(keys, max_size=1), max_size=1)}
    ),
)


def larger(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    several = st.lists(inner, min_size=1, max_size=3)
    parts = st.fixed_dictionaries(
        {},
        optional={
            "properties": st.dictionaries(keys, inner, max_size=3).map(lambda p: dict(sorted(p.items()))),
            "required": st.lists(keys, max_size=2, unique=True),
            "additionalProperties": inner,
            "patternProperties": st.dictionaries(patterns, inner, max_size=2),
            "propertyNames": inner,
            "prefixItems": several,
            "items": inner,
            "contains": inner,
            "maxContains": small,
            "allOf": several,
            "anyOf": several,
            "oneOf": several,
            "not": inner,
            "if": inner,
            "then": inner,
            "else": inner,
            "dependentSchemas": st.dictionaries(keys, inner, max_size=1),
            "unevaluatedProperties": inner,
            "unevaluatedItems": inner,
        },
    )
    return st.one_of(inner, parts, st.tuples(inner, inner).map(merged))


def merged(pair: tuple[Any, Any]) -> Any:
    first, second = pair
    return {**first, **second} if isinstance(first, dict) and isinstance(second, dict) else second


schemas = st.recursive(leaves, larger, max_leaves=8)
instances = st.lists(
    st.one_of(
        values,
        st.lists(values, max_size=3),
        st.dictionaries(keys, values, max_size=3).map(lambda v: dict(sorted(v.items()))),
    ),
    min_size=5,
    max_size=12,
)


def orders(value: Any) -> Iterator[Any]:
    """The value with the keys of its objects in every order."""
    if isinstance(value, list):
        yield from (list(items) for items in product(*(list(orders(item)) for item in value)))
    elif isinstance(value, dict):
        for order in permutations(value):
            for items in product(*(list(orders(value[key])) for key in order)):
                yield dict(zip(order, items, strict=True))
    else:
        yield value


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(schemas, instances)
def test_an_automaton_allows_exactly_the_valid_values_in_some_key_order(
    schema: Any, instances: list[Any]
) -> None:
    grammar = grammar_pb2.Grammar(json_schema=json.dumps(schema), strict=False)
    validator = Draft202012Validator(schema)
    try:
        automaton = Automaton.from_message(compile_grammar(grammar, Limits(max_states=50_000)).automaton)
    except InvalidRequestError as refusal:
        if "nothing can satisfy" in str(refusal):
            assert not any(validator.is_valid(instance) for instance in instances)
        return
    for instance in instances:
        valid = validator.is_valid(instance)
        allowed = any(automaton.accepts(json.dumps(v).encode()) for v in islice(orders(instance), 200))
        assert allowed == valid, instance
