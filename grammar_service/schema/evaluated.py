"""`unevaluatedProperties` and `unevaluatedItems`, where what is evaluated does not depend on the value."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from grammar_service.schema.document import Document, Place
from grammar_service.schema.keywords import schema_list, schema_map
from grammar_service.schema.shape import ANYTHING, ArrayShape, ObjectShape, Rule, Shape
from grammar_service.schema.text import Demand, StringShape

_DEPENDS = ("anyOf", "oneOf", "if", "then", "else", "not", "dependentSchemas", "dependencies")


@dataclass
class _Evaluated:
    """What the keywords beside an `unevaluated*` speak of, whatever the value."""

    keys: set[str]
    patterns: set[str]
    items: int = 0
    all_keys: bool = False
    all_items: bool = False


def unevaluated_shape(place: Place, document: Document) -> Iterator[Shape]:
    """What the `unevaluated*` keywords of a place demand.

    Raises:
        UnsupportedSchemaError: what they apply to depends on which alternative the value satisfies.
    """
    wanted = [k for k in ("unevaluatedProperties", "unevaluatedItems") if k in place.schema]
    for keyword in wanted:
        evaluated = _Evaluated(set(), set())
        _collect(place, document, evaluated, keyword, own=True, visited=set())
        rest = (place.child(keyword),)
        if keyword == "unevaluatedItems" and not evaluated.all_items:
            yield replace(ANYTHING, array=ArrayShape(prefix=((),) * evaluated.items, items=rest))
        if keyword == "unevaluatedProperties" and not evaluated.all_keys:
            demands = tuple(Demand("pattern", p, negated=True) for p in sorted(evaluated.patterns))
            keys = StringShape(demands=demands, excluded=frozenset(evaluated.keys))
            yield replace(ANYTHING, object=ObjectShape(rules=(Rule(keys, rest),)))


def _collect(
    place: Place, document: Document, evaluated: _Evaluated, keyword: str, *, own: bool, visited: set[Place]
) -> None:
    schema = place.schema
    if not isinstance(schema, dict) or place in visited:
        return
    visited.add(place)
    evaluated.keys |= set(schema_map(place, "properties"))
    evaluated.patterns |= set(schema_map(place, "patternProperties"))
    evaluated.all_keys |= "additionalProperties" in schema or (not own and "unevaluatedProperties" in schema)
    if isinstance(schema.get("items"), list):
        evaluated.items = max(evaluated.items, len(schema["items"]))
        evaluated.all_items |= "additionalItems" in schema
    else:
        evaluated.all_items |= "items" in schema
    evaluated.all_items |= not own and "unevaluatedItems" in schema
    if "prefixItems" in schema:
        evaluated.items = max(evaluated.items, len(schema["prefixItems"]))
    depends = [k for k in _DEPENDS if k in schema]
    if keyword == "unevaluatedItems" and "contains" in schema:
        depends.append("contains")
    if any(k != "not" for k in depends):
        raise place.refuse(keyword, f"what it applies to depends on {depends[0]}, which is not supported")
    parts = schema_list(place, "allOf") if "allOf" in schema else []
    parts += [document.follow(place, k) for k in ("$ref", "$dynamicRef") if k in schema]
    for part in parts:
        _collect(part, document, evaluated, keyword, own=False, visited=visited)
