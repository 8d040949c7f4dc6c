"""From shapes to a program over bytes: JSON's syntax, in the declared key order and the chosen whitespace."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from grammar_service.automata.dfa import Dfa
from grammar_service.automata.program import Procedure, Program
from grammar_service.automata.spelling import Speller, Spelling
from grammar_service.schema.keywords import Reader
from grammar_service.schema.number import NumberShape, number_language
from grammar_service.schema.shape import ArrayShape, ObjectShape, Schemas, StringShape


class Whitespace(Enum):
    """Where an answer has whitespace."""

    SINGLE = "one space after each comma and colon"
    COMPACT = "none"
    FLEXIBLE = "any, at most MAX_WHITESPACE characters in a row"


@dataclass(eq=False)
class _Key:
    """A node of the trie of keys that may come next; nodes are shared between tries and never changed."""

    children: dict[str, _Key] = field(default_factory=dict)
    value: int | None = None
    """The state in which the value of the key that ends here begins, its closing quote not yet read."""

    def with_key(self, key: str, value: int, position: int = 0) -> _Key:
        """This trie and one key more."""
        if position == len(key):
            return _Key(self.children, value)
        child = self.children.get(key[position]) or _Key()
        return _Key({**self.children, key[position]: child.with_key(key, value, position + 1)}, self.value)


class Construction:
    """Writes the values of schemas into a program.

    Each object and array shape is one procedure, written once however often it is used: called on its
    opening bracket, returning on its closing one. So recursion needs nothing more.
    """

    def __init__(self, program: Program, reader: Reader, whitespace: Whitespace) -> None:
        self.program = program
        self.reader = reader
        self.whitespace = whitespace
        self.speller = Speller(program)
        self._procedures: dict[ArrayShape | ObjectShape, tuple[int, Procedure]] = {}
        self._unwritten: list[ArrayShape | ObjectShape] = []
        self._keys: dict[_Key, int] = {}

    def write(self, schemas: Schemas, source: int, target: int) -> None:
        """Add every value that satisfies `schemas`, from `source` to `target`."""
        self._value(schemas, source, target)
        while self._unwritten:
            shape = self._unwritten.pop()
            entry, procedure = self._procedures[shape]
            if isinstance(shape, ArrayShape):
                self._array(shape, entry, procedure)
            else:
                self._object(shape, entry, procedure)

    def _value(self, schemas: Schemas, source: int, target: int) -> None:
        program = self.program
        for shape in self.reader.shapes(schemas):
            if shape.null:
                program.read(source, b"null", target)
            for boolean in shape.booleans:
                program.read(source, b"true" if boolean else b"false", target)
            if shape.number is not None:
                self._number(shape.number, source, target)
            if shape.string is not None:
                self._string(shape.string, source, target)
            for container, bracket in ((shape.array, b"["), (shape.object, b"{")):
                if container is not None:
                    entry, procedure = self._procedure(container)
                    program.call(source, bracket[0], entry, procedure, target)

    def _procedure(self, shape: ArrayShape | ObjectShape) -> tuple[int, Procedure]:
        if shape not in self._procedures:
            self._procedures[shape] = (self.program.state(), self.program.procedure())
            self._unwritten.append(shape)
        return self._procedures[shape]

    def _number(self, shape: NumberShape, source: int, target: int) -> None:
        start = self.speller.language(number_language(shape), Spelling.RAW, target)
        self.program.epsilon[source].append(start)

    def _string(self, shape: StringShape, source: int, target: int) -> None:
        close = self.program.state()
        self.program.read(close, b'"', target)
        if shape.values is None:
            language = shape.language(max_states=self.program.max_states)
            spelling = Spelling.JSON
        else:
            language = Dfa.words(shape.values)
            spelling = Spelling.JSON_CANONICAL
        self.program.read(source, b'"', self.speller.language(language, spelling, close))

    def _spaces(self, source: int) -> int:
        """The state after the whitespace that may follow `source`, where it is flexible."""
        if self.whitespace is not Whitespace.FLEXIBLE:
            return source
        after = self.program.state()
        self.program.epsilon[source].append(after)
        self.program.spaced.add(after)
        return after

    def _separator(self, source: int, mark: bytes) -> int:
        """The state after a comma or a colon, and the whitespace that belongs to it."""
        after = self.program.state()
        self.program.read(source, mark + b" " if self.whitespace is Whitespace.SINGLE else mark, after)
        return self._spaces(after)

    def _array(self, shape: ArrayShape, entry: int, procedure: Procedure) -> None:
        program = self.program
        before = self._spaces(entry)
        if shape.min_items == 0:
            program.end(before, 0x5D, procedure)
        # The item that repeats must come after a comma, so the first never is it.
        last = shape.max_items
        if last is None:
            last = max(len(shape.prefix), shape.min_items, 1) + 1
        for index in range(last):
            after = program.state()
            self._value(shape.item(index), before, after)
            after = self._spaces(after)
            if index + 1 >= shape.min_items:
                program.end(after, 0x5D, procedure)
            if index + 1 < last:
                before = self._separator(after, b",")
            elif shape.max_items is None:  # the last item repeats
                program.epsilon[self._separator(after, b",")].append(before)

    def _object(self, shape: ObjectShape, entry: int, procedure: Procedure) -> None:
        """The members in the order of `properties`, then required ones that are not declared, then others.

        Built from the end: at each declared property, the keys that may come next are those of the
        properties after it, up to the first required one, and this one's.
        """
        program = self.program
        open_ended = not shape.closed
        undeclared = [key for key in shape.required if key not in dict(shape.properties)]
        members = [*shape.properties, *((key, shape.additional) for key in undeclared)]
        free = self._free_members(shape, [key for key, _ in members], procedure) if open_ended else None
        keys, last = _Key(), True
        for key, schemas in reversed(members):
            after = program.state()
            value = program.state()
            self._value(schemas, value, after)
            self._after_member(after, keys, free, last, procedure)
            required = key in shape.required
            keys = (_Key() if required else keys).with_key(key, value)
            if required:
                free, last = None, False
        before = self._spaces(entry)
        self._next_key(before, keys, free)
        if last:
            program.end(before, 0x7D, procedure)

    def _after_member(
        self, source: int, keys: _Key, free: int | None, last: bool, procedure: Procedure
    ) -> None:
        source = self._spaces(source)
        if last:
            self.program.end(source, 0x7D, procedure)
        if keys.children or keys.value is not None or free is not None:
            self._next_key(self._separator(source, b","), keys, free)

    def _next_key(self, source: int, keys: _Key, free: int | None) -> None:
        if keys.children or keys.value is not None:
            self.program.read(source, b'"', self._key(keys))
        if free is not None:
            self.program.read(source, b'"', free)

    def _key(self, node: _Key) -> int:
        """The state of a node of the keys, after the opening quote."""
        if node not in self._keys:
            state = self._keys[node] = self.program.state()
            for character, child in node.children.items():
                self.speller.character(state, character, Spelling.JSON_CANONICAL, self._key(child))
            if node.value is not None:
                self.program.epsilon[self._colon(state)].append(node.value)
        return self._keys[node]

    def _colon(self, source: int) -> int:
        """The state in which a value begins, after the closing quote of its key and the colon."""
        quoted = self.program.state()
        self.program.read(source, b'"', quoted)
        return self._separator(self._spaces(quoted), b":")

    def _free_members(self, shape: ObjectShape, declared: list[str], procedure: Procedure) -> int | None:
        """The state after the opening quote of a key that is not declared; more of them may follow."""
        program = self.program
        if not self.reader.shapes(shape.additional):
            return None
        quoted, after = program.state(), program.state()
        language = Dfa.words(declared).complement() if declared else Dfa.everything()
        start = self.speller.language(language, Spelling.JSON_CANONICAL, quoted)
        self._value(shape.additional, self._colon(quoted), after)
        self._after_member(after, _Key(), start, True, procedure)
        return start
