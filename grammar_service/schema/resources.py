"""The schema resources that references may lead to: the document's own, and the official metaschemas."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from grammar_service.schema.document import Place, draft_of
from grammar_service.schema.metaschemas import metaschema


class Resources:
    """Every sub-schema that has an identifier or an anchor, by its URI. Nothing is ever fetched."""

    def __init__(self) -> None:
        self.anchored: frozenset[str] = frozenset()
        """The URIs of the resources that have dynamic anchors."""
        self._places: dict[str, Place] = {}
        self._dynamic: dict[tuple[str, str], Place] = {}

    def add(self, root: Place) -> None:
        """Take in all that is named in the document of `root`."""
        stack = [root]
        while stack:
            place = stack.pop()
            stack.extend(_children(place))
            if not isinstance(place.schema, dict):
                continue
            self._places.setdefault(place.base, place)
            if place.schema.get("$recursiveAnchor") is True:
                self._dynamic.setdefault((place.base, ""), self._places[place.base])
            for keyword in ("$anchor", "$dynamicAnchor", "$id"):
                anchor = place.schema.get(keyword)
                if not isinstance(anchor, str) or (keyword == "$id" and not anchor.startswith("#")):
                    continue
                self._places.setdefault(f"{place.base}#{anchor.removeprefix('#')}", place)
                if keyword == "$dynamicAnchor":
                    self._dynamic.setdefault((place.base, anchor), place)
        self.anchored = frozenset(base for base, _ in self._dynamic)

    def find(self, uri: str, anchor: str = "") -> Place | None:
        """The root of the resource `uri`, or what stands at an anchor in it; None if it is not known."""
        if uri not in self._places and (schema := metaschema(uri)) is not None:
            self.add(
                Place(f"{uri}#", schema, base=uri, alone=draft_of(schema) <= 7, draft4=draft_of(schema) <= 4)
            )
        return self._places.get(f"{uri}#{anchor}" if anchor else uri)

    def dynamic(self, uri: str, anchor: str) -> Place | None:
        """What stands at a dynamic anchor of a resource; "" stands for its `$recursiveAnchor`."""
        return self._dynamic.get((uri, anchor))


def names_dynamically(schema: Any) -> bool:
    """Whether there may be dynamic anchors in a schema."""
    stack = [schema]
    while stack:
        value = stack.pop()
        if isinstance(value, dict):
            if "$dynamicAnchor" in value or "$recursiveAnchor" in value:
                return True
            stack.extend(value.values())
        elif isinstance(value, list):
            stack.extend(value)
    return False


def _children(place: Place) -> Iterator[Place]:
    """The sub-schemas right below a place; what stands in other keywords is data."""
    if not isinstance(place.schema, dict):
        return
    for keyword, value in place.schema.items():
        if keyword in _ONE_SCHEMA and isinstance(value, dict):
            yield place.child(keyword)
        if keyword in _SCHEMA_LISTS and isinstance(value, list):
            yield from (place.child(keyword, index) for index in range(len(value)))
        if keyword in _SCHEMA_MAPS and isinstance(value, dict):
            yield from (place.child(keyword, key) for key in value)


_ONE_SCHEMA = {
    *("additionalItems", "additionalProperties", "contains", "else", "if", "items", "not", "propertyNames"),
    *("then", "unevaluatedItems", "unevaluatedProperties"),
}
_SCHEMA_LISTS = {"allOf", "anyOf", "items", "oneOf", "prefixItems"}
_SCHEMA_MAPS = {"$defs", "definitions", "dependencies", "dependentSchemas", "patternProperties", "properties"}
