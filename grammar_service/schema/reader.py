"""What a sub-schema means: its keywords and the schemas it is made of, reduced to a union of shapes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import reduce

from grammar_service.schema.document import Document, Place
from grammar_service.schema.evaluated import unevaluated_shape
from grammar_service.schema.keywords import (
    SPEAKS_OF,
    array_shape,
    listed,
    number_shape,
    object_shape,
    schema_list,
    schema_map,
    string_shape,
    strings,
    types,
)
from grammar_service.schema.shape import ANYTHING, NEVER, NOTHING, ObjectShape, Schemas, Shape
from protos.errors import InvalidRequestError

MAX_ALTERNATIVES = 2048
"""The most shapes that one sub-schema may unite."""
_LOOK_AHEAD = 3
"""How deep an object or array is looked into to find that nothing satisfies it."""

_TYPE_OF = {keyword: name for name, keywords in SPEAKS_OF.items() for keyword in keywords}
_IN_PLACE = ("type", "enum", "const", "$ref", "$dynamicRef", "allOf", "anyOf", "oneOf", "not", "if")

Shapes = tuple[Shape, ...]


class Reader:
    """Reads the sub-schemas of one document into shapes, each combination of them once."""

    def __init__(self, document: Document, *, strict: bool) -> None:
        """With `strict`, objects are closed unless they say otherwise, and keywords imply their type."""
        self.document = document
        self.strict = strict
        self._shapes: dict[Schemas, Shapes] = {}
        self._reading: set[Schemas] = set()
        self._in_place: dict[str, Callable[[Place], Shapes]] = {
            "enum": self._enum,
            "const": lambda place: listed(place, "const", [place.schema["const"]]),
            "$ref": lambda place: self.shapes((document.follow(place, "$ref"),)),
            "$dynamicRef": lambda place: self.shapes((document.follow(place, "$dynamicRef"),)),
            "anyOf": self._any_of,
            "oneOf": self._one_of,
            "not": lambda place: self.shapes((place.child("not").negation(),)),
            "if": self._if,
        }

    def shapes(self, schemas: Schemas) -> Shapes:
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
            if len(schemas) == 1:
                shapes = self._read(schemas[0])
            else:
                parts = (self.shapes((place,)) for place in schemas)
                shapes = reduce(lambda a, b: self._both(a, b, schemas[-1]), parts, (ANYTHING,))
        except RecursionError:
            raise InvalidRequestError("the schema is nested too deeply") from None
        finally:
            self._reading.remove(schemas)
        self._shapes[schemas] = shapes
        return shapes

    def _read(self, place: Place) -> Shapes:
        schema = place.schema
        if place.negated:
            return self._complement(replace(place, negated=False))
        if isinstance(schema, bool):
            return (ANYTHING,) if schema else ()
        if not isinstance(schema, dict):
            keyword = place.pointer.rpartition("/")[2] or "schema"
            raise place.refuse(keyword, "a schema must be an object or a boolean")
        if "$ref" in schema and place.alone:
            return self.shapes((self.document.follow(place, "$ref"),))
        if "$recursiveRef" in schema:
            raise place.refuse("$recursiveRef", "this keyword is not supported")
        shapes: Shapes = (self._typed(place),)
        for part in self._parts(place):
            shapes = self._both(shapes, part, place)
        return tuple(shape for shape in shapes if shape != NOTHING)

    def _typed(self, place: Place) -> Shape:
        """What `type` and the keywords that speak of one type allow."""
        strict = self.strict and not place.lenient
        named = types(place)
        shape = Shape(
            null=True,
            booleans=(True, False),
            number=number_shape(place, integer="number" not in named),
            string=string_shape(place),
            array=array_shape(place),
            object=object_shape(place, strict=strict),
        )
        if "integer" in named:
            named |= {"number"}
        spoken_of = {_TYPE_OF[keyword] for keyword in place.schema if keyword in _TYPE_OF}
        if strict and len(spoken_of) == 1 and not any(keyword in place.schema for keyword in _IN_PLACE):
            named = frozenset(spoken_of)
        return shape.only(named)

    def _parts(self, place: Place) -> Iterable[Shapes]:
        """What each keyword that does not speak of one type alone allows."""
        schema = place.schema
        for keyword, read in self._in_place.items():
            if keyword in schema:
                yield read(place)
        for branch in schema_list(place, "allOf") if "allOf" in schema else ():
            yield self.shapes((branch,))
        yield from self._dependencies(place)
        yield from ((shape,) for shape in unevaluated_shape(place, self.document))

    def _enum(self, place: Place) -> Shapes:
        values = place.schema["enum"]
        if not isinstance(values, list) or not values:
            raise place.refuse("enum", "must be a list of at least one value")
        return listed(place, "enum", values)

    def _any_of(self, place: Place) -> Shapes:
        return _united(self.shapes((branch,)) for branch in schema_list(place, "anyOf"))

    def _if(self, place: Place) -> Shapes:
        condition = place.child("if").condition()
        then, otherwise = (
            (place.child(keyword),) if keyword in place.schema else () for keyword in ("then", "else")
        )
        return self._possible(
            _united([self.shapes((condition, *then)), self.shapes((condition.negation(), *otherwise))])
        )

    def _one_of(self, place: Place) -> Shapes:
        branches = schema_list(place, "oneOf")
        alternatives = []
        for branch in branches:
            shapes = self._possible(self.shapes((branch,)))
            for other in branches:
                if other == branch or not self._possible(
                    self._both(shapes, self.shapes((other.condition(),)), place)
                ):
                    continue
                shapes = self._possible(self._both(shapes, self.shapes((other.negation(),)), place))
            alternatives.append(shapes)
        return _united(alternatives)

    def _dependencies(self, place: Place) -> Iterable[Shapes]:
        for keyword in ("dependentRequired", "dependentSchemas", "dependencies"):
            for key, dependent in schema_map(place, keyword).items():
                absent = replace(ANYTHING, object=ObjectShape(properties=((key, (NEVER,)),)))
                present: Shapes = (Shape(object=ObjectShape(required=(key,))),)
                if isinstance(dependent.schema, list) and keyword != "dependentSchemas":
                    required = strings(place, keyword, dependent.schema)
                    present = (Shape(object=ObjectShape(required=(key, *required))),)
                elif keyword == "dependentRequired":
                    raise place.refuse(keyword, "must hold lists of strings")
                else:
                    present = self._both(present, self.shapes((dependent,)), place)
                yield (absent, *present)

    def _complement(self, place: Place) -> Shapes:
        shapes: Shapes = (ANYTHING,)
        for shape in self.shapes((place.condition(),)):
            if shape.array and shape.array.unique:
                raise place.refuse("uniqueItems", "it cannot be negated")
            shapes = self._possible(self._both(shapes, tuple(shape.complement()), place))
        return shapes

    def _both(self, first: Shapes, second: Shapes, place: Place) -> Shapes:
        if first == (ANYTHING,):
            return second
        if len(first) * len(second) > MAX_ALTERNATIVES:
            raise place.refuse(
                _alternating(place), f"more than {MAX_ALTERNATIVES} alternatives come together here"
            )
        shapes = dict.fromkeys(a.intersection(b) for a in first for b in second)
        return tuple(shape for shape in shapes if shape != NOTHING)

    def _possible(self, shapes: Shapes) -> Shapes:
        """The shapes without the objects and arrays that nothing satisfies, as far as is easily seen."""
        return tuple(alive for shape in shapes if (alive := self._living_part(shape, _LOOK_AHEAD)) != NOTHING)

    def _living_part(self, shape: Shape, depth: int) -> Shape:
        if shape.object and any(self._empty(shape.object.value(key), depth) for key in shape.object.required):
            shape = replace(shape, object=None)
        if shape.array:
            first = min(shape.array.min_items, len(shape.array.prefix) + 1)
            if any(self._empty(shape.array.item(index), depth) for index in range(first)):
                shape = replace(shape, array=None)
        return shape

    def _empty(self, schemas: Schemas, depth: int) -> bool:
        """Whether nothing satisfies `schemas`, for certain."""
        if depth == 0 or schemas in self._reading or any((place,) in self._reading for place in schemas):
            return False
        return all(self._living_part(shape, depth - 1) == NOTHING for shape in self.shapes(schemas))


def _alternating(place: Place) -> str:
    return next((k for k in ("oneOf", "anyOf", "not", "if", "allOf") if k in place.schema), "schema")


def _united(groups: Iterable[Shapes]) -> Shapes:
    return tuple(dict.fromkeys(shape for group in groups for shape in group))
