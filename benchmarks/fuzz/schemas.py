"""Random JSON Schemas of draft 2020-12 with all keywords, mostly well-formed, and their extreme numbers."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from benchmarks.fuzz.expressions import expressions
from grammar_service.schema.formats import KNOWN_FORMATS
from grammar_service.schema.keywords import TYPES

KEYS = ("a", "b", "c", "xa", "xb", "", 'q"\\', "é", "😀", "\n")

keys = st.sampled_from(KEYS)
small = st.integers(0, 4)
counts = st.one_of(
    small, small, small, st.sampled_from([10, 100, 2000, 10**5, 2**31, 10**12, Decimal("2.0")])
)
numbers = st.one_of(
    st.integers(-20, 20),
    st.decimals(-100, 100, places=2).map(lambda number: number.normalize() + 0),
    st.integers(-(10**25), 10**25),
    st.sampled_from(
        [
            *map(Decimal, ("1e-7", "1E+30", "-1e300", "0.1", "0.3", "-0.0", "1e-300", "123456789.123456789")),
            *(2**53 + 1, -(2**63), 10**40),
        ]
    ),
)
multiples = st.sampled_from([1, 2, 3, 7, 10, 60, *map(Decimal, ("0.5", "0.01", "2.5", "0.1", "1e-6", "1e3"))])
scalars = st.one_of(
    st.none(),
    st.booleans(),
    numbers,
    st.text('ab"\\\n é😀\x00', max_size=4),
    st.sampled_from(["", "2024-01-01"]),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(keys, inner, max_size=3)),
    max_leaves=5,
)
references = st.sampled_from(["#", "#/$defs/A", "#/$defs/B", "#/$defs/C", "#named"])

_LEAF: dict[str, st.SearchStrategy[Any]] = {
    "type": st.one_of(
        st.sampled_from(TYPES), st.lists(st.sampled_from(TYPES), min_size=1, max_size=3, unique=True)
    ),
    "enum": st.lists(values, min_size=1, max_size=4),
    "const": values,
    "minimum": numbers,
    "maximum": numbers,
    "exclusiveMinimum": numbers,
    "exclusiveMaximum": numbers,
    "multipleOf": multiples,
    "minLength": small,
    "maxLength": counts,
    "pattern": expressions,
    "format": st.sampled_from([*KNOWN_FORMATS, "no such format"]),
    "required": st.lists(keys, max_size=3, unique=True),
    "minProperties": small,
    "maxProperties": counts,
    "minItems": small,
    "maxItems": counts,
    "uniqueItems": st.booleans(),
    "minContains": small,
    "maxContains": counts,
    "dependentRequired": st.dictionaries(keys, st.lists(keys, max_size=2, unique=True), max_size=2),
    "$ref": references,
}
_RARE = ("$ref", "enum", "const", "format", "pattern", "uniqueItems")


def _leaf(keyword: str) -> st.SearchStrategy[Any]:
    return st.fixed_dictionaries({keyword: _LEAF[keyword]})


leaves: st.SearchStrategy[Any] = st.one_of(
    st.booleans(),
    _leaf("type"),
    *(_leaf(keyword) for keyword in _RARE),
    st.fixed_dictionaries(
        {}, optional={k: _LEAF[k] for k in ("type", "minimum", "maximum", "exclusiveMinimum", "multipleOf")}
    ),
    st.fixed_dictionaries({}, optional={k: _LEAF[k] for k in ("type", "minLength", "maxLength", "pattern")}),
    st.sampled_from(list(_LEAF)).flatmap(_leaf),
)


def _larger(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    several = st.lists(inner, min_size=1, max_size=3)
    named = st.dictionaries(keys, inner, max_size=4)
    objects: dict[str, st.SearchStrategy[Any]] = {
        "type": st.sampled_from(["object", "object", ["object", "null"]]),
        "properties": named,
        "required": _LEAF["required"],
        "additionalProperties": inner,
        "patternProperties": st.dictionaries(expressions, inner, max_size=2),
        "propertyNames": inner,
        "minProperties": small,
        "maxProperties": small,
        "dependentRequired": _LEAF["dependentRequired"],
        "dependentSchemas": st.dictionaries(keys, inner, max_size=1),
        "unevaluatedProperties": inner,
    }
    arrays: dict[str, st.SearchStrategy[Any]] = {
        "type": st.sampled_from(["array", "array", ["array", "string"]]),
        "prefixItems": several,
        "items": inner,
        "contains": inner,
        "minContains": small,
        "maxContains": small,
        "minItems": small,
        "maxItems": small,
        "uniqueItems": st.booleans(),
        "unevaluatedItems": inner,
    }
    branches: dict[str, st.SearchStrategy[Any]] = {
        "allOf": several,
        "anyOf": several,
        "oneOf": several,
        "not": inner,
        "if": inner,
        "then": inner,
        "else": inner,
    }
    return st.one_of(
        inner,
        *(st.fixed_dictionaries({}, optional=group) for group in (objects, arrays, branches)),
        st.fixed_dictionaries({}, optional={**objects, **branches}),
        st.tuples(inner, inner).map(lambda pair: _merged(*pair)),
    )


def _merged(first: Any, second: Any) -> Any:
    return {**first, **second} if isinstance(first, dict) and isinstance(second, dict) else second


def _document(root: Any, definitions: dict[str, Any]) -> Any:
    named = {**definitions, "N": {"$anchor": "named", "type": ["integer", "null"]}}
    return {**root, "$defs": named} if isinstance(root, dict) else root


subschemas = st.recursive(leaves, _larger, max_leaves=10)
documents: st.SearchStrategy[Any] = st.builds(
    _document, subschemas, st.fixed_dictionaries({"A": subschemas, "B": leaves, "C": subschemas})
)
