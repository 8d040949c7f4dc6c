"""JSON values in a program over bytes: scalars, whitespace, and calls of the containers."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from functools import lru_cache
from typing import NamedTuple

from grammar_service.automata.dfa import Dfa
from grammar_service.automata.program import Procedure
from grammar_service.automata.speller import Speller
from grammar_service.automata.spelling import Spelling
from grammar_service.schema.digits import number_language
from grammar_service.schema.number import NumberShape
from grammar_service.schema.numeral import MAX_STATES
from grammar_service.schema.reader import Reader
from grammar_service.schema.shape import ArrayShape, ObjectShape, Schemas, Shape
from grammar_service.schema.text import StringShape


class Whitespace(Enum):
    """Where an answer has whitespace."""

    SINGLE = "one space after each comma and colon"
    COMPACT = "none"
    FLEXIBLE = "any, in runs of limited length"


class Scalars(NamedTuple):
    """The values of a shape that are no strings and contain nothing."""

    null: bool
    booleans: tuple[bool, ...]
    number: NumberShape | None


Strings = tuple[StringShape, ...]
"""Sets of strings, any of which a value may be from."""


class Known:
    """The procedures of a program that a writer may call, by what they are of.

    They are of one whitespace.
    """

    def __init__(self, whitespace: Whitespace) -> None:
        self.whitespace = whitespace
        self.strings: dict[Strings, tuple[int, Procedure]] = {}
        self.procedures: dict[ArrayShape | ObjectShape, tuple[int, Procedure]] = {}

    def copy(self) -> Known:
        """The same, to be added to."""
        known = Known(self.whitespace)
        known.strings, known.procedures = self.strings.copy(), self.procedures.copy()
        return known


class Writer:
    """Writes values between states of a program.

    Each array and object shape is one procedure, however often it is used: called on its opening bracket,
    returning on its closing one. So recursion needs nothing more. Their bodies are left in `unwritten`.
    """

    def __init__(self, speller: Speller, reader: Reader, known: Known) -> None:
        self.program = speller.program
        self.reader = reader
        self.speller = speller
        self.known = known
        self.unwritten: list[tuple[ArrayShape | ObjectShape, int, Procedure]] = []
        self._languages: dict[StringShape, Dfa] = {}

    def value(self, schemas: Schemas, source: int, target: int) -> None:
        """Add every value that satisfies `schemas`, from `source` to `target`."""
        self.shapes(self.reader.shapes(schemas), source, target)

    def shapes(self, shapes: Sequence[Shape], source: int, target: int) -> None:
        """Add every value of any of some shapes, from `source` to `target`."""
        program = self.program
        scalars = tuple(Scalars(s.null, s.booleans, s.number) for s in shapes)
        if any(map(any, scalars)):
            language = scalar_language(scalars)
            program.epsilon[source].append(self.speller.language(language, Spelling.RAW, target))
        strings = tuple(dict.fromkeys(shape.string for shape in shapes if shape.string is not None))
        if strings:
            program.call(source, 0x22, *self.string(strings), target)
        for shape in shapes:
            for container, bracket in ((shape.array, 0x5B), (shape.object, 0x7B)):
                if container is not None:
                    program.call(source, bracket, *self._procedure(container), target)

    def spaces(self, source: int) -> int:
        """The state after the whitespace that may follow `source`, where it is flexible."""
        if self.known.whitespace is not Whitespace.FLEXIBLE:
            return source
        after = self.program.state()
        self.program.epsilon[source].append(after)
        self.program.spaced.add(after)
        return after

    def separator(self, source: int, mark: bytes) -> int:
        """The state after a comma or a colon, and the whitespace that belongs to it."""
        after = self.program.state()
        self.program.read(source, mark + b" " if self.known.whitespace is Whitespace.SINGLE else mark, after)
        return self.spaces(after)

    def string(self, shapes: Strings) -> tuple[int, Procedure]:
        """A string is a procedure too, from quote to quote: so one that is used often is there once."""
        known = self.known.strings.get(shapes)
        if known is None:
            procedure, close = self.program.procedure(), self.program.state()
            self.program.end(close, 0x22, procedure)
            listed = all(shape.values is not None for shape in shapes)
            language = self.language(shapes[0])
            for shape in shapes[1:]:
                language = language.union(self.language(shape), max_states=self.program.max_states)
                language = language.minimised()
            spelling = Spelling.JSON_CANONICAL if listed else Spelling.JSON
            known = self.known.strings[shapes] = (self.speller.language(language, spelling, close), procedure)
        return known

    def _procedure(self, shape: ArrayShape | ObjectShape) -> tuple[int, Procedure]:
        known = self.known.procedures.get(shape)
        if known is None:
            known = self.known.procedures[shape] = (self.program.state(), self.program.procedure())
            self.unwritten.append((shape, *known))
        return known

    def language(self, shape: StringShape) -> Dfa:
        """The strings of a shape, as an automaton that is made once."""
        if shape not in self._languages:
            self._languages[shape] = shape.language(max_states=self.program.max_states)
        return self._languages[shape]


@lru_cache(maxsize=4096)
def scalar_language(alternatives: tuple[Scalars, ...]) -> Dfa:
    """The JSON spellings of null, of booleans and of numbers, as far as any alternative has them."""
    words = ["null"] * any(scalars.null for scalars in alternatives)
    words += [
        "true" if value else "false"
        for value in (True, False)
        if any(value in scalars.booleans for scalars in alternatives)
    ]
    numbers = [number_language(scalars.number) for scalars in alternatives if scalars.number is not None]
    languages = [Dfa.words(words).minimised(), *numbers] if words else numbers
    language = languages[0]
    for other in languages[1:]:
        language = language.union(other, max_states=MAX_STATES).minimised()
    return language
