"""`unevaluatedProperties` and `unevaluatedItems`: what the keywords beside them speak of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from grammar_service.schema.document import Place
from grammar_service.schema.keywords import schema_list, schema_map
from grammar_service.schema.references import REFERENCES
from grammar_service.schema.shape import ANYTHING, ArrayShape, ObjectShape, Rule, Shape, joined
from grammar_service.schema.text import Demand, StringShape
from grammar_service.schema.union import CircularReferenceError, Shapes, united

if TYPE_CHECKING:
    from grammar_service.schema.reader import Reader


@dataclass(frozen=True)
class Evaluated:
    """The properties or items that some keywords speak of."""

    keys: frozenset[str] = frozenset()
    patterns: frozenset[str] = frozenset()
    items: int = 0
    """The first so many."""
    contained: tuple[Place, ...] = ()
    """All items that satisfy any of these."""
    all: bool = False

    def union(self, other: Evaluated) -> Evaluated:
        """What either speaks of."""
        return Evaluated(
            keys=self.keys | other.keys,
            patterns=self.patterns | other.patterns,
            items=max(self.items, other.items),
            contained=joined(self.contained, other.contained),
            all=self.all or other.all,
        )


NONE = Evaluated()
UNEVALUATED = ("unevaluatedProperties", "unevaluatedItems")

Ways = Mapping[Evaluated, Shapes]
"""The values that satisfy a sub-schema, by what it evaluates in them at least.

