"""A JSON Schema document and its places."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import urljoin

from protos.errors import InvalidRequestError

MAX_NUMBER_DIGITS = 400
"""The most digits a number in a schema may have, before or after its point, written without exponent."""


class UnsupportedSchemaError(InvalidRequestError):
    """A schema that is malformed, or asks for what cannot be enforced exactly."""

    def __init__(self, *, pointer: str, keyword: str, why: str) -> None:
        place = f'"{pointer}"' if pointer else "the root"
        super().__init__(f'"{keyword}" at {place}: {why}')
        self.pointer = pointer
        self.keyword = keyword


@dataclass(frozen=True)
class Place:
    """A sub-schema: where it stands, and what stands there. Equal if they stand in the same place."""

    pointer: str
    schema: Any = field(compare=False)
    base: str = field(default="", compare=False)
    """The URI of the resource it belongs to."""
    alone: bool = field(default=False, compare=False)
    """What stands beside a `$ref` is not read, as up to draft 7."""
    draft4: bool = field(default=False, compare=False)
    """1.0 is no integer, as up to draft 4."""
    literal: bool = False
    """It was made to describe the JSON value that stands there, such as a member of a `const`."""
    lenient: bool = False
    """It is read by JSON Schema's letter even where the document is read strictly, for it is a condition."""
    negated: bool = False
    """It stands for what does not satisfy the sub-schema."""
    either: tuple[Place, ...] = ()
    """If given, it stands for what satisfies any of these, and for nothing of its own."""
    anchored: frozenset[str] = field(default=frozenset(), compare=False)
    """The URIs of all resources that have dynamic anchors."""
    scope: tuple[str, ...] = ()
    """Those of them that were entered on the way here, each once: the dynamic scope, as far as it matters."""

    def __hash__(self) -> int:
        # Places are looked up all the time, and most differ in this, whose hash a string remembers.
        return hash((self.pointer, self.negated, self.either, self.scope))

    def child(self, *tokens: str | int) -> Place:
        """The sub-schema reached by these keys and indices."""
        pointer, schema, base, scope = self.pointer, self.schema, self.base, self.scope
        for token in tokens:
            pointer = f"{pointer}/{str(token).replace('~', '~0').replace('/', '~1')}"
            schema = schema[token]
            if isinstance(schema, dict) and "$id" in schema and not (self.alone and "$ref" in schema):
                base = resource(base, schema)
            scope = self._entered(scope, base)
        return Place(  # as `replace` does, which is slow: most places are made here
            pointer,
            schema,
            base=base,
            alone=self.alone,
            draft4=self.draft4,
            literal=self.literal,
            lenient=self.lenient,
            negated=self.negated,
            either=self.either,
            anchored=self.anchored,
            scope=scope,
        )

    def entered(self, scope: tuple[str, ...]) -> Place:
        """This sub-schema, reached from within `scope`."""
        return replace(self, scope=self._entered(scope, self.base))

    def _entered(self, scope: tuple[str, ...], base: str) -> tuple[str, ...]:
        return (*scope, base) if base in self.anchored and base not in scope else scope

    def negation(self) -> Place:
        """What does not satisfy this sub-schema."""
        return replace(self.condition(), negated=not self.negated)

    def condition(self) -> Place:
        """This sub-schema, read by the letter."""
        return replace(self, lenient=True, either=tuple(place.condition() for place in self.either))

    def refuse(self, keyword: str, why: str) -> UnsupportedSchemaError:
        """The error that says why `keyword` cannot stand here."""
        return UnsupportedSchemaError(pointer=self.pointer, keyword=keyword, why=why)


def resource(base: str, schema: Any) -> str:
    """The base URI inside a sub-schema: its `$id` begins a resource of its own, unless it is an anchor."""
    identifier = schema.get("$id") if isinstance(schema, dict) else None
    if not isinstance(identifier, str) or identifier.startswith("#"):
        return base
    return resolved(base, identifier).partition("#")[0]


def resolved(base: str, reference: str) -> str:
    """The URI that a reference stands for within the resource `base` (RFC 3986, section 5)."""
    if reference.startswith("#"):  # urljoin loses a base that is a URN
        return base + reference
    try:
        return urljoin(base, reference)
    except ValueError as error:
        raise InvalidRequestError(f"{reference!r} within {base!r} is not a URI: {error}") from error


def draft_of(schema: Any) -> int:
    """The number of the draft that a document says it is of; of the later ones, 8."""
    named = schema.get("$schema") if isinstance(schema, dict) else None
    found = _OLD_DRAFT.search(named) if isinstance(named, str) else None
    return int(found[1]) if found else 8


def parse_document(text: str, *, max_depth: int) -> Place:
    """The root of the document in `text`. Numbers with a point or an exponent become `Decimal`.

    Raises:
        InvalidRequestError: it is not JSON, nests deeper than `max_depth`, or uses numbers that JSON has not.
    """
    try:
        root = json.loads(text, parse_float=_decimal, parse_int=_integer, parse_constant=_refused)
    except RecursionError:
        raise InvalidRequestError("the schema is nested too deeply") from None
    except ValueError as error:
        raise InvalidRequestError(f"the schema is not valid JSON: {error}") from error
    _check_depth(root, max_depth=max_depth)
    return Place("", root)


def _check_depth(root: Any, *, max_depth: int) -> None:
    level = [root]
    for _ in range(max_depth + 1):
        level = [
            inner
            for value in level
            if isinstance(value, dict | list)
            for inner in (value.values() if isinstance(value, dict) else value)
        ]
        if not level:
            return
    raise InvalidRequestError(f"the schema is nested more than {max_depth} deep (max_schema_depth)")


def _decimal(digits: str) -> Decimal:
    try:
        number = Decimal(digits)
    except InvalidOperation as error:
        raise ValueError(f"the number {digits[:40]} is out of range") from error
    if not -MAX_NUMBER_DIGITS < number.adjusted() < MAX_NUMBER_DIGITS or len(digits) > MAX_NUMBER_DIGITS:
        raise ValueError(f"the number {digits[:40]} is out of range")
    return number


def _integer(digits: str) -> int:
    if len(digits) > MAX_NUMBER_DIGITS:
        raise ValueError(f"the number {digits[:40]} is out of range")
    return int(digits)


def _refused(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")


_OLD_DRAFT = re.compile(r"json-schema\.org/draft-0([1-7])\b")
