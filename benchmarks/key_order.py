"""An instance with its keys in the order in which its schema declares them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

_BRANCHES = ("allOf", "anyOf", "oneOf")
_BRANCH = ("then", "else", "if")
_ITEMS = ("items", "additionalItems", "unevaluatedItems", "contains")
_OTHERS = ("additionalProperties", "unevaluatedProperties")


class KeyOrder:
    """Reorders instances of one schema document. What a schema does not declare comes last, as it stood.

    The order is that of `properties` and of the objects in `const` and `enum`, first the schema's own, then
    those of what it refers to and of its branches. Where branches disagree the first to declare a key wins,
    so a reordered instance may still be in the wrong order: who asks whether the order alone was wrong errs
    to the engine's disfavour.
    """

    def __init__(self, schema: Any) -> None:
        self._root = schema

    def reordered(self, instance: Any) -> Any:
        """The instance with all its objects' keys in order."""
        return self._reorder(instance, [self._root])

    def _reorder(self, instance: Any, schemas: list[Any]) -> Any:
        if isinstance(instance, list):
            applicable = list(self._applicable(schemas))
            return [
                self._reorder(value, _of_item(applicable, position))
                for position, value in enumerate(instance)
            ]
        if not isinstance(instance, dict):
            return instance
        applicable = list(self._applicable(schemas))
        declared = dict.fromkeys(
            key
            for schema in applicable
            for keyword in ("properties", "const")
            for key in _keyed(schema, keyword)
        )
        keys = [key for key in declared if key in instance]
        keys += [key for key in instance if key not in declared]
        return {key: self._reorder(instance[key], _of_key(applicable, key)) for key in keys}

    def _applicable(self, schemas: list[Any]) -> Iterator[dict[str, Any]]:
        """The schemas, with what they refer to and branch into, each once, breadth first."""
        pending = [schema for schema in schemas if isinstance(schema, dict)]
        seen: set[int] = set()
        for schema in pending:  # grows on the way
            if id(schema) in seen:
                continue
            seen.add(id(schema))
            yield schema
            branches = [self._resolve(schema["$ref"])] if isinstance(schema.get("$ref"), str) else []
            for keyword in _BRANCHES:
                branches += _listed(schema, keyword)
            branches += [schema.get(keyword) for keyword in _BRANCH]
            branches += [{"const": member} for member in _listed(schema, "enum")]
            branches += _keyed(schema, "dependentSchemas").values()
            branches += _keyed(schema, "dependencies").values()
            pending += [branch for branch in branches if isinstance(branch, dict)]

    def _resolve(self, reference: str) -> Any:
        """What a JSON pointer into the document refers to; None for any other reference."""
        pointer = reference.removeprefix("#")
        if pointer == reference or not (pointer == "" or pointer.startswith("/")):
            return None
        found = self._root
        for token in unquote(pointer).split("/")[1:]:
            key = token.replace("~1", "/").replace("~0", "~")
            if isinstance(found, list) and key.isdecimal() and int(key) < len(found):
                found = found[int(key)]
            else:
                found = found.get(key) if isinstance(found, dict) else None
        return found


def _keyed(schema: dict[str, Any], keyword: str) -> dict[str, Any]:
    value = schema.get(keyword)
    return value if isinstance(value, dict) else {}


def _listed(schema: dict[str, Any], keyword: str) -> list[Any]:
    value = schema.get(keyword)
    return value if isinstance(value, list) else []


def _of_key(schemas: list[dict[str, Any]], key: str) -> list[Any]:
    """The schemas that may say something of the value of a key."""
    found: list[Any] = []
    for schema in schemas:
        declared = _keyed(schema, "properties")
        found += [declared[key]] if key in declared else [schema.get(keyword) for keyword in _OTHERS]
        found += _keyed(schema, "patternProperties").values()
        found += [{"const": value} for name, value in _keyed(schema, "const").items() if name == key]
    return found


def _of_item(schemas: list[dict[str, Any]], position: int) -> list[Any]:
    """The schemas that may say something of an item."""
    found: list[Any] = []
    for schema in schemas:
        for keyword in ("prefixItems", "items"):
            found += _listed(schema, keyword)[position : position + 1]
        found += [{"const": value} for value in _listed(schema, "const")[position : position + 1]]
        found += [schema.get(keyword) for keyword in _ITEMS]
    return found