Each value stands at least in the way in which most is evaluated. It may stand in others as well: to take less
as evaluated than is makes `unevaluated*` ask for more, so it makes no value valid that is not.
"""


class Evaluation:
    """Reads the sub-schemas that have `unevaluated*`: a union over the ways to satisfy their neighbours."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._reading: set[Place] = set()

    def shapes(self, place: Place, keywords: Sequence[str]) -> Shapes:
        """The values that satisfy a sub-schema with one of these keywords, or with both.

        Raises:
            UnsupportedSchemaError: it is malformed, or has too many ways.
        """
        if len(keywords) == 1:
            return self._satisfying(place, keywords[0])
        groups = []
        for keyword in keywords:
            arrays = keyword == "unevaluatedItems"
            found = self._satisfying(place, keyword)
            groups.append(tuple(Shape(array=s.array) if arrays else replace(s, array=None) for s in found))
        return self._reader.unions.possible(united(groups))

    def _satisfying(self, place: Place, keyword: str) -> Shapes:
        groups = []
        for evaluated, shapes in self._combined(place, keyword).items():
            demand = (_demand(place, keyword, evaluated),)
            groups.append(self._reader.unions.meet(shapes, demand, place))
        return united(groups)

    def _ways(self, place: Place, keyword: str) -> Ways:
        """The ways to satisfy a neighbour."""
        schema = place.schema
        if not isinstance(schema, dict):
            return {NONE: self._reader.shapes((place,))}
        if "$ref" in schema and place.alone:
            return self._ways(self._reader.references.follow(place, "$ref"), keyword)
        if keyword in schema or self._own(place, keyword).all:
            return {Evaluated(all=True): self._reader.shapes((place,))}
        if place in self._reading:
            why = "it refers to itself, and so says nothing"
            raise CircularReferenceError(pointer=place.pointer, keyword="$ref", why=why)
        self._reading.add(place)
        try:
            ways = self._combined(place, keyword)
        finally:
            self._reading.remove(place)
        if not any(each in schema for each in UNEVALUATED):
            return ways
        whole = self._reader.shapes((place,))  # with what the other keyword asks for
        return self._both(ways, {NONE: whole}, place)

    def _combined(self, place: Place, keyword: str) -> Ways:
        """The ways to satisfy a place, the keyword itself aside."""
        ways: Ways = {self._own(place, keyword): self._reader.asserted(place)}
        for part in self._parts(place, keyword):
            ways = self._both(ways, part, place)
        return {evaluated: self._reader.denied(place, shapes) for evaluated, shapes in ways.items()}

    def _own(self, place: Place, keyword: str) -> Evaluated:
        """What a place's own keywords evaluate in every value."""
        schema = place.schema
        if keyword == "unevaluatedProperties":
            return Evaluated(
                keys=frozenset(schema_map(place, "properties")),
                patterns=frozenset(schema_map(place, "patternProperties")),
                all="additionalProperties" in schema,
            )
        listed = schema.get("items")
        return Evaluated(
            items=max(len(_list(listed)), len(_list(schema.get("prefixItems")))),
            contained=(place.child("contains"),) if self._counts_contains(place) else (),
            all="additionalItems" in schema if isinstance(listed, list) else "items" in schema,
        )

    def _counts_contains(self, place: Place) -> bool:
        return "contains" in place.schema and self._reader.references.contains_evaluates

    def _parts(self, place: Place, keyword: str) -> Iterator[Ways]:
        """For each keyword that applies other schemas to the value: the ways to satisfy it."""
        for reference in REFERENCES:
            if reference in place.schema:
                yield self._ways(self._reader.references.follow(place, reference), keyword)
        for branch in schema_list(place, "allOf") if "allOf" in place.schema else ():
            yield self._ways(branch, keyword)
        if "anyOf" in place.schema:
            yield self._any(schema_list(place, "anyOf"), keyword, place)
        if "oneOf" in place.schema:
            yield self._one(schema_list(place, "oneOf"), keyword, place)
        if "if" in place.schema:
            yield self._if(place, keyword)
        for key, present, dependent in self._reader.dependencies(place):
            ways: Ways = {NONE: present}
            if dependent:
                ways = self._both(ways, self._ways(dependent, keyword), place)
            yield _merged([{NONE: self._reader.lacking((ANYTHING,), key, place)}, ways])

    def _any(self, branches: list[Place], keyword: str, place: Place) -> Ways:
        """Some branches: which are satisfied besides matters only as far as they evaluate something."""
        found: Ways = {}
        for branch in branches:
            ways = self._ways(branch, keyword)
            together = [
                {mine.union(theirs): self._reader.unions.meet(shapes, others, place)}
                for mine, shapes in found.items()
                for theirs, others in ways.items()
                if mine.union(theirs) not in (mine, theirs)
            ]
            found = _merged([found, ways, *together])
        return found

    def _one(self, branches: list[Place], keyword: str, place: Place) -> Ways:
        """One branch, and no other."""
        return _merged(
            {
                evaluated: self._reader.alone(shapes, branch, branches, place)
                for evaluated, shapes in self._ways(branch, keyword).items()
            }
            for branch in branches
        )

    def _if(self, place: Place, keyword: str) -> Ways:
        """The condition holds, and so does `then`; or it does not, and `else` does."""
        condition = place.child("if").condition()
        held = self._ways(condition, keyword)
        failed: Ways = {NONE: self._reader.apart((ANYTHING,), condition)}
        if "then" in place.schema:
            held = self._both(held, self._ways(place.child("then"), keyword), place)
        if "else" in place.schema:
            failed = self._both(failed, self._ways(place.child("else"), keyword), place)
        return _merged([held, failed])

    def _both(self, first: Ways, second: Ways, place: Place) -> Ways:
        """The ways to satisfy two neighbours."""
        meet = self._reader.unions.meet
        return _merged(
            {mine.union(theirs): meet(shapes, others, place)}
            for mine, shapes in first.items()
            for theirs, others in second.items()
        )


def _merged(groups: Iterator[Ways] | Sequence[Ways]) -> Ways:
    found: dict[Evaluated, Shapes] = {}
    for ways in groups:
        for evaluated, shapes in ways.items():
            found[evaluated] = united((found.get(evaluated, ()), shapes))
    return {evaluated: shapes for evaluated, shapes in found.items() if shapes}


def _demand(place: Place, keyword: str, evaluated: Evaluated) -> Shape:
    """The values in which the members that are not evaluated are what the keyword asks for."""
    rest = place.child(keyword)
    if evaluated.all:
        return ANYTHING
    if keyword == "unevaluatedItems":
        either = tuple(replace(other, lenient=place.lenient) for other in evaluated.contained)
        items = replace(rest, either=(*either, rest)) if either else rest
        return replace(ANYTHING, array=ArrayShape(prefix=((),) * evaluated.items, items=(items,)))
    demands = tuple(Demand("pattern", pattern, negated=True) for pattern in sorted(evaluated.patterns))
    keys = StringShape(demands=demands, excluded=evaluated.keys)
    return replace(ANYTHING, object=ObjectShape(rules=(Rule(keys, (rest,)),)))


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []
