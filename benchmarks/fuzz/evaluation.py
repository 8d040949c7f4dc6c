"""Random JSON Schemas that say much of few keys and items: what one keyword evaluates matters to others."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, product
from operator import or_
from typing import Any

from hypothesis import strategies as st

from grammar_service.schema.keywords import TYPES

_KEYS = ("a", "b", "xa")
_SOME_KEYS = st.lists(st.sampled_from(_KEYS), max_size=2, unique=True)
_PATTERNS = st.sampled_from(["^x", "a", "^a$", "b|x", "^[^b]", "^$"])
_REFERENCES = st.sampled_from(
    ["#", "#/$defs/A", "#/$defs/B", "#/$defs/C", "#named", "#/$defs/A/allOf/0", "#/$defs/B/properties/a"]
)
_FEW = st.integers(0, 2)

_leaves: st.SearchStrategy[Any] = st.one_of(
    st.booleans(),
    st.just({}),
    st.fixed_dictionaries({"type": st.sampled_from(TYPES)}),
    st.fixed_dictionaries({"type": st.lists(st.sampled_from(TYPES), min_size=2, max_size=3, unique=True)}),
    st.fixed_dictionaries({"const": st.sampled_from([1, "a", True, None, [], {}, [1], {"a": 1}])}),
    st.fixed_dictionaries({"enum": st.sampled_from([[1, "a"], [None, True, "b"], [2, {}]])}),
    st.fixed_dictionaries({"required": _SOME_KEYS}),
    st.fixed_dictionaries({"$ref": _REFERENCES}),
    st.fixed_dictionaries({"$dynamicRef": st.sampled_from(["#dynamic", "#/$defs/A"])}),
    st.sampled_from(
        [
            *({"unevaluatedProperties": False}, {"unevaluatedItems": False}, {"additionalProperties": False}),
            *({"items": False}, {"minItems": 1}, {"maxItems": 1}, {"minProperties": 1}, {"maxProperties": 1}),
            *({"minimum": 2}, {"maxLength": 0}, {"pattern": "^a"}),
        ]
    ),
)


def _larger(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    several = st.lists(inner, min_size=1, max_size=3)
    rest = st.one_of(st.just(False), st.just(False), inner)
    objects = {
        "properties": st.dictionaries(st.sampled_from(_KEYS), inner, max_size=3),
        "patternProperties": st.dictionaries(_PATTERNS, inner, max_size=2),
        "additionalProperties": inner,
        "propertyNames": inner,
        "required": _SOME_KEYS,
        "dependentSchemas": st.dictionaries(st.sampled_from(_KEYS), inner, min_size=1, max_size=2),
        "dependentRequired": st.dictionaries(st.sampled_from(_KEYS), _SOME_KEYS, max_size=1),
        "minProperties": _FEW,
        "maxProperties": _FEW,
        "unevaluatedProperties": rest,
    }
    arrays = {
        "prefixItems": several,
        "items": inner,
        "contains": inner,
        "minContains": _FEW,
        "maxContains": _FEW,
        "minItems": _FEW,
        "maxItems": _FEW,
        "unevaluatedItems": rest,
    }
    branches = {
        **dict.fromkeys(("allOf", "anyOf", "oneOf"), several),
        **dict.fromkeys(("not", "if", "then", "else"), inner),
        "$ref": _REFERENCES,
    }
    unevaluated = {"unevaluatedProperties": rest, "unevaluatedItems": rest}
    return st.one_of(
        _some(branches, most=3),
        _some(objects, most=3),
        _some(arrays, most=3),
        _some({**objects, **arrays, **branches}, most=4),
        st.builds(or_, _some(branches, most=2), _some(unevaluated, most=1)),
        st.builds(or_, _some(objects, most=3), st.just({"unevaluatedProperties": False})),
        st.builds(or_, _some(arrays, most=3), st.just({"unevaluatedItems": False})),
    )


def _some(keywords: dict[str, st.SearchStrategy[Any]], *, most: int) -> st.SearchStrategy[dict[str, Any]]:
    """Between one and `most` of the keywords, each as likely as the others."""
    names = st.lists(st.sampled_from(sorted(keywords)), min_size=1, max_size=most, unique=True)
    return names.flatmap(lambda chosen: st.fixed_dictionaries({name: keywords[name] for name in chosen}))


def _document(root: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    named = {"$anchor": "named", "type": ["integer", "object"], "properties": {"a": True}}
    dynamic = {"$dynamicAnchor": "dynamic", "properties": {"b": {"type": "integer"}}}
    return {**root, "$defs": {**definitions, "N": named, "D": dynamic}}


_subschemas = st.recursive(_leaves, _larger, max_leaves=10)
documents: st.SearchStrategy[Any] = st.builds(
    _document,
    _larger(_subschemas),
    st.fixed_dictionaries({"A": _subschemas, "B": _subschemas, "C": _leaves}),
)


def _small_values() -> Iterator[Any]:
    yield from (None, True, False, 0, 1, 2, "", "a", "b", "ab")
    items: tuple[Any, ...] = (1, "a", None, {}, True)
    for length in range(3):
        yield from map(list, product(items, repeat=length))
    yield from ([1, 1, 1], [1, "a", 1], ["a", "a", "a"], [None, 1, "a"], ["a", 1, 1])
    members: tuple[tuple[Any, ...], ...] = ((), (1, "a", None, {}, {"a": 1}, [1]), (1, "a", {}), (1, "a"))
    for count, choice in enumerate(members):
        for keys in combinations((*_KEYS, "z"), count):
            yield from (dict(zip(keys, each, strict=True)) for each in product(choice, repeat=count))


SMALL_VALUES = tuple(_small_values())
"""Some 200 values of the few keys and items that such schemas tell apart."""
