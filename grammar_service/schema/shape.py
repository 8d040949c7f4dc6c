"""The values that a schema allows, by type: what its keywords are reduced to, and how such sets combine."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import zip_longest
from typing import TypeVar

from grammar_service.schema.document import Place
from grammar_service.schema.number import NumberShape
from grammar_service.schema.text import ANY_STRING, StringShape

Schemas = tuple[Place, ...]
"""Sub-schemas that must all hold; none at all allow any value. Kept unread, so that recursion ends."""

T = TypeVar("T")


def joined(*groups: Iterable[T]) -> tuple[T, ...]:
    """The members of all groups in order, each once."""
    return tuple(dict.fromkeys(member for group in groups for member in group))


def ordered(required: Iterable[str], declared: Iterable[str]) -> tuple[str, ...]:
    """Required keys in the order in which objects have them: the declared ones first, in theirs."""
    required = dict.fromkeys(required)
    return joined((key for key in declared if key in required), required)


@dataclass(frozen=True)
class Contains:
    """How many items from an index on must satisfy something."""

    schemas: Schemas
    least: int = 1
    most: int | None = None
    start: int = 0


@dataclass(frozen=True)
class ArrayShape:
    """A set of arrays."""

    prefix: tuple[Schemas, ...] = ()
    """What the first items must satisfy, as far as they are there."""
    items: Schemas = ()
    """What the items after those must satisfy."""
    min_items: int = 0
    max_items: int | None = None
    contains: tuple[Contains, ...] = ()
    unique: bool = False
    """No two items are equal."""
    origin: Place | None = field(default=None, compare=False)
    """Where it comes from, for errors."""

    def item(self, index: int) -> Schemas:
        """What the item at `index` must satisfy."""
        return self.prefix[index] if index < len(self.prefix) else self.items

    def intersection(self, other: ArrayShape) -> ArrayShape | None:
        """The arrays in both; None if there are none for certain."""
        length = max(len(self.prefix), len(other.prefix))
        shape = ArrayShape(
            prefix=tuple(joined(self.item(i), other.item(i)) for i in range(length)),
            items=joined(self.items, other.items),
            min_items=max(self.min_items, other.min_items),
            max_items=lesser(self.max_items, other.max_items),
            contains=joined(self.contains, other.contains),
            unique=self.unique or other.unique,
            origin=(self if self.unique else other).origin or self.origin,
        )
        return None if shape.max_items is not None and shape.max_items < shape.min_items else shape

    def complement(self) -> list[ArrayShape]:
        """Sets whose union has every array that is not in this one. `unique` must not be set."""
        parts = []
        if self.min_items:
            parts.append(ArrayShape(max_items=self.min_items - 1))
        if self.max_items is not None:
            parts.append(ArrayShape(min_items=self.max_items + 1))
        for index, schemas in enumerate(self.prefix):
            parts += [
                ArrayShape(prefix=(*((),) * index, (place.negation(),)), min_items=index + 1)
                for place in schemas
            ]
        start = len(self.prefix)
        parts += [ArrayShape(contains=(Contains((p.negation(),), start=start),)) for p in self.items]
        for contains in self.contains:
            if contains.least:
                parts.append(ArrayShape(contains=(replace(contains, least=0, most=contains.least - 1),)))
            if contains.most is not None:
                parts.append(ArrayShape(contains=(replace(contains, least=contains.most + 1, most=None),)))
        return parts


@dataclass(frozen=True)
class Rule:
    """What the values of some keys must satisfy, those that are not declared included."""

    keys: StringShape
    schemas: Schemas

    def for_all_but(self, declared: Collection[str]) -> bool:
        """Whether it holds for every key that is not among `declared`."""
        excluded = self.keys.excluded
        return self.keys == StringShape(excluded=excluded) and excluded.issubset(declared)


@dataclass(frozen=True)
class Witness:
    """There is a key among some whose value satisfies something."""

    keys: StringShape = ANY_STRING
    schemas: Schemas = ()
    names: Schemas = ()
    """What the key must satisfy besides, as a value; then `keys` and `schemas` say nothing."""


@dataclass(frozen=True)
class ObjectShape:
    """A set of objects whose declared keys come in the order of `properties`."""

    properties: tuple[tuple[str, Schemas], ...] = ()
    required: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()
    names: Schemas = ()
    """What every key must satisfy."""
    closed: bool = False
    """No keys but the declared ones and those of `patterned`, because the schema is read strictly."""
    patterned: tuple[StringShape, ...] = ()
    min_properties: int = 0
    max_properties: int | None = None
    witnesses: tuple[Witness, ...] = ()
    origin: Place | None = field(default=None, compare=False)
    """Where it comes from, for errors."""

    def value(self, key: str) -> Schemas:
        """What the value of `key` must satisfy."""
        return joined(
            self._declared.get(key, ()), *(rule.schemas for rule in self.rules if rule.keys.contains(key))
        )

    @cached_property
    def _declared(self) -> dict[str, Schemas]:
        return dict(self.properties)

    def intersection(self, other: ObjectShape) -> ObjectShape | None:
        """The objects in both; None if there are none for certain.

        What one declares is not closed by the other's silence.
        """
        mine, theirs = self._declared, other._declared
        declared = joined(mine, theirs)
        shape = ObjectShape(
            properties=tuple((key, joined(mine.get(key, ()), theirs.get(key, ()))) for key in declared),
            required=ordered((*self.required, *other.required), declared),
            rules=joined(self.rules, other.rules),
            names=joined(self.names, other.names),
            closed=self.closed or other.closed,
            patterned=joined(self.patterned, other.patterned),
            min_properties=max(self.min_properties, other.min_properties),
            max_properties=lesser(self.max_properties, other.max_properties),
            witnesses=joined(self.witnesses, other.witnesses),
            origin=(self if self.min_properties else other).origin or self.origin,
        )
        return shape.unless_contradictory()

    def unless_contradictory(self) -> ObjectShape | None:
        """This set; None if what it says of the number of its members cannot be."""
        most = self.max_properties
        return None if most is not None and most < max(self.min_properties, len(self.required)) else self

    def complement(self, tested: frozenset[str] = frozenset()) -> list[ObjectShape]:
        """Sets whose union has every object that is not in this one. `closed` must not be set.

        What the declared keys in `tested` say comes first: the sets for all else hold only what agrees with
        that. So sets that differ in those keys do not multiply.
        """
        first = ObjectShape(
            properties=tuple((key, schemas) for key, schemas in self.properties if key in tested),
            required=tuple(key for key in self.required if key in tested),
        )
        rest = replace(
            self,
            properties=tuple((key, schemas) for key, schemas in self.properties if key not in tested),
            required=tuple(key for key in self.required if key not in tested),
        )
        agreeing = (part.intersection(first) for part in rest._parts())
        return [*first._parts(), *(part for part in agreeing if part)]

    def _parts(self) -> list[ObjectShape]:
        declared = {key for key, schemas in self.properties if schemas}
        parts = [  # a required key may be missing, too
            ObjectShape(
                properties=((key, (place.negation(),)),), required=() if key in self.required else (key,)
            )
            for key, schemas in self.properties
            for place in schemas
        ]
        parts += [ObjectShape(properties=((key, (NEVER,)),)) for key in self.required if key not in declared]
        parts += [
            ObjectShape(witnesses=(Witness(rule.keys, (place.negation(),)),))
            for rule in self.rules
            for place in rule.schemas
        ]
        parts += [ObjectShape(witnesses=(Witness(names=(place.negation(),)),)) for place in self.names]
        if self.min_properties:
            parts.append(ObjectShape(max_properties=self.min_properties - 1))
        if self.max_properties is not None:
            parts.append(ObjectShape(min_properties=self.max_properties + 1))
        parts += [
            ObjectShape(rules=(Rule(witness.keys, (place.negation(),)),))
            for witness in self.witnesses
            for place in (witness.schemas if witness.names else witness.schemas or (NEVER.negation(),))
        ]
        parts += [ObjectShape(names=(p.negation(),)) for witness in self.witnesses for p in witness.names]
        return parts


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

    def complement(self, tested: frozenset[str] = frozenset()) -> list[Shape]:
        """Sets whose union has every value that is not in this one, if nothing in it is read strictly.

        The keys in `tested` are those of `ObjectShape.complement`.
        """
        types = zip_longest(
            self.number.complement() if self.number else [NumberShape()],
            self.string.complement() if self.string else [StringShape()],
            self.array.complement() if self.array else [ArrayShape()],
            self.object.complement(tested) if self.object else [ObjectShape()],
        )
        shapes = [Shape(number=n, string=s, array=a, object=o) for n, s, a, o in types]
        booleans = tuple(value for value in (True, False) if value not in self.booleans)
        first = replace(shapes[0] if shapes else Shape(), null=not self.null, booleans=booleans)
        return [shape for shape in (first, *shapes[1:]) if shape != NOTHING]

    @property
    def listed(self) -> bool:
        """Whether it has a few values only, given one by one."""
        numbers = self.number is None or self.number.values is not None
        strings = self.string is None or self.string.values is not None
        return numbers and strings and not self.array and not self.object

    def only(self, types: frozenset[str]) -> Shape:
        """The values whose type is among `types`; numbers count as "number", whole or not."""
        return Shape(
            null=self.null and "null" in types,
            booleans=self.booleans if "boolean" in types else (),
            number=self.number if "number" in types else None,
            string=self.string if "string" in types else None,
            array=self.array if "array" in types else None,
            object=self.object if "object" in types else None,
        )


NEVER = Place("", False, literal=True)
"""A sub-schema that nothing satisfies; its negation is satisfied by everything."""
NOTHING = Shape()
ANYTHING = Shape(
    null=True,
    booleans=(True, False),
    number=NumberShape(),
    string=StringShape(),
    array=ArrayShape(),
    object=ObjectShape(),
)


def lesser(first: int | None, second: int | None) -> int | None:
    """The lesser of two bounds, of which None does not bind."""
    return min((bound for bound in (first, second) if bound is not None), default=None)
