"""What a sub-schema means: its keywords and the schemas it is made of, reduced to a union of shapes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

from grammar_service.limits import Limits
from grammar_service.schema.document import Place
from grammar_service.schema.evaluated import UNEVALUATED, Evaluation
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
    values_of,
)
from grammar_service.schema.references import REFERENCES, References
from grammar_service.schema.shape import ANYTHING, NEVER, ObjectShape, Schemas, Shape, joined
from grammar_service.schema.union import CircularReferenceError, Shapes, Unions, united
from protos.errors import InvalidRequestError

_TYPE_OF = {keyword: name for name, keywords in SPEAKS_OF.items() for keyword in keywords}
_DEPENDENCIES = ("dependentRequired", "dependentSchemas", "dependencies")
_IN_PLACE = ("type", "enum", "const", *REFERENCES, "allOf", "anyOf", "oneOf", "not", "if")


class Reader:
    """Reads the sub-schemas of one document into shapes, each combination of them once."""

    def __init__(self, references: References, *, strict: bool, limits: Limits) -> None:
        """With `strict`, objects are closed unless they say otherwise, and keywords imply their type."""
        self.references = references
        self.strict = strict
        self.unions = Unions(
            self.shapes,
            max_alternatives=limits.max_alternatives,
            max_combinations=limits.max_combinations,
        )
        self._evaluation = Evaluation(self)
        self._shapes: dict[Schemas, Shapes] = {}
        self._reading: set[Schemas] = set()
        self._applicators: dict[str, Callable[[Place, Shapes], Shapes]] = {
            **{keyword: partial(self._referred, keyword=keyword) for keyword in REFERENCES},
            "allOf": self._all_of,
            "anyOf": self._any_of,
            "oneOf": self._one_of,
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
            why = "it refers to itself, and so says nothing"
            raise CircularReferenceError(pointer=schemas[-1].pointer, keyword="$ref", why=why)
        self._reading.add(schemas)
        try:
            shapes = self._read(schemas[0]) if len(schemas) == 1 else self._read_all(schemas)
        except RecursionError:
            raise InvalidRequestError("the schema is nested too deeply") from None
        finally:
            self._reading.remove(schemas)
        self._shapes[schemas] = shapes
        return shapes

    def among(self, shapes: Shapes, place: Place) -> Shapes:
        """Those of the values in `shapes` that satisfy the sub-schema."""
        return self.unions.meet(shapes, self.shapes((place,)), place)

    def apart(self, shapes: Shapes, place: Place) -> Shapes:
        """Those of the values in `shapes` that do not satisfy the sub-schema."""
        return self.unions.without(shapes, self.shapes((place.condition(),)), place)

    def asserted(self, place: Place) -> Shapes:
        """The values that satisfy all keywords of a place but those that apply other schemas to them."""
        shapes: Shapes = (self._typed(place),)
        for keyword, read in (("enum", self._enum), ("const", self._const)):
            if keyword in place.schema:
                shapes = self.unions.meet(shapes, read(place), place)
        return shapes

    def denied(self, place: Place, shapes: Shapes) -> Shapes:
        """Those of the values in `shapes` that do not satisfy `not`, if it is there."""
        return self.apart(shapes, place.child("not")) if "not" in place.schema else shapes

    def dependencies(self, place: Place) -> Iterator[tuple[str, Shapes, Place | None]]:
        """The keys on which something depends, the objects that have them, and what those must satisfy.

        Lists of keys that depend on a key are read into the objects that have it.
        """
        for keyword in filter(place.schema.__contains__, _DEPENDENCIES):
            for key, dependent in schema_map(place, keyword).items():
                keys = isinstance(dependent.schema, list) and keyword != "dependentSchemas"
                if keyword == "dependentRequired" and not keys:
                    raise place.refuse(keyword, "must hold lists of strings")
                required = strings(place, keyword, dependent.schema) if keys else []
                # Where `properties` does not give their order, the key comes either first or last.
                orders = dict.fromkeys((joined((key,), required), joined(required, (key,))))
                present = tuple(Shape(object=ObjectShape(required=order)) for order in orders)
                yield key, present, None if keys else dependent

    def lacking(self, shapes: Shapes, key: str, place: Place) -> Shapes:
        """Those of the values in `shapes` that are no objects that have `key`."""
        lacking = replace(ANYTHING, object=ObjectShape(properties=((key, (NEVER,)),)))
        return self.unions.possible(self.unions.meet(shapes, (lacking,), place))

    def alone(self, shapes: Shapes, branch: Place, branches: list[Place], place: Place) -> Shapes:
        """Those of the values in `shapes`, which satisfy `branch`, that satisfy no other of the branches."""
        shapes = self.unions.possible(shapes)
        for other in branches:
            if other != branch:
                shapes = self.unions.without(shapes, self.shapes((other.condition(),)), place)
        return shapes

    def _read_all(self, schemas: Schemas) -> Shapes:
        """What satisfies all of several sub-schemas: what must not be is taken away in the end."""
        shapes: Shapes = (ANYTHING,)
        for place in sorted(schemas, key=lambda place: place.negated):
            if place.negated:
                shapes = self.apart(shapes, replace(place, negated=False))
            else:
                shapes = self.among(shapes, place)
        return shapes

    def _read(self, place: Place) -> Shapes:
        schema = place.schema
        if place.negated:
            return self.apart((ANYTHING,), replace(place, negated=False))
        if place.either:
            return united(self.shapes((other,)) for other in place.either)
        if isinstance(schema, bool):
            return (ANYTHING,) if schema else ()
        if not isinstance(schema, dict):
            keyword = place.pointer.rpartition("/")[2] or "schema"
            raise place.refuse(keyword, "a schema must be an object or a boolean")
        if "$ref" in schema and place.alone:
            return self.shapes((self.references.follow(place, "$ref"),))
        wanted = [keyword for keyword in UNEVALUATED if keyword in schema]
        if wanted:
            return self._evaluation.shapes(place, wanted)
        shapes = self.asserted(place)
        for keyword, read in self._applicators.items():
            if keyword in schema:
                shapes = read(place, shapes)
        for key, present, dependent in self.dependencies(place):
            held = self.unions.meet(shapes, present, place)
            held = self.among(held, dependent) if dependent else held
            shapes = united((self.lacking(shapes, key, place), held))
        return self.denied(place, shapes)

    def _typed(self, place: Place) -> Shape:
        """What `type` and the keywords that speak of one type allow."""
        strict = self.strict and not place.lenient
        named = types(place)
        spoken_of = {_TYPE_OF[keyword] for keyword in place.schema if keyword in _TYPE_OF}
        integer = "integer" in named and "number" not in named
        if not spoken_of:
            return values_of(named, undotted=integer and (strict or place.draft4))
        shape = Shape(
            null=True,
            booleans=(True, False),
            number=number_shape(place, integer=integer, strict=strict)
            if integer or "number" in spoken_of
            else ANYTHING.number,
            string=string_shape(place) if "string" in spoken_of else ANYTHING.string,
            array=array_shape(place) if "array" in spoken_of else ANYTHING.array,
            object=object_shape(place, strict=strict) if "object" in spoken_of else ANYTHING.object,
        )
        if "integer" in named:
            named |= {"number"}
        if strict and len(spoken_of) == 1 and not any(keyword in place.schema for keyword in _IN_PLACE):
            named = frozenset(spoken_of)
        return shape.only(named)

    def _enum(self, place: Place) -> Shapes:
        values = place.schema["enum"]
        if not isinstance(values, list):
            raise place.refuse("enum", "must be a list of values")
        return listed(place, "enum", values)

    def _const(self, place: Place) -> Shapes:
        return listed(place, "const", [place.schema["const"]])

    def _referred(self, place: Place, shapes: Shapes, *, keyword: str) -> Shapes:
        return self.among(shapes, self.references.follow(place, keyword))

    def _all_of(self, place: Place, shapes: Shapes) -> Shapes:
        for branch in schema_list(place, "allOf"):
            shapes = self.among(shapes, branch)
        return shapes

    def _any_of(self, place: Place, shapes: Shapes) -> Shapes:
        return united(self.among(shapes, branch) for branch in schema_list(place, "anyOf"))

    def _one_of(self, place: Place, shapes: Shapes) -> Shapes:
        branches = schema_list(place, "oneOf")
        return united(self.alone(self.among(shapes, b), b, branches, place) for b in branches)

    def _if(self, place: Place, shapes: Shapes) -> Shapes:
        condition = place.child("if").condition()
        held, failed = self.among(shapes, condition), self.apart(shapes, condition)
        if "then" in place.schema:
            held = self.among(held, place.child("then"))
        if "else" in place.schema:
            failed = self.among(failed, place.child("else"))
        return self.unions.possible(united((held, failed)))
