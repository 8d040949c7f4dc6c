"""Unions of shapes: how they meet, what remains of one without another, and which parts are empty."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from grammar_service.automata.dfa import TooManyStatesError
from grammar_service.schema.document import Place, UnsupportedSchemaError
from grammar_service.schema.shape import ANYTHING, NOTHING, ArrayShape, ObjectShape, Schemas, Shape, joined
from grammar_service.schema.text import StringShape

Shapes = tuple[Shape, ...]
"""The union of these sets; none at all is the empty set."""

_LOOK_AHEAD = 3
"""How deep an object or array is looked into to find that nothing satisfies it."""
_SEARCHED = 512
"""The most shapes among which those are searched for that others contain; each is compared with each."""

_STRING_STATES = 2000
"""The most states of an automaton that is made to see whether strings can meet several demands."""


class CircularReferenceError(UnsupportedSchemaError):
    """A sub-schema is read while it is being read already."""


class TooManyAlternativesError(UnsupportedSchemaError):
    """A union would have too many shapes."""


class Unions:
    """The algebra of unions in one document.

    No union it gives has more than `max_alternatives` shapes, and in all it intersects no more than
    `max_combinations`.
    """

    def __init__(
        self, read: Callable[[Schemas], Shapes], *, max_alternatives: int, max_combinations: int
    ) -> None:
        """`read` gives the values that satisfy sub-schemas, or raises `CircularReferenceError`."""
        self._read = read
        self._limit = max_alternatives
        self._max_combinations = max_combinations
        self._combinations = 0
        self._empty_strings: dict[StringShape, bool] = {}

    def meet(self, first: Shapes, second: Shapes, place: Place) -> Shapes:
        """The values in both. `place` is where they come together, for errors."""
        if first == (ANYTHING,):
            return second
        if len(first) * len(second) > self._limit:
            first, second = self._reduced(first), self._reduced(second)
        self._count(len(first) * len(second), place)
        return self._bounded((a.intersection(b) for a in first for b in second), place)

    def without(self, shapes: Shapes, others: Shapes, place: Place) -> Shapes:
        """The values of `shapes` that are not among `others`, of which nothing must be read strictly.

        Each shape is parted only by those others that it may meet, so what is disjoint costs nothing.
        """
        for other in others:
            remaining: list[Shape] = []
            self._count(len(shapes), place)
            for shape in shapes:
                if self.possible((shape.intersection(other),)):
                    if shape.array and other.array and other.array.unique:
                        raise place.refuse("uniqueItems", "it cannot be negated")
                    complement = other.complement(self._telling(other))
                    self._count(len(complement), place)
                    remaining += self.possible(shape.intersection(part) for part in complement)
                else:
                    remaining.append(shape)
            shapes = self._bounded(remaining, place)
        return shapes

    def possible(self, shapes: Iterable[Shape]) -> Shapes:
        """The shapes without the types of which nothing satisfies them, as far as is easily seen."""
        return tuple(alive for shape in shapes if (alive := self._living_part(shape, _LOOK_AHEAD)) != NOTHING)

    def _bounded(self, shapes: Iterable[Shape], place: Place) -> Shapes:
        kept = tuple(shape for shape in dict.fromkeys(shapes) if shape != NOTHING)
        if len(kept) > self._limit:
            kept = self._reduced(kept)
        if len(kept) > self._limit:
            raise _excess(
                place, f"more than {self._limit} alternatives come together here (max_alternatives)"
            )
        return kept

    def _count(self, combinations: int, place: Place) -> None:
        self._combinations += combinations
        if self._combinations > self._max_combinations:
            why = f"more than {self._max_combinations} combinations of alternatives (max_combinations)"
            raise _excess(place, why)

    def _reduced(self, shapes: Shapes) -> Shapes:
        """The shapes that are possible, without those that others contain."""
        shapes = self.possible(shapes)
        if len(shapes) > _SEARCHED:
            return shapes
        kept: list[Shape] = []
        for shape in sorted(shapes, key=_weight):  # the larger sets say less
            if not any(_contains(other, shape) for other in kept):
                kept.append(shape)
        order = {shape: index for index, shape in enumerate(shapes)}
        return tuple(sorted(kept, key=order.__getitem__))

    def _living_part(self, shape: Shape, depth: int) -> Shape:
        if shape.string and self._no_string(shape.string):
            shape = replace(shape, string=None)
        if shape.object and any(self._empty(schemas, depth) for schemas in _members(shape.object)):
            shape = replace(shape, object=None)
        if shape.array and any(self._empty(schemas, depth) for schemas in _items(shape.array)):
            shape = replace(shape, array=None)
        return shape

    def _telling(self, shape: Shape) -> frozenset[str]:
        """The keys of its objects that have a few listed values: those that tell alternatives apart."""
        if not shape.object:
            return frozenset()
        return frozenset(key for key, schemas in shape.object.properties if self._listed(schemas))

    def _listed(self, schemas: Schemas) -> bool:
        try:
            return all(shape.listed for shape in self._read(schemas))
        except (CircularReferenceError, TooManyAlternativesError):
            return False

    def _no_string(self, shape: StringShape) -> bool:
        """Whether no string meets all demands, for certain."""
        if len(shape.demands) < 2:
            return False
        if shape not in self._empty_strings:
            try:
                self._empty_strings[shape] = shape.language(max_states=_STRING_STATES).empty
            except TooManyStatesError:
                self._empty_strings[shape] = False
        return self._empty_strings[shape]

    def _empty(self, schemas: Schemas, depth: int) -> bool:
        """Whether nothing satisfies `schemas`, for certain."""
        if depth == 0:
            return False
        try:
            shapes = self._read(schemas)
        except (CircularReferenceError, TooManyAlternativesError):
            return False  # it is not known
        return all(self._living_part(shape, depth - 1) == NOTHING for shape in shapes)


def united(groups: Iterable[Shapes]) -> Shapes:
    """The values in any of the unions."""
    return tuple(dict.fromkeys(shape for group in groups for shape in group))


def _members(shape: ObjectShape) -> Iterator[Schemas]:
    """What members must satisfy that every object of a shape has."""
    yield from (shape.value(key) for key in shape.required)
    yield from (witness.schemas for witness in shape.witnesses if witness.schemas)


def _items(shape: ArrayShape) -> Iterator[Schemas]:
    """What items must satisfy that every array of a shape has."""
    yield from (shape.item(index) for index in range(min(shape.min_items, len(shape.prefix) + 1)))
    yield from (contains.schemas for contains in shape.contains if contains.least)


def _contains(large: Shape, small: Shape) -> bool:
    """Whether all of `small` is in `large`, for certain, and its objects in no other order of keys."""
    if small.object and large.object:
        keys, others = _keys(small.object), _keys(large.object)
        if keys[: len(others)] != others:
            return False
    return small.intersection(large) == small


def _keys(shape: ObjectShape) -> tuple[str, ...]:
    return joined(dict(shape.properties), shape.required)


def _weight(shape: Shape) -> int:
    """How much a shape demands, roughly: one that contains another has no more of it."""
    return sum(map(len, _demands(shape)))


def _demands(shape: Shape) -> Iterator[tuple[object, ...]]:
    if shape.object:
        found = shape.object
        yield from (found.properties, found.required, found.rules, found.names, found.witnesses)
    if shape.array:
        yield from (shape.array.prefix, shape.array.items, shape.array.contains)


def _excess(place: Place, why: str) -> TooManyAlternativesError:
    keywords = place.schema if isinstance(place.schema, dict) else {}
    keyword = next((k for k in _ALTERNATING if k in keywords), "schema")
    return TooManyAlternativesError(pointer=place.pointer, keyword=keyword, why=why)


_ALTERNATING = ("oneOf", "anyOf", "not", "if", "allOf")
