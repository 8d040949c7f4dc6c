"""A JSON Schema document: its places, and what refers to them."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import unquote, urljoin

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
    literal: bool = False
    """It was made to describe the JSON value that stands there, such as a member of a `const`."""
    lenient: bool = False
    """It is read by JSON Schema's letter even where the document is read strictly, for it is a condition."""
    negated: bool = False
    """It stands for what does not satisfy the sub-schema."""

    def child(self, *tokens: str | int) -> Place:
        """The sub-schema reached by these keys and indices."""
        place = self
        for token in tokens:
            pointer = f"{place.pointer}/{str(token).replace('~', '~0').replace('/', '~1')}"
            schema = place.schema[token]
            shadowed = place.alone and isinstance(schema, dict) and "$ref" in schema
            base = place.base if shadowed else resource(place.base, schema)
            place = replace(place, pointer=pointer, schema=schema, base=base)
        return place

    def negation(self) -> Place:
        """What does not satisfy this sub-schema."""
        return replace(self, negated=not self.negated, lenient=True)

    def condition(self) -> Place:
        """This sub-schema, read by the letter."""
        return replace(self, lenient=True)

    def refuse(self, keyword: str, why: str) -> UnsupportedSchemaError:
        """The error that says why `keyword` cannot stand here."""
        return UnsupportedSchemaError(pointer=self.pointer, keyword=keyword, why=why)


def resource(base: str, schema: Any) -> str:
    """The base URI inside a sub-schema: its `$id` begins a resource of its own, unless it is an anchor."""
    identifier = schema.get("$id") if isinstance(schema, dict) else None
    if not isinstance(identifier, str) or identifier.startswith("#"):
        return base
    return urljoin(base, identifier).partition("#")[0]


def parse_document(text: str) -> Place:
    """The root of the document in `text`. Numbers with a point or an exponent become `Decimal`.

    Raises:
        InvalidRequestError: it is not JSON, or uses numbers that JSON does not have.
    """
    try:
        return Place("", json.loads(text, parse_float=_decimal, parse_int=_integer, parse_constant=_refused))
    except RecursionError:
        raise InvalidRequestError("the schema is nested too deeply") from None
    except ValueError as error:
        raise InvalidRequestError(f"the schema is not valid JSON: {error}") from error


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


class Document:
    """A schema, with what its references refer to. Only the document itself is ever looked at."""

    def __init__(self, root: Place) -> None:
        draft = root.schema.get("$schema") if isinstance(root.schema, dict) else None
        alone = isinstance(draft, str) and bool(_OLD_DRAFT.search(draft))
        self.root = replace(root, base=resource("", root.schema), alone=alone)
        self._dynamic: Counter[str] = Counter()
        self._named: dict[str, Place] | None = None

    def follow(self, place: Place, keyword: str) -> Place:
        """The place that a reference refers to: by pointer (RFC 6901), anchor or identifier.

        Raises:
            UnsupportedSchemaError: it is malformed, leads nowhere, or leads out of the document.
        """
        reference = place.schema[keyword]
        if not isinstance(reference, str):
            raise place.refuse(keyword, "must be a string")
        name, _, fragment = urljoin(place.base, reference).partition("#")
        fragment = unquote(fragment)
        if keyword == "$dynamicRef" and self._names() and self._dynamic[fragment] > 1:
            raise place.refuse(keyword, f"there is more than one $dynamicAnchor {fragment!r}")
        if not fragment or fragment.startswith("/"):
            target = self.root if name == self.root.base else self._names().get(name)
            tokens = fragment.split("/")[1:]
        else:
            target, tokens = self._names().get(f"{name}#{fragment}"), []
        if target is None:
            raise place.refuse(keyword, f"{reference!r} is nowhere in this document, and others are not read")
        for token in tokens:
            key = token.replace("~1", "/").replace("~0", "~")
            if isinstance(target.schema, dict) and key in target.schema:
                target = target.child(key)
            elif isinstance(target.schema, list) and key.isdigit() and int(key) < len(target.schema):
                target = target.child(int(key))
            else:
                raise place.refuse(keyword, f"{reference!r} leads nowhere")
        return replace(target, lenient=place.lenient)

    def _names(self) -> dict[str, Place]:
        """Every sub-schema that has an identifier or an anchor, by its URI."""
        if self._named is None:
            self._named = {}
            stack = [self.root]
            while stack:
                place = stack.pop()
                stack.extend(_children(place))
                if not isinstance(place.schema, dict):
                    continue
                self._named.setdefault(place.base, place)
                for keyword in ("$anchor", "$dynamicAnchor", "$id"):
                    anchor = place.schema.get(keyword)
                    self._dynamic[str(anchor)] += keyword == "$dynamicAnchor" and anchor is not None
                    if isinstance(anchor, str) and (keyword != "$id" or anchor.startswith("#")):
                        self._named.setdefault(f"{place.base}#{anchor.removeprefix('#')}", place)
        return self._named


def _children(place: Place) -> Iterator[Place]:
    """The sub-schemas right below a place; what stands in other keywords is data."""
    if not isinstance(place.schema, dict):
        return
    for keyword, value in place.schema.items():
        if keyword in _ONE_SCHEMA and isinstance(value, dict):
            yield place.child(keyword)
        if keyword in _SCHEMA_LISTS and isinstance(value, list):
            yield from (place.child(keyword, index) for index in range(len(value)))
        if keyword in _SCHEMA_MAPS and isinstance(value, dict):
            yield from (place.child(keyword, key) for key in value)


_OLD_DRAFT = re.compile(r"json-schema\.org/draft-0[1-7]\b")
_ONE_SCHEMA = {
    *("additionalItems", "additionalProperties", "contains", "else", "if", "items", "not", "propertyNames"),
    *("then", "unevaluatedItems", "unevaluatedProperties"),
}
_SCHEMA_LISTS = {"allOf", "anyOf", "items", "oneOf", "prefixItems"}
_SCHEMA_MAPS = {"$defs", "definitions", "dependencies", "dependentSchemas", "patternProperties", "properties"}
