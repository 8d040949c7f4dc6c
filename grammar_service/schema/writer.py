"""JSON values in a program over bytes: scalars, whitespace, and calls of the containers."""

from __future__ import annotations

from enum import Enum

from grammar_service.automata.dfa import Dfa
from grammar_service.automata.program import Procedure
from grammar_service.automata.speller import Speller
from grammar_service.automata.spelling import Spelling
from grammar_service.schema.digits import number_language
from grammar_service.schema.number import NumberShape
from grammar_service.schema.reader import Reader
from grammar_service.schema.shape import ArrayShape, ObjectShape, Schemas, Shape
from grammar_service.schema.text import StringShape


class Whitespace(Enum):
    """Where an answer has whitespace."""

    SINGLE = "one space after each comma and colon"
    COMPACT = "none"
    FLEXIBLE = "any, in runs of limited length"


class Writer:
    """Writes values between states of a program.

    Each array and object shape is one procedure, however often it is used: called on its opening bracket,
    returning on its closing one. So recursion needs nothing more. Their bodies are left in `unwritten`.
    """

    def __init__(self, speller: Speller, reader: Reader, whitespace: Whitespace) -> None:
        self.program = speller.program
        self.reader = reader
        self.speller = speller
        self.unwritten: list[tuple[ArrayShape | ObjectShape, int, Procedure]] = []
        self._whitespace = whitespace
        self._languages: dict[StringShape, Dfa] = {}
        self._strings: dict[StringShape, tuple[int, Procedure]] = {}
        self._procedures: dict[ArrayShape | ObjectShape, tuple[int, Procedure]] = {}

    def value(self, schemas: Schemas, source: int, target: int) -> None:
        """Add every value that satisfies `schemas`, from `source` to `target`."""
        for shape in self.reader.shapes(schemas):
            self.shape(shape, source, target)

    def shape(self, shape: Shape, source: int, target: int) -> None:
        """Add every value of a shape, from `source` to `target`."""
        program = self.program
        if shape.null:
            program.read(source, b"null", target)
        for boolean in shape.booleans:
            program.read(source, b"true" if boolean else b"false", target)
        if shape.number is not None:
            self._number(shape.number, source, target)
        if shape.string is not None:
            self._string(shape.string, source, target)
        for container, bracket in ((shape.array, 0x5B), (shape.object, 0x7B)):
            if container is not None:
                entry, procedure = self._procedure(container)
                program.call(source, bracket, entry, procedure, target)

    def spaces(self, source: int) -> int:
        """The state after the whitespace that may follow `source`, where it is flexible."""
        if self._whitespace is not Whitespace.FLEXIBLE:
            return source
        after = self.program.state()
        self.program.epsilon[source].append(after)
        self.program.spaced.add(after)
        return after

    def separator(self, source: int, mark: bytes) -> int:
        """The state after a comma or a colon, and the whitespace that belongs to it."""
        after = self.program.state()
        self.program.read(source, mark + b" " if self._whitespace is Whitespace.SINGLE else mark, after)
        return self.spaces(after)

    def _procedure(self, shape: ArrayShape | ObjectShape) -> tuple[int, Procedure]:
        known = self._procedures.get(shape)
        if known is None:
            known = self._procedures[shape] = (self.program.state(), self.program.procedure())
            self.unwritten.append((shape, *known))
        return known

    def _number(self, shape: NumberShape, source: int, target: int) -> None:
        start = self.speller.language(number_language(shape), Spelling.RAW, target)
        self.program.epsilon[source].append(start)

    def _string(self, shape: StringShape, source: int, target: int) -> None:
        """A string is a procedure too, from quote to quote: so one that is used often is there once."""
        if shape not in self._strings:
            procedure, close = self.program.procedure(), self.program.state()
            self.program.end(close, 0x22, procedure)
            spelling = Spelling.JSON if shape.values is None else Spelling.JSON_CANONICAL
            entry = self.speller.language(self.language(shape), spelling, close)
            self._strings[shape] = (entry, procedure)
        self.program.call(source, 0x22, *self._strings[shape], target)

    def language(self, shape: StringShape) -> Dfa:
        """The strings of a shape, as an automaton that is made once."""
        if shape not in self._languages:
            self._languages[shape] = shape.language(max_states=self.program.max_states)
        return self._languages[shape]
