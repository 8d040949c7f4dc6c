"""The order of an instance's keys, by schemas that declare it in every way."""

from __future__ import annotations

import json
from typing import Any

import pytest

from benchmarks.key_order import KeyOrder

AB: dict[str, Any] = {"properties": {"a": {}, "b": {}}}


@pytest.mark.parametrize(
    ("schema", "instance", "reordered"),
    [
        (AB, {"b": 1, "a": 2}, {"a": 2, "b": 1}),
        (AB, {"x": 0, "b": 1, "a": 2}, {"a": 2, "b": 1, "x": 0}),
        ({"items": AB}, [{"b": 1, "a": 2}, 3], [{"a": 2, "b": 1}, 3]),
        ({"prefixItems": [{}, AB]}, [0, {"b": 1, "a": 2}], [0, {"a": 2, "b": 1}]),
        ({"items": [AB]}, [{"b": 1, "a": 2}], [{"a": 2, "b": 1}]),
        ({"$ref": "#/$defs/x~1y", "$defs": {"x/y": AB}}, {"b": 1, "a": 2}, {"a": 2, "b": 1}),
        ({"anyOf": [{"type": "string"}, AB]}, {"b": 1, "a": 2}, {"a": 2, "b": 1}),
        ({"additionalProperties": AB}, {"k": {"b": 1, "a": 2}}, {"k": {"a": 2, "b": 1}}),
        ({"patternProperties": {"^k": AB}}, {"k": {"b": 1, "a": 2}}, {"k": {"a": 2, "b": 1}}),
        ({"enum": [1, {"a": [{"c": 1, "d": 2}]}]}, {"a": [{"d": 2, "c": 1}]}, {"a": [{"c": 1, "d": 2}]}),
        (True, {"b": 1, "a": 2}, {"b": 1, "a": 2}),
    ],
)
def test_declared_keys_come_in_their_order_and_others_last(
    schema: Any, instance: Any, reordered: Any
) -> None:
    assert json.dumps(KeyOrder(schema).reordered(instance)) == json.dumps(reordered)


def test_a_schema_that_refers_to_itself_ends() -> None:
    schema = {"allOf": [{"$ref": "#"}], "properties": {"next": {"$ref": "#"}, "value": {}}}
    instance = {"value": 1, "next": {"value": 2, "next": {}}}
    assert list(KeyOrder(schema).reordered(instance)["next"]) == ["next", "value"]
