"""Arrays in a program: items in order, counted as far as the schema counts them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

from grammar_service.automata.program import Procedure
from grammar_service.schema.document import UnsupportedSchemaError
from grammar_service.schema.number import NumberShape
from grammar_service.schema.shape import ArrayShape, Schemas, Shape
from grammar_service.schema.text import StringShape
from grammar_service.schema.writer import Writer


class _Position(NamedTuple):
    """Where an array is, after some items."""

    place: int
    """Index of the next item, as far as it matters."""
    counts: tuple[int, ...]
    """Items so far that satisfy each `contains`, as far as it matters."""
    used: frozenset[Shape]
    """Values that must not come again."""


class ArrayProcedure:
    """Writes one array shape: `write` adds everything between its brackets."""

    def __init__(
        self, writer: Writer, shape: ArrayShape, procedure: Procedure, *, max_unique_values: int
    ) -> None:
        """`max_unique_values` are the most values that items may have for `uniqueItems` to be enforced."""
        self._writer = writer
        self._max_unique_values = max_unique_values
        self._shape = shape
        self._procedure = procedure
        self._single = self._single_values() if shape.unique and shape.max_items not in (0, 1) else None
        starts = [contains.start for contains in shape.contains]
        self._repeated = max([len(shape.prefix), shape.min_items, *starts])
        """The first index from which on all items are alike."""
        self._after: dict[_Position, int] = {}
        self._queue: list[tuple[_Position, int]] = []

    def write(self, entry: int) -> None:
        """Add the items and the closing bracket, from the state after the opening one."""
        start = _Position(0, (0,) * len(self._shape.contains), frozenset())
        before = self._writer.spaces(entry)
        self._may_close(start, before)
        self._queue.append((start, before))
        while self._queue:
            position, before = self._queue.pop()
            for schemas, shape, following in self._choices(position):
                after = self._state_after(following)
                if shape is not None:
                    self._writer.shapes((shape,), before, after)
                else:
                    self._writer.value(schemas, before, after)

    def _state_after(self, position: _Position) -> int:
        """The state after an item that leads to `position`."""
        if position not in self._after:
            after = self._after[position] = self._writer.program.state()
            spaced = self._writer.spaces(after)
            self._may_close(position, spaced)
            self._queue.append((position, self._writer.separator(spaced, b",")))
        return self._after[position]

    def _may_close(self, position: _Position, state: int) -> None:
        enough = all(
            count >= contains.least
            for count, contains in zip(position.counts, self._shape.contains, strict=True)
        )
        if enough and position.place >= self._shape.min_items:
            self._writer.program.end(state, 0x5D, self._procedure)

    def _choices(self, position: _Position) -> Iterator[tuple[Schemas, Shape | None, _Position]]:
        """The next items: what each must satisfy, or the one value it must be, and where it leads."""
        if self._shape.max_items is not None and position.place >= self._shape.max_items:
            return
        last = self._repeated if self._shape.max_items is None else self._shape.max_items
        index = min(position.place + 1, last)
        item = self._shape.item(position.place)
        for schemas, counts in self._counted(position):
            if self._single is None:
                yield (*item, *schemas), None, _Position(index, counts, position.used)
                continue
            for value in self._single.get((*item, *schemas), ()):
                if value not in position.used:
                    yield (), value, _Position(index, counts, position.used | {value})

    def _counted(self, position: _Position) -> Iterator[tuple[Schemas, tuple[int, ...]]]:
        """For each combination of what the next item is counted as, what it must satisfy for that."""
        ways: list[list[tuple[Schemas, int]]] = []
        for contains, count in zip(self._shape.contains, position.counts, strict=True):
            if position.place < contains.start:
                ways.append([((), count)])
            elif contains.most is None:
                # Not to count an item that could be counted is harmless, so nothing need be negated.
                more = [(contains.schemas, count + 1)] if count < contains.least else []
                ways.append([((), count), *more])
            else:
                other = [((place.negation(),), count) for place in contains.schemas]
                more = [(contains.schemas, count + 1)] if count < contains.most else []
                ways.append(other + more)
        for combination in product(*ways):
            schemas = tuple(place for places, _ in combination for place in places)
            yield schemas, tuple(count for _, count in combination)

    def _single_values(self) -> dict[Schemas, tuple[Shape, ...]]:
        """The values of each kind of item, one by one.

        Raises:
            UnsupportedSchemaError: there are too many to remember which have been used.
        """
        if self._shape.contains:
            raise self._refusal("it cannot stand beside contains")
        kinds = dict.fromkeys([*self._shape.prefix, self._shape.items])
        values = {schemas: tuple(self._separate(schemas)) for schemas in kinds}
        most = self._max_unique_values
        if len({value for group in values.values() for value in group}) > most:
            raise self._refusal(f"items may have more than {most} different values (max_unique_values)")
        return values

    def _separate(self, schemas: Schemas) -> Iterator[Shape]:
        seen = set()
        for shape in self._writer.reader.shapes(schemas):
            if not shape.listed:
                raise self._refusal("it is supported for items of a few listed values only")
            for value in _singletons(shape):
                if value not in seen:
                    seen.add(value)
                    yield value

    def _refusal(self, why: str) -> UnsupportedSchemaError:
        pointer = self._shape.origin.pointer if self._shape.origin else ""
        return UnsupportedSchemaError(pointer=pointer, keyword="uniqueItems", why=why)


def _singletons(shape: Shape) -> Iterator[Shape]:
    """The values of a shape without containers, each as a shape of its own."""
    if shape.null:
        yield Shape(null=True)
    for boolean in shape.booleans:
        yield Shape(booleans=(boolean,))
    for number in (shape.number and shape.number.values) or ():
        yield Shape(number=NumberShape(values=(number,)))
    for text in (shape.string and shape.string.values) or ():
        yield Shape(string=StringShape(values=(text,)))
