"""What the keywords of a schema mean: from sub-schemas to shapes."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from grammar_service.regex.automaton import search
from grammar_service.schema.document import Place, follow_reference
from grammar_service.schema.number import NumberShape
from grammar_service.schema.shape import (
    ANYTHING,
    NOTHING,
    ArrayShape,
    ObjectShape,
    Schemas,
    Shape,
    StringShape,
)
from protos.errors import InvalidRequestError

MAX_ALTERNATIVES = 4096
"""The most shapes that one sub-schema may unite."""

_TYPES = ("null", "boolean", "integer", "number", "string", "array", "object")

_SPEAKS_OF = {
    "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
    "string": ("minLength", "maxLength", "pattern"),
    "array": ("items", "prefixItems", "minItems", "maxItems"),
    "object": ("properties", "required", "additionalProperties"),
}
_TYPE_OF = {keyword: name for name, keywords in _SPEAKS_OF.items() for keyword in keywords}
_IN_PLACE = ("type", "enum", "const", "$ref", "anyOf")
_ANNOTATIONS = {
    *("title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly", "$comment"),
    *("$schema", "$id", "$defs", "definitions", "contentMediaType", "contentEncoding", "contentSchema"),
}
_KNOWN = {*_TYPE_OF, *_IN_PLACE, *_ANNOTATIONS}


class Reader:
    """Reads the sub-schemas of one document into shapes, each combination of them once."""

    def __init__(self, root: Place, *, strict: bool) -> None:
        """With `strict`, objects are closed unless they say otherwise, and keywords imply their type."""
        self.root = root
        self.strict = strict
        self._shapes: dict[Schemas, tuple[Shape, ...]] = {}
        self._reading: set[Schemas] = set()

    def shapes(self, schemas: Schemas) -> tuple[Shape, ...]:
        """The shapes whose union is what satisfies all of `schemas`; none if nothing can.

        Raises:
            UnsupportedSchemaError: one of them is malformed, or has a keyword that cannot be enforced.
        """
        known = self._shapes.get(schemas)
        if known is not None:
            return known
        if schemas in self._reading:
            raise schemas[-1].refuse("$ref", "it refers to itself, and so says nothing")
        self._reading.add(schemas)
        try:
            shapes: tuple[Shape, ...] = (ANYTHING,)
            for place in schemas:
                one = self._read(place) if len(schemas) == 1 else self.shapes((place,))
                shapes = _intersection(shapes, one, place)
        except RecursionError:
            raise InvalidRequestError("the schema is nested too deeply") from None
        finally:
            self._reading.remove(schemas)
        self._shapes[schemas] = shapes
        return shapes

    def _read(self, place: Place) -> tuple[Shape, ...]:
        schema = place.schema
        if schema is True:
            return (ANYTHING,)
        if schema is False:
            return ()
        if not isinstance(schema, dict):
            keyword = place.pointer.rpartition("/")[2] or "schema"
            raise place.refuse(keyword, "a schema must be an object or a boolean")
        for keyword in schema:
            if keyword not in _KNOWN:
                raise place.refuse(keyword, "this keyword is not supported")
        shapes: tuple[Shape, ...] = (self._typed(place),)
        for keyword, union in (("enum", self._enum), ("const", self._const), ("anyOf", self._any_of)):
            if keyword in schema:
                shapes = _intersection(shapes, union(place), place)
        if "$ref" in schema:
            target = follow_reference(self.root, place, schema["$ref"])
            shapes = _intersection(shapes, self.shapes((target,)), place)
        return tuple(shape for shape in shapes if shape != NOTHING)

    def _typed(self, place: Place) -> Shape:
        """What `type` and the keywords that speak of one type allow."""
        types = _types(place)
        shape = Shape(
            null=True,
            booleans=(True, False),
            number=_number(place, integer="number" not in types),
            string=_string(place),
            array=_array(place),
            object=_object(place, strict=self.strict),
        )
        if "integer" in types:
            types |= {"number"}
        spoken_of = {_TYPE_OF[keyword] for keyword in place.schema if keyword in _TYPE_OF}
        if self.strict and len(spoken_of) == 1 and not any(k in place.schema for k in _IN_PLACE):
            types = frozenset(spoken_of)
        return shape.only(types)

    def _enum(self, place: Place) -> tuple[Shape, ...]:
        values = place.schema["enum"]
        if not isinstance(values, list) or not values:
            raise place.refuse("enum", "must be a list of at least one value")
        return _listed(place, "enum", values)

    def _const(self, place: Place) -> tuple[Shape, ...]:
        return _listed(place, "const", [place.schema["const"]])

    def _any_of(self, place: Place) -> tuple[Shape, ...]:
        branches = _schema_list(place, "anyOf")
        return tuple(dict.fromkeys(shape for branch in branches for shape in self.shapes((branch,))))


def _intersection(first: tuple[Shape, ...], second: tuple[Shape, ...], place: Place) -> tuple[Shape, ...]:
    if first == (ANYTHING,):
        return second
    if len(first) * len(second) > MAX_ALTERNATIVES:
        raise place.refuse("anyOf", f"more than {MAX_ALTERNATIVES} alternatives come together here")
    shapes = dict.fromkeys(a.intersection(b) for a in first for b in second)
    return tuple(shape for shape in shapes if shape != NOTHING)


def _types(place: Place) -> frozenset[str]:
    named = place.schema.get("type", list(_TYPES))
    names = named if isinstance(named, list) else [named]
    for name in names:
        if name not in _TYPES:
            raise place.refuse("type", f"{name!r} is none of {', '.join(_TYPES)}")
    if not names:
        raise place.refuse("type", "must name at least one type")
    return frozenset(names)


def _number(place: Place, *, integer: bool) -> NumberShape | None:
    bounds = {keyword: _bound(place, keyword) for keyword in _SPEAKS_OF["number"]}
    shape: NumberShape | None = NumberShape(
        integer=integer, minimum=bounds["minimum"], maximum=bounds["maximum"]
    )
    if bounds["exclusiveMinimum"] is not None:
        other = NumberShape(minimum=bounds["exclusiveMinimum"], exclusive_minimum=True)
        shape = shape and shape.intersection(other)
    if bounds["exclusiveMaximum"] is not None:
        other = NumberShape(maximum=bounds["exclusiveMaximum"], exclusive_maximum=True)
        shape = shape and shape.intersection(other)
    return shape


def _bound(place: Place, keyword: str) -> Decimal | None:
    if keyword not in place.schema:
        return None
    value = place.schema[keyword]
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise place.refuse(keyword, "must be a number")
    return Decimal(value)


def _count(place: Place, keyword: str) -> int | None:
    if keyword not in place.schema:
        return None
    value = place.schema[keyword]
    whole = isinstance(value, int | Decimal) and not isinstance(value, bool) and value == int(value)
    if not whole or value < 0:
        raise place.refuse(keyword, "must be a whole number, not below 0")
    return int(value)


def _string(place: Place) -> StringShape | None:
    patterns: tuple[str, ...] = ()
    if "pattern" in place.schema:
        patterns = (_pattern(place),)
    shape = StringShape(_count(place, "minLength") or 0, _count(place, "maxLength"), patterns)
    return shape.intersection(shape)


def _pattern(place: Place) -> str:
    pattern = place.schema["pattern"]
    if not isinstance(pattern, str):
        raise place.refuse("pattern", "must be a string")
    try:
        search(pattern)
    except InvalidRequestError as error:
        raise place.refuse("pattern", str(error)) from error
    return pattern


def _array(place: Place) -> ArrayShape | None:
    prefix: list[Place] = []
    items: Schemas = ()
    if "prefixItems" in place.schema:
        prefix = _schema_list(place, "prefixItems")
    if "items" in place.schema:
        if isinstance(place.schema["items"], list):
            raise place.refuse("items", "a list of schemas is not supported; use prefixItems")
        items = (place.child("items"),)
    shape = ArrayShape(
        tuple((place,) for place in prefix), items, _count(place, "minItems") or 0, _count(place, "maxItems")
    )
    return shape.intersection(shape)


def _object(place: Place, *, strict: bool) -> ObjectShape:
    schema = place.schema
    properties = schema.get("properties", {})
    if not isinstance(properties, dict):
        raise place.refuse("properties", "must be an object")
    required = schema.get("required", [])
    if not isinstance(required, list) or not all(isinstance(key, str) for key in required):
        raise place.refuse("required", "must be a list of strings")
    spoken_of = "additionalProperties" in schema
    return ObjectShape(
        properties=tuple((key, (place.child("properties", key),)) for key in properties),
        required=tuple(dict.fromkeys(required)),
        additional=(place.child("additionalProperties"),) if spoken_of else (),
        closed=strict and "properties" in schema and not spoken_of,
    )


def _schema_list(place: Place, keyword: str) -> list[Place]:
    schemas = place.schema[keyword]
    if not isinstance(schemas, list) or not schemas:
        raise place.refuse(keyword, "must be a list of at least one schema")
    return [place.child(keyword, index) for index in range(len(schemas))]


def _listed(place: Place, keyword: str, values: list[Any]) -> tuple[Shape, ...]:
    """The shapes of exactly these values: one for all that are not containers, and one for each container."""
    numbers = [v for v in values if isinstance(v, int | Decimal) and not isinstance(v, bool)]
    strings = [v for v in values if isinstance(v, str)]
    scalars = Shape(
        null=None in values,
        booleans=tuple(b for b in (True, False) if any(v is b for v in values)),
        number=NumberShape(values=tuple(dict.fromkeys(map(Decimal, numbers)))) if numbers else None,
        string=StringShape(values=tuple(dict.fromkeys(strings))) if strings else None,
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
    properties = tuple((key, member(key, item)) for key, item in value.items())
    nothing_else = (Place(f"{place.pointer}#", False, literal=True),)
    return Shape(object=ObjectShape(properties, required=tuple(value), additional=nothing_else))
