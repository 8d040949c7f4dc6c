"""The values that a schema allows, by type: what its keywords are reduced to, and how two sets intersect."""

from __future__ import annotations

from dataclasses import dataclass, replace

from grammar_service.automata.dfa import Dfa, TooManyStatesError
from grammar_service.regex.automaton import search
from grammar_service.schema.document import Place
from grammar_service.schema.number import NumberShape

Schemas = tuple[Place, ...]
"""Sub-schemas that must all hold; none at all allow any value. Kept unread, so that recursion ends."""


def both(first: Schemas, second: Schemas) -> Schemas:
    """The sub-schemas of both, each once."""
    return tuple(dict.fromkeys((*first, *second)))


@dataclass(frozen=True)
class StringShape:
    """A set of strings; lengths count characters."""

    min_length: int = 0
    max_length: int | None = None
    patterns: tuple[str, ...] = ()
    """Each must be found somewhere in the string (ECMA-262)."""
    values: tuple[str, ...] | None = None
    """If given, only these."""

    def intersection(self, other: StringShape) -> StringShape | None:
        """The strings in both; None if there are none for certain."""
        values = self.values if self.values is not None else other.values
        if self.values is not None and other.values is not None:
            allowed = set(other.values)
            values = tuple(value for value in self.values if value in allowed)
        shape = StringShape(
            min_length=max(self.min_length, other.min_length),
            max_length=_least(self.max_length, other.max_length),
            patterns=tuple(dict.fromkeys((*self.patterns, *other.patterns))),
            values=values,
        )
        if values is not None:
            kept = tuple(value for value in values if shape._contains(value))
            return StringShape(values=kept) if kept else None
        empty = shape.max_length is not None and shape.max_length < shape.min_length
        return None if empty else shape

    def _contains(self, value: str) -> bool:
        short = len(value) >= self.min_length
        long = self.max_length is None or len(value) <= self.max_length
        return short and long and all(search(pattern).accepts(value) for pattern in self.patterns)

    def language(self, *, max_states: int) -> Dfa:
        """The strings as an automaton over their characters, `values` aside."""
        if max(self.min_length, self.max_length or 0) > max_states:
            raise TooManyStatesError(max_states)
        patterns = [search(pattern) for pattern in self.patterns]
        if not patterns or self.min_length or self.max_length is not None:
            patterns.append(Dfa.lengths(self.min_length, self.max_length))
        language = patterns[0]
        for other in patterns[1:]:
            language = language.intersection(other, max_states=max_states)
        return language


@dataclass(frozen=True)
class ArrayShape:
    """A set of arrays."""

    prefix: tuple[Schemas, ...] = ()
    """What the first items must satisfy, as far as they are there."""
    items: Schemas = ()
    """What the items after those must satisfy."""
    min_items: int = 0
    max_items: int | None = None

    def item(self, index: int) -> Schemas:
        """What the item at `index` must satisfy."""
        return self.prefix[index] if index < len(self.prefix) else self.items

    def intersection(self, other: ArrayShape) -> ArrayShape | None:
        """The arrays in both; None if there are none for certain."""
        length = max(len(self.prefix), len(other.prefix))
        shape = ArrayShape(
            prefix=tuple(both(self.item(i), other.item(i)) for i in range(length)),
            items=both(self.items, other.items),
            min_items=max(self.min_items, other.min_items),
            max_items=_least(self.max_items, other.max_items),
        )
        return None if shape.max_items is not None and shape.max_items < shape.min_items else shape


@dataclass(frozen=True)
class ObjectShape:
    """A set of objects whose declared keys come in the order of `properties`."""

    properties: tuple[tuple[str, Schemas], ...] = ()
    required: tuple[str, ...] = ()
    additional: Schemas = ()
    """What the values of all other keys must satisfy."""
    closed: bool = False
    """No other keys, because the schema is read strictly and says nothing of them."""

    def value(self, key: str) -> Schemas:
        """What the value of `key` must satisfy."""
        return dict(self.properties).get(key, self.additional)

    def intersection(self, other: ObjectShape) -> ObjectShape:
        """The objects in both. What one declares is not closed by the other's silence."""
        mine, theirs = dict(self.properties), dict(other.properties)
        return ObjectShape(
            properties=tuple(
                (key, both(mine.get(key, self.additional), theirs.get(key, other.additional)))
                for key in dict.fromkeys((*mine, *theirs))
            ),
            required=tuple(dict.fromkeys((*self.required, *other.required))),
            additional=both(self.additional, other.additional),
            closed=self.closed or other.closed,
        )


@dataclass(frozen=True)
class Shape:
    """A set of JSON values: of each type some, or none."""

    null: bool = False
    booleans: tuple[bool, ...] = ()
    number: NumberShape | None = None
    string: StringShape | None = None
    array: ArrayShape | None = None
    object: ObjectShape | None = None

    def intersection(self, other: Shape) -> Shape:
        """The values in both."""
        return Shape(
            null=self.null and other.null,
            booleans=tuple(value for value in self.booleans if value in other.booleans),
            number=self.number and other.number and self.number.intersection(other.number),
            string=self.string and other.string and self.string.intersection(other.string),
            array=self.array and other.array and self.array.intersection(other.array),
            object=self.object and other.object and self.object.intersection(other.object),
        )

    def only(self, types: frozenset[str]) -> Shape:
        """The values whose type is among `types`; numbers count as "number", whole or not."""
        return replace(
            self,
            null=self.null and "null" in types,
            booleans=self.booleans if "boolean" in types else (),
            number=self.number if "number" in types else None,
            string=self.string if "string" in types else None,
            array=self.array if "array" in types else None,
            object=self.object if "object" in types else None,
        )


ANYTHING = Shape(
    null=True,
    booleans=(True, False),
    number=NumberShape(),
    string=StringShape(),
    array=ArrayShape(),
    object=ObjectShape(),
)
NOTHING = Shape()


def _least(first: int | None, second: int | None) -> int | None:
    return min((bound for bound in (first, second) if bound is not None), default=None)
