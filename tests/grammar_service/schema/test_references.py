"""References: within the document, through dynamic scopes, and to the official metaschemas."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from protos.automaton import Automaton
from protos.errors import InvalidRequestError

Compile = Callable[..., Automaton]

TREE = {
    "$id": "https://example.com/tree",
    "$dynamicAnchor": "node",
    "type": "object",
    "properties": {"data": True, "children": {"type": "array", "items": {"$dynamicRef": "#node"}}},
}
STRICT_TREE = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "$id": "https://example.com/strict-tree",
    "$dynamicAnchor": "node",
    "$ref": "tree",
    "unevaluatedProperties": False,
    "$defs": {"tree": TREE},
}
GENERIC = {
    "$id": "https://example.com/list",
    "type": "array",
    "items": {"$dynamicRef": "#item"},
    "$defs": {"default": {"$dynamicAnchor": "item"}},
}
LISTS = {
    "$id": "https://example.com/lists",
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "numbers": {
            "$id": "numbers",
            "$ref": "list",
            "$defs": {"item": {"$dynamicAnchor": "item", "type": "number"}},
        },
        "strings": {
            "$id": "strings",
            "$ref": "list",
            "$defs": {"item": {"$dynamicAnchor": "item", "type": "string"}},
        },
        "any": {"$ref": "list"},
    },
    "$defs": {"list": GENERIC},
}
RECURSIVE = {
    "$schema": "https://json-schema.org/draft/2019-09/schema",
    "$id": "https://example.com/closed",
    "$recursiveAnchor": True,
    "$ref": "open",
    "unevaluatedProperties": False,
    "$defs": {
        "open": {
            "$id": "open",
            "$recursiveAnchor": True,
            "properties": {"child": {"$recursiveRef": "#"}},
        }
    },
}
URN = {
    "$id": "urn:uuid:deadbeef-1234-ffff-ffff-4321feebdaed",
    "properties": {"a": {"$ref": "#/$defs/b"}},
    "$defs": {"b": {"type": "string"}},
}


@pytest.mark.parametrize(
    ("schema", "value", "allowed"),
    [
        (STRICT_TREE, {"children": [{"data": 1}]}, True),
        (STRICT_TREE, {"children": [{"daat": 1}]}, False),
        (TREE, {"children": [{"daat": 1}]}, True),
        (LISTS, {"numbers": [1], "strings": ["a"], "any": [1, "a"]}, True),
        (LISTS, {"numbers": ["a"]}, False),
        (LISTS, {"strings": [1]}, False),
        (RECURSIVE, {"child": {"child": {}}}, True),
        (RECURSIVE, {"child": {"other": 1}}, False),
        ({**RECURSIVE, "$recursiveAnchor": False}, {"child": {"other": 1}}, True),
        (URN, {"a": "b"}, True),
        (URN, {"a": 1}, False),
    ],
)
def test_a_reference_leads_where_its_scope_says(
    compile_schema: Compile, schema: Any, value: Any, allowed: bool
) -> None:
    automaton = compile_schema(schema, strict=False)
    assert automaton.accepts(json.dumps(value).encode()) == allowed


def test_what_a_pointer_passes_on_its_way_is_not_entered(compile_schema: Compile) -> None:
    automaton = compile_schema(
        {
            "$ref": "#/$defs/outer/$defs/inner",
            "$defs": {
                "outer": {
                    "$id": "https://example.com/outer",
                    "$defs": {
                        "text": {"$dynamicAnchor": "value", "type": "string"},
                        "inner": {
                            "$id": "inner",
                            "type": "array",
                            "items": {"$dynamicRef": "#value"},
                            "$defs": {"number": {"$dynamicAnchor": "value", "type": "integer"}},
                        },
                    },
                }
            },
        }
    )
    assert automaton.accepts(b"[1]")
    assert not automaton.accepts(b'["a"]')


@pytest.mark.parametrize(
    ("reference", "allowed", "refused"),
    [
        ("http://json-schema.org/draft-07/schema#/definitions/nonNegativeInteger", b"7", b"-1"),
        ("http://json-schema.org/draft-07/schema#/definitions/simpleTypes", b'"null"', b'"none"'),
        ("https://json-schema.org/draft/2020-12/meta/validation#/$defs/simpleTypes", b'"null"', b"1"),
    ],
)
def test_the_official_metaschemas_are_known(
    compile_schema: Compile, reference: str, allowed: bytes, refused: bytes
) -> None:
    automaton = compile_schema({"$ref": reference})
    assert automaton.accepts(allowed)
    assert not automaton.accepts(refused)


def test_a_metaschema_that_cannot_be_enforced_is_refused_at_its_own_place(compile_schema: Compile) -> None:
    place = '"uniqueItems" at "http://json-schema.org/draft-07/schema#/definitions/stringArray"'
    with pytest.raises(InvalidRequestError, match=place):
        compile_schema({"$ref": "http://json-schema.org/draft-07/schema#"})


@pytest.mark.parametrize("inner", [{"$ref": "//["}, {"$id": "//["}])
def test_what_is_no_uri_is_refused(compile_schema: Compile, inner: Any) -> None:
    with pytest.raises(InvalidRequestError, match="is not a URI"):
        compile_schema({"$id": "https://example.com", "properties": {"a": inner}})
