"""Reading keywords that speak of one type: from a sub-schema to the values of each type it allows."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from functools import lru_cache
from typing import Any

from grammar_service.schema.document import Place
from grammar_service.schema.formats import format_language
from grammar_service.schema.number import NumberShape
from grammar_service.schema.shape import (
    ANYTHING,
    NOTHING,
    ArrayShape,
    Contains,
    ObjectShape,
    Rule,
    Schemas,
    Shape,
    ordered,
)
from grammar_service.schema.text import Demand, StringShape
from protos.errors import InvalidRequestError

TYPES = ("null", "boolean", "integer", "number", "string", "array", "object")

SPEAKS_OF = {
    "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    "string": ("minLength", "maxLength", "pattern", "format"),
    "array": (
        *("items", "prefixItems", "additionalItems", "minItems", "maxItems", "uniqueItems"),
        *("contains", "minContains", "maxContains", "unevaluatedItems"),
    ),
    "object": (
        *("properties", "required", "additionalProperties", "patternProperties", "propertyNames"),
        *("minProperties", "maxProperties", "dependentRequired", "dependentSchemas", "dependencies"),
        "unevaluatedProperties",
    ),
}
"""The type that each of these keywords speaks of; to values of other types it says nothing."""


def types(place: Place) -> frozenset[str]:
    """The types that `type` names; without it, all."""
    named = place.schema.get("type", list(TYPES))
    names = named if isinstance(named, list) else [named]
    for name in names:
        if name not in TYPES:
            raise place.refuse("type", f"{name!r} is none of {', '.join(TYPES)}")
    if not names:
        raise place.refuse("type", "must name at least one type")
    return frozenset(names)


@lru_cache(maxsize=1024)
def values_of(named: frozenset[str], *, undotted: bool) -> Shape:
    """All values of some types; whole numbers without a point only, if `undotted`.

    Most sub-schemas say no more than this, so it is kept.
    """
    if "integer" in named and "number" not in named:
        whole = NumberShape(integer=True, undotted=undotted)
        return replace(ANYTHING, number=whole).only(named | {"number"})
    return ANYTHING.only(named)


def number_shape(place: Place, *, integer: bool, strict: bool) -> NumberShape | None:
    """The numbers that satisfy the keywords about numbers; only whole ones if `integer`.

    If `strict`, these are written without a point: 1.0 is the integer 1, but few parsers read it as one.
    """
    shape: NumberShape | None = NumberShape(
        integer=integer or None,
        undotted=integer and (strict or place.draft4),
        minimum=_number(place, "minimum"),
        maximum=_number(place, "maximum"),
        exclusive_minimum=place.schema.get("exclusiveMinimum") is True,  # as in draft 4
        exclusive_maximum=place.schema.get("exclusiveMaximum") is True,
    )
    others = []
    if not isinstance(place.schema.get("exclusiveMinimum"), bool | None):
        others.append(NumberShape(minimum=_number(place, "exclusiveMinimum"), exclusive_minimum=True))
    if not isinstance(place.schema.get("exclusiveMaximum"), bool | None):
        others.append(NumberShape(maximum=_number(place, "exclusiveMaximum"), exclusive_maximum=True))
    multiple = _number(place, "multipleOf")
    if multiple is not None:
        if multiple <= 0:
            raise place.refuse("multipleOf", "must be greater than 0")
        others.append(NumberShape(multiples=(multiple,)))
    for other in (NumberShape(), *others):
        shape = shape and shape.intersection(other)
    return shape


def string_shape(place: Place) -> StringShape | None:
    """The strings that satisfy the keywords about strings."""
    demands = []
    for keyword in ("pattern", "format"):
        if keyword not in place.schema:
            continue
        argument = place.schema[keyword]
        if not isinstance(argument, str):
            raise place.refuse(keyword, "must be a string")
        demand = Demand(keyword, argument)
        try:
            if keyword == "format" and format_language(argument) is None:
                continue  # an unknown format is an annotation
            demand.language()
        except InvalidRequestError as error:
            raise place.refuse(keyword, str(error)) from error
        demands.append(demand)
    shape = StringShape(_count(place, "minLength") or 0, _count(place, "maxLength"), tuple(demands))
    return shape.intersection(StringShape())


def array_shape(place: Place) -> ArrayShape | None:
    """The arrays that satisfy the keywords about arrays."""
    schema = place.schema
    prefix: list[Place] = []
    items: Schemas = ()
    if "prefixItems" in schema:
        prefix = schema_list(place, "prefixItems")
    if isinstance(schema.get("items"), list):  # up to draft 2019-09
        prefix = [place.child("items", index) for index in range(len(schema["items"]))]
        items = (place.child("additionalItems"),) if "additionalItems" in schema else ()
    elif "items" in schema:
        items = (place.child("items"),)
    unique = schema.get("uniqueItems", False)
    if not isinstance(unique, bool):
        raise place.refuse("uniqueItems", "must be true or false")
    shape = ArrayShape(
        prefix=tuple((item,) for item in prefix),
        items=items,
        min_items=_count(place, "minItems") or 0,
        max_items=_count(place, "maxItems"),
        contains=_contains(place),
        unique=unique,
        origin=place,
    )
    return shape.intersection(ArrayShape())


def _contains(place: Place) -> tuple[Contains, ...]:
    if "contains" not in place.schema:
        return ()
    least, most = _count(place, "minContains"), _count(place, "maxContains")
    return (Contains((place.child("contains"),), 1 if least is None else least, most),)


def object_shape(place: Place, *, strict: bool) -> ObjectShape | None:
    """The objects that satisfy the keywords about objects, those that make dependencies aside."""
    schema = place.schema
    properties, patterns = (schema_map(place, k) for k in ("properties", "patternProperties"))
    patterned = {
        StringShape(demands=(_key_pattern(place, pattern),)): patterns[pattern] for pattern in patterns
    }
    rules = [Rule(keys, (value,)) for keys, value in patterned.items()]
    spoken_of = "additionalProperties" in schema
    if spoken_of:
        others = StringShape(
            demands=tuple(Demand("pattern", pattern, negated=True) for pattern in patterns),
            excluded=frozenset(properties),
        )
        rules.append(Rule(others, (place.child("additionalProperties"),)))
    shape = ObjectShape(
        properties=tuple((key, (value,)) for key, value in properties.items()),
        required=ordered(strings(place, "required", schema.get("required", [])), properties),
        rules=tuple(rules),
        names=(place.child("propertyNames"),) if "propertyNames" in schema else (),
        closed=strict and "properties" in schema and not spoken_of,
        patterned=tuple(patterned),
        min_properties=_count(place, "minProperties") or 0,
        max_properties=_count(place, "maxProperties"),
        origin=place,
    )
    return shape.unless_contradictory()


def _key_pattern(place: Place, pattern: str) -> Demand:
    demand = Demand("pattern", pattern)
    try:
        demand.language()
    except InvalidRequestError as error:
        raise place.refuse("patternProperties", f"{pattern!r}: {error}") from error
    return demand


def schema_map(place: Place, keyword: str) -> dict[str, Place]:
    """The sub-schemas of a keyword whose value is an object of schemas."""
    schemas = place.schema.get(keyword, {})
    if not isinstance(schemas, dict):
        raise place.refuse(keyword, "must be an object")
    return {key: place.child(keyword, key) for key in schemas}


def schema_list(place: Place, keyword: str) -> list[Place]:
    """The sub-schemas of a keyword whose value is a list of schemas."""
    schemas = place.schema[keyword]
    if not isinstance(schemas, list) or not schemas:
        raise place.refuse(keyword, "must be a list of at least one schema")
    return [place.child(keyword, index) for index in range(len(schemas))]


def strings(place: Place, keyword: str, value: Any) -> list[str]:
    """A list of strings that stands in a keyword."""
    if not isinstance(value, list) or not all(isinstance(key, str) for key in value):
        raise place.refuse(keyword, "must be a list of strings")
    return value


def listed(place: Place, keyword: str, values: list[Any]) -> tuple[Shape, ...]:
    """The shapes of exactly these values: one for all that are not containers, and one for each container."""
    # Zeros are equal, so the language of one is also that of all others: none may keep its sign.
    numbers = [Decimal(v or 0) for v in values if isinstance(v, int | Decimal) and not isinstance(v, bool)]
    texts = [v for v in values if isinstance(v, str)]
    scalars = Shape(
        null=None in values,
        booleans=tuple(b for b in (True, False) if any(v is b for v in values)),
        number=NumberShape(values=tuple(dict.fromkeys(numbers))) if numbers else None,
        string=StringShape(values=tuple(dict.fromkeys(texts))) if texts else None,
    )
    containers = [
        _literal(Place(f"{place.pointer}/{keyword}/{index}", value, literal=True))
        for index, value in enumerate(values)
        if isinstance(value, dict | list)
    ]
    return tuple(shape for shape in (scalars, *containers) if shape != NOTHING)


def _literal(place: Place) -> Shape:
    """The shape of one object or array, whose members become sub-schemas in their turn."""

    def member(token: str | int, value: Any) -> Schemas:
        return (Place(f"{place.pointer}/{token}", {"const": value}, literal=True),)

    value = place.schema
    if isinstance(value, list):
        prefix = tuple(member(index, item) for index, item in enumerate(value))
        return Shape(array=ArrayShape(prefix, min_items=len(value), max_items=len(value)))
    nothing_else = Rule(StringShape(excluded=frozenset(value)), (Place(place.pointer, False, literal=True),))
    properties = tuple((key, member(key, item)) for key, item in value.items())
    return Shape(object=ObjectShape(properties, required=tuple(value), rules=(nothing_else,)))


def _number(place: Place, keyword: str) -> Decimal | None:
    if keyword not in place.schema:
        return None
    value = place.schema[keyword]
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise place.refuse(keyword, "must be a number")
    return Decimal(value)


def _count(place: Place, keyword: str) -> int | None:
    number = _number(place, keyword)
    if number is not None and (number < 0 or number != int(number)):
        raise place.refuse(keyword, "must be a whole number, not below 0")
    return None if number is None else int(number)
