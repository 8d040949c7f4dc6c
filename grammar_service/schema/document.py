"""A JSON Schema document: its places, and what refers to them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import unquote

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
    literal: bool = False
    """It was made to describe the JSON value that stands there, such as a member of a `const`."""

    def child(self, *tokens: str | int) -> Place:
        """The sub-schema reached by these keys and indices."""
        pointer, schema = self.pointer, self.schema
        for token in tokens:
            pointer = f"{pointer}/{str(token).replace('~', '~0').replace('/', '~1')}"
            schema = schema[token]
        return Place(pointer, schema, self.literal)

    def refuse(self, keyword: str, why: str) -> UnsupportedSchemaError:
        """The error that says why `keyword` cannot stand here."""
        return UnsupportedSchemaError(pointer=self.pointer, keyword=keyword, why=why)


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


def follow_reference(root: Place, place: Place, reference: Any) -> Place:
    """The place that the `$ref` of `place` refers to, by a JSON pointer into its own document (RFC 6901).

    Raises:
        UnsupportedSchemaError: it is malformed, leads nowhere, or leads out of the document.
    """
    if not isinstance(reference, str):
        raise place.refuse("$ref", "must be a string")
    if not reference.startswith("#"):
        raise place.refuse("$ref", f"{reference!r} leads out of this document, which is not supported")
    pointer = unquote(reference[1:])
    if pointer and not pointer.startswith("/"):
        raise place.refuse("$ref", f"{reference!r} names an anchor, which is not supported")
    target = root
    for token in pointer.split("/")[1:]:
        key = token.replace("~1", "/").replace("~0", "~")
        if isinstance(target.schema, dict) and key in target.schema:
            target = target.child(key)
        elif isinstance(target.schema, list) and key.isdigit() and int(key) < len(target.schema):
            target = target.child(int(key))
        else:
            raise place.refuse("$ref", f"{reference!r} leads nowhere")
    return target
