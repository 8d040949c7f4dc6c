"""Every keyword, with values it allows and values it refuses; and every way of saying it wrongly."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from protos.automaton import Automaton, Configuration
from protos.errors import InvalidRequestError

Compile = Callable[..., Automaton]

NODE = {
    "$defs": {
        "node": {
            "type": "object",
            "properties": {
                "v": {"type": "integer"},
                "next": {"type": "array", "items": {"$ref": "#/$defs/node"}},
            },
            "required": ["v"],
        }
    },
    "$ref": "#/$defs/node",
}

CASES: list[tuple[Any, list[Any], list[Any]]] = [
    (
        {
            "properties": {"é": {"type": "null"}, "ab": {"type": "null"}},
            "additionalProperties": {"type": "integer"},
        },
        [{"é": None, "ab": None}, {"ab": None, "abc": 1, "a": 2, "": 3}, {"éé": 1}, {"ab": None, "b": 1}],
        [{"ab": 1}, {"a": None}, {"b": 1, "ab": 1}, {"é": 1}],
    ),
    (
        {
            "anyOf": [
                {
                    "properties": {"a": {"type": "integer"}, "ab": {"type": "null"}},
                    "required": ["a"],
                    "additionalProperties": True,
                },
                {
                    "properties": {"a": {"type": "string"}, "b": {"type": "null"}},
                    "additionalProperties": False,
                },
            ]
        },
        [{"a": 1, "b": 2, "ac": []}, {"a": "x", "b": None}, {"b": None}, {"a": 1, "ab": None}],
        [{"a": "x", "c": 1}, {"ab": None}, {"a": 1, "ab": 2}, {"b": 2}],
    ),
    ({"type": "string"}, ["", "a", 'quote " and \\ and \n', "é", "😀"], [1, None, [], {}, True]),
    (
        {"type": ["object", "null"], "properties": {"\ud800": {}, "a\ud800": {}, "b": {}}},
        [None, {"b": 1}],
        [{"a": 1}],
    ),
    ({"type": ["object", "null"], "required": ["\ud800"]}, [None], [{}, {"a": 1}]),
    ({"type": "integer"}, [0, -1, 12345678901234567890], [1.0, 1.5, "1", True]),
    ({"$schema": "http://json-schema.org/draft-04/schema#", "type": "integer"}, [0, -12], [1.0, 1.5]),
    ({"$schema": "http://json-schema.org/draft-04/schema#", "type": "number"}, [0, 1.0, 1.5], ["1"]),
    ({"type": "number"}, [0, -1.5, 1e100, 1e-7], ["1", None]),
    ({"type": "boolean"}, [True, False], [0, None]),
    ({"type": "null"}, [None], [False, 0]),
    ({"type": "array"}, [[], [1, "a", [], {"b": None}]], [{}, "[]"]),
    ({"type": "object"}, [{}, {"a": {"b": []}}], [[], None]),
    ({"type": ["string", "null"]}, ["a", None], [1, []]),
    ({"type": ["integer", "number"]}, [1, 1.5], ["1"]),
    ({}, [1, "a", None, True, [], {}, {"a": [1, {"b": "c"}]}], []),
    (True, [1, {"a": []}], []),
    ({"title": "annotated", "description": "d", "default": 1, "examples": [1], "$comment": "c"}, [1, []], []),
    ({"type": "integer", "minimum": 1, "maximum": 5}, [1, 3, 5], [0, 6, -1, 10, 1.5]),
    ({"type": "number", "exclusiveMinimum": 0, "maximum": 1.5}, [0.1, 1, 1.5], [0, 1.51, -1]),
    ({"type": "integer", "minimum": -10, "exclusiveMaximum": -2}, [-10, -3], [-2, -11, 0]),
    ({"type": "integer", "minimum": 1, "exclusiveMinimum": 1}, [2], [1]),
    ({"type": "string", "minLength": 2, "maxLength": 3}, ["ab", "é😀", "\n\n\n"], ["a", "abcd", "😀"]),
    ({"type": "string", "pattern": "b"}, ["b", "abc"], ["", "ac"]),
    ({"type": "string", "pattern": "^a|z$"}, ["a", "az", "bz"], ["ba", ""]),
    ({"type": "string", "pattern": '^["\\n]+$'}, ['"', "\n", '"\n'], ["n", ""]),
    (
        {"type": "string", "pattern": "^[a-c]*$", "minLength": 2, "maxLength": 3},
        ["ab", "ccc"],
        ["a", "ad", "aaaa"],
    ),
    (
        {"enum": ["é", 1, 1.5, None, True, {"a": [1]}, []]},
        ["é", 1, 1.5, None, True, {"a": [1]}, []],
        [False, 0, {}],
    ),
    ({"enum": [1, "a", None], "type": "string"}, ["a"], [1, None]),
    ({"enum": [1, 5, 9], "minimum": 4}, [5, 9], [1]),
    (
        {"const": {"b": [1, {"a": None}], "a": "x"}},
        [{"b": [1, {"a": None}], "a": "x"}],
        [{"b": [1, {}], "a": "x"}, {}],
    ),
    ({"const": False}, [False], [0, None, True]),
    ({"const": 1}, [1, 1.0], [True, 2]),
    ({"const": -0.0}, [0, 0.0], [1, False]),
    ({"enum": [-0.0, 5]}, [0, 0.0, 5], [-5]),
    ({"type": "array", "items": {"type": "integer"}}, [[], [1], [1, 2, 3]], [["a"], [1, "a"]]),
    (
        {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 3},
        [[1, 2], [1, 2, 3]],
        [[1], [1] * 4],
    ),
    ({"type": "array", "minItems": 1}, [[1], [1, "b"]], [[]]),
    ({"type": "array", "maxItems": 0}, [[]], [[1]]),
    ({"type": "array", "items": False}, [[]], [[1]]),
    (
        {
            "type": "array",
            "prefixItems": [{"type": "string"}, {"type": "integer"}],
            "items": {"type": "null"},
        },
        [[], ["a"], ["a", 1], ["a", 1, None, None]],
        [[1], ["a", "b"], ["a", 1, 2]],
    ),
    (
        {"type": "array", "prefixItems": [{"type": "string"}], "items": False, "minItems": 1},
        [["a"]],
        [[], ["a", "b"]],
    ),
    (
        {
            "type": "object",
            "properties": {"a": {"type": "integer"}, "b": {"type": "string"}},
            "required": ["b"],
        },
        [{"a": 1, "b": "x"}, {"b": "x"}],
        [{}, {"a": 1}, {"b": "x", "a": 1}, {"a": "x", "b": "x"}, {"b": "x", "c": 1}],
    ),
    (
        {
            "type": "object",
            "properties": {"a": {"type": "integer"}},
            "additionalProperties": {"type": "null"},
        },
        [{}, {"a": 1}, {"b": None}, {"a": 1, "b": None, "c": None}],
        [{"a": None}, {"b": 1}],
    ),
    ({"type": "object", "additionalProperties": False}, [{}], [{"a": 1}]),
    ({"type": "object", "additionalProperties": {"type": "integer"}}, [{}, {"x": 1}], [{"x": "1"}]),
    (
        {"type": "object", "required": ["a", "b"]},
        [{"a": 1, "b": 2}, {"a": 1, "b": 2, "c": 3}],
        [{}, {"a": 1}],
    ),
    ({"type": "object", "properties": {"a": False}}, [{}], [{"a": 1}]),
    (
        {"type": "object", "properties": {'a"b\\': {"type": "null"}, "é": True}},
        [{'a"b\\': None, "é": 1}],
        [{"ab": None}],
    ),
    ({"anyOf": [{"type": "string"}, {"type": "integer"}]}, ["a", 1], [None, 1.5]),
    ({"type": "integer", "anyOf": [{"maximum": 2}, {"minimum": 8}]}, [1, 9], [5]),
    (
        {
            "type": "object",
            "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
            "anyOf": [{"required": ["a"]}, {"required": ["b"]}],
        },
        [{"a": 1}, {"b": 1}, {"a": 1, "b": 1}],
        [{}, {"c": 1}],
    ),
    (
        {
            "anyOf": [
                {
                    "type": "array",
                    "prefixItems": [{"items": {"type": "integer"}}, {"const": 1}],
                    "minItems": 2,
                    "items": False,
                },
                {
                    "type": "array",
                    "prefixItems": [{"items": {"type": "string"}}, {"const": 2}],
                    "minItems": 2,
                    "items": False,
                },
            ]
        },
        [[[1], 1], [["a"], 2], [[], 1], [[], 2]],
        [[[1], 2], [["a"], 1], [[1, "a"], 1]],
    ),
    (NODE, [{"v": 1}, {"v": 1, "next": [{"v": 2, "next": []}, {"v": 3}]}], [{}, {"v": 1, "next": [{}]}]),
    (
        {
            "type": "object",
            "properties": {"a/b": {"$ref": "#/$defs/x~1y~0z"}},
            "$defs": {"x/y~z": {"const": 7}},
        },
        [{"a/b": 7}],
        [{"a/b": 8}],
    ),
    ({"$ref": "#/definitions/p%20q", "definitions": {"p q": {"type": "null"}}}, [None], [1]),
    ({"$ref": "#/$defs/n", "maximum": 3, "$defs": {"n": {"type": "integer"}}}, [3], [4, "a"]),
    ({"$ref": "#n", "$defs": {"x": {"$anchor": "n", "type": "integer"}}}, [3], ["a"]),
    (
        {"$id": "https://example.com/a", "$ref": "b", "$defs": {"x": {"$id": "b", "type": "null"}}},
        [None],
        [1],
    ),
    (
        {"$schema": "http://json-schema.org/draft-07/schema#", "$ref": "#/definitions/n", "maximum": 3}
        | {"definitions": {"n": {"type": "integer"}}},
        [4],
        ["a"],
    ),
    (  # up to draft 7, an $id beside a $ref does not change what the reference is relative to
        {
            "$schema": "http://json-schema.org/draft-07/schema#",
            "$id": "http://localhost:1234/base/",
            "definitions": {
                "foo": {"$id": "http://localhost:1234/base/foo.json", "type": "string"},
                "other": {"$id": "http://localhost:1234/other/foo.json", "type": "number"},
            },
            "allOf": [{"$id": "http://localhost:1234/other/", "$ref": "foo.json"}],
        },
        ["a"],
        [1],
    ),
    ({"allOf": [{"type": "integer"}, {"minimum": 3}], "maximum": 4}, [3, 4], [2, 5]),
    (
        {"allOf": [{"properties": {"a": {"type": "integer"}}}, {"required": ["a"]}], "type": "object"},
        [{"a": 1}],
        [{}, {"a": "x"}],
    ),
    ({"oneOf": [{"type": "integer"}, {"minimum": 2, "type": "number"}]}, [1, 2.5], [2, 3, 1.5]),
    (
        {
            "type": "object",
            "oneOf": [{"required": ["a"]}, {"required": ["b"]}],
            "properties": {"a": {}, "b": {}},
        },
        [{"a": 1}, {"b": 1}],
        [{}, {"a": 1, "b": 1}],
    ),
    ({"not": {"type": ["string", "object"]}}, [1, None, []], ["a", {}]),
    ({"type": "object", "not": {"required": ["a"]}}, [{}, {"b": 1}], [{"a": 1}]),
    ({"type": "object", "not": {"properties": {"a": {"const": 1}}}}, [{"a": 2}], [{}, {"a": 1}]),
    ({"type": "array", "not": {"items": {"type": "integer"}}}, [["a"], [1, "a"]], [[], [1]]),
    (
        {"if": {"type": "integer"}, "then": {"minimum": 3}, "else": {"type": "null"}},
        [3, None],
        [2, "a"],
    ),
    (
        {
            "type": "object",
            "properties": {"kind": {"enum": ["a", "b"]}, "n": {}},
            "if": {"properties": {"kind": {"const": "a"}}, "required": ["kind"]},
            "then": {"properties": {"n": {"type": "integer"}}},
            "else": {"properties": {"n": {"type": "string"}}},
        },
        [{"kind": "a", "n": 1}, {"kind": "b", "n": "x"}, {}],
        [{"kind": "a", "n": "x"}, {"kind": "b", "n": 1}],
    ),
    (
        {"type": "object", "patternProperties": {"^x": {"type": "integer"}}, "additionalProperties": False},
        [{}, {"x1": 1, "xy": 2}],
        [{"x1": "a"}, {"y": 1}],
    ),
    (
        {
            "type": "object",
            "properties": {"xa": {"minimum": 3}},
            "patternProperties": {"^x": {"type": "integer"}},
        },
        [{"xa": 3}, {"xb": 1}],
        [{"xa": 1}, {"xa": "a"}, {"y": 1}],
    ),
    ({"type": "object", "propertyNames": {"pattern": "^[a-z]+$"}}, [{}, {"ab": 1}], [{"A": 1}, {"a1": 1}]),
    ({"type": "object", "minProperties": 1}, [{"a": 1}, {"a": 1, "b": 2}], [{}]),
    (
        {"type": "object", "maxProperties": 1, "properties": {"a": {}, "b": {}}},
        [{}, {"b": 1}],
        [{"a": 1, "b": 1}],
    ),
    ({"type": "integer", "multipleOf": 3}, [0, 3, -6, 300], [1, 4, -7]),
    ({"type": "number", "multipleOf": 0.05}, [0.05, 1.15, 2], [0.01, 1.12]),
    ({"type": "array", "contains": {"type": "integer"}}, [[1], ["a", 1, "b"]], [[], ["a"]]),
    (
        {"type": "array", "contains": {"const": 1}, "minContains": 2, "maxContains": 2},
        [[1, 1], [1, 2, 1]],
        [[1], [1, 1, 1], [2]],
    ),
    (
        {"type": "array", "items": {"enum": [1, "a", None]}, "uniqueItems": True},
        [[], ["a", 1]],
        [[1, 1], [None, None]],
    ),
    ({"type": "array", "uniqueItems": True, "maxItems": 1}, [[], [{"a": 1}]], [[1, 2]]),
    ({"type": "array", "items": [{"type": "integer"}], "additionalItems": False}, [[], [1]], [["a"], [1, 2]]),
    ({"dependentRequired": {"a": ["b"]}, "type": "object"}, [{}, {"b": 1}, {"a": 1, "b": 1}], [{"a": 1}]),
    (
        {"dependencies": {"a": {"maxProperties": 1}}, "type": "object", "properties": {"a": {}, "b": {}}},
        [{"a": 1}, {"b": 1}],
        [{"a": 1, "b": 1}],
    ),
    (
        {"allOf": [{"properties": {"a": {}}}], "unevaluatedProperties": False, "type": "object"},
        [{}, {"a": 1}],
        [{"b": 1}],
    ),
    ({"prefixItems": [{}], "unevaluatedItems": False, "type": "array"}, [[], [1]], [[1, 2]]),
    ({"type": "string", "format": "date"}, ["2024-02-29"], ["2023-02-29", "x"]),
    ({"type": "string", "format": "no such format"}, ["anything"], [1]),
    ({"type": "string", "x-unknown": 1, "nullable": True}, ["a"], [None]),
    ({"minimum": 0, "exclusiveMinimum": True, "type": "number"}, [1], [0]),
]


@pytest.mark.parametrize(("schema", "valid", "invalid"), CASES, ids=lambda case: json.dumps(case)[:60])
def test_a_keyword_allows_and_refuses_what_it_should(
    compile_schema: Compile, schema: Any, valid: list[Any], invalid: list[Any]
) -> None:
    automaton = compile_schema(schema)
    for value in valid:
        for ascii_only in (True, False):
            assert automaton.accepts(json.dumps(value, ensure_ascii=ascii_only).encode()), value
    for value in invalid:
        assert not automaton.accepts(json.dumps(value).encode()), value


@pytest.mark.parametrize(
    "text", ["[1,2]", "[1 ,2]", "[ ]", "[1, ]", "[1, 2", "{}}", '{"a":1}', '{"a": 1, }', "nul", ""]
)
def test_what_is_not_json_in_the_chosen_whitespace_is_refused(compile_schema: Compile, text: str) -> None:
    assert not compile_schema({}).accepts(text.encode())


def test_recursion_is_exact_down_to_the_depth_limit(compile_schema: Compile) -> None:
    automaton = compile_schema(
        {"$defs": {"l": {"type": "array", "items": {"$ref": "#/$defs/l"}}}, "$ref": "#/$defs/l"}
    )
    assert automaton.accepts(b"[" * 256 + b"]" * 256)
    assert not automaton.accepts(b"[" * 257 + b"]" * 257)
    assert not automaton.accepts(b"[" * 255 + b"]" * 256)


@pytest.mark.parametrize(
    "schema",
    [
        {"$id": "//[", "$ref": "a"},
        {"$id": "http://a/", "$ref": "http://[b"},
        {"$id": "http://a/", "items": {"$id": "//["}},
    ],
    ids=json.dumps,
)
def test_an_identifier_that_is_no_uri_is_refused(compile_schema: Compile, schema: Any) -> None:
    with pytest.raises(InvalidRequestError, match="is not a URI"):
        compile_schema(schema)


def test_a_sub_schema_used_often_is_stored_once(compile_schema: Compile) -> None:
    def states(count: int) -> int:
        item = {"$ref": "#/$defs/big"}
        big = {"type": "object", "properties": {f"key{i}": {"type": "string"} for i in range(20)}}
        return compile_schema(
            {"type": "array", "prefixItems": [item] * count, "$defs": {"big": big}}
        ).num_states

    assert states(30) - states(10) < 20 * 6


@pytest.mark.parametrize(
    ("schema", "keyword", "pointer"),
    [
        ({"type": "objekt"}, "type", ""),
        ({"type": []}, "type", ""),
        ({"properties": {"a": {"uniqueItems": True}}}, "uniqueItems", "/properties/a"),
        (
            {"properties": {"a/b": {"items": {"$recursiveRef": "#x"}}}},
            "$recursiveRef",
            "/properties/a~1b/items",
        ),
        ({"type": "object", "minProperties": 3}, "minProperties", ""),
        ({"items": {"not": {"uniqueItems": True}}}, "uniqueItems", "/items/not"),
        ({"multipleOf": 0}, "multipleOf", ""),
        ({"dependentRequired": {"a": 1}}, "dependentRequired", ""),
        ({"patternProperties": {"(": {}}}, "patternProperties", ""),
        ({"minimum": "1"}, "minimum", ""),
        ({"maximum": True}, "maximum", ""),
        ({"minLength": -1}, "minLength", ""),
        ({"maxItems": 1.5}, "maxItems", ""),
        ({"pattern": 1}, "pattern", ""),
        ({"anyOf": [{"pattern": r"(a)\1"}]}, "pattern", "/anyOf/0"),
        ({"enum": "a"}, "enum", ""),
        ({"required": [1]}, "required", ""),
        ({"properties": []}, "properties", ""),
        ({"items": 3}, "items", "/items"),
        ({"prefixItems": []}, "prefixItems", ""),
        ({"anyOf": {}}, "anyOf", ""),
        ({"$ref": "https://example.com/schema"}, "$ref", ""),
        ({"$ref": "#/$defs/missing"}, "$ref", ""),
        ({"$ref": "#anchor"}, "$ref", ""),
        ({"$ref": "#"}, "$ref", ""),
        ({"$dynamicRef": "#nowhere"}, "$dynamicRef", ""),
        ({"$ref": 1}, "$ref", ""),
        ({"properties": {"a": {"anyOf": [{"$ref": "#/properties/a"}, {}]}}}, "$ref", "/properties/a"),
        ([], "schema", ""),
    ],
    ids=lambda case: json.dumps(case)[:50],
)
def test_what_is_wrong_or_unsupported_is_named_with_its_place(
    compile_schema: Compile, schema: Any, keyword: str, pointer: str
) -> None:
    with pytest.raises(InvalidRequestError) as refusal:
        compile_schema(schema)
    place = f'"{pointer}"' if pointer else "the root"
    assert str(refusal.value).startswith(f'"{keyword}" at {place}: ')


@pytest.mark.parametrize(
    "schema",
    [
        False,
        {"enum": []},
        {"type": "integer", "minimum": 5, "maximum": 4},
        {"type": "string", "pattern": "^a$", "minLength": 2},
        {"type": "string", "enum": [1]},
        {"type": "object", "properties": {"a": False}, "required": ["a"]},
        {"type": "object", "required": ["a"], "additionalProperties": False},
        {"type": "array", "items": False, "minItems": 1},
        {
            "$defs": {"a": {"type": "array", "items": {"$ref": "#/$defs/a"}, "minItems": 1}},
            "$ref": "#/$defs/a",
        },
    ],
    ids=json.dumps,
)
def test_a_contradiction_is_refused(compile_schema: Compile, schema: Any) -> None:
    with pytest.raises(InvalidRequestError, match="nothing can satisfy"):
        compile_schema(schema)


def test_an_alternative_that_nothing_satisfies_is_never_begun(compile_schema: Compile) -> None:
    automaton = compile_schema(
        {"type": "object", "properties": {"a": {"minimum": 2, "maximum": 1, "type": "integer"}}}
    )
    assert automaton.accepts(b"{}")
    inside = automaton.step(Configuration(automaton.start), ord("{"))
    assert inside is not None
    assert automaton.step(inside, ord('"')) is None


@pytest.mark.parametrize(
    ("schema", "limit"),
    [
        ({"type": "array", "minItems": 10**12}, "more than 100000 states"),
        ({"type": "string", "maxLength": 10**12}, "more than 100000 states"),
        ({"type": "string", "pattern": "^(a|b)*a(a|b){9}$", "maxLength": 9000}, "more than 100000 states"),
        ({"minimum": 10**500}, "out of range"),
    ],
    ids=lambda case: re.sub(r"(.)\1{9,}", r"\1", json.dumps(case))[:50],
)
def test_a_schema_beyond_a_limit_gets_an_error(compile_schema: Compile, schema: Any, limit: str) -> None:
    with pytest.raises(InvalidRequestError, match=limit):
        compile_schema(schema)
