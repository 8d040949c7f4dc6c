"""JSON text of values that `json.dumps` cannot write: numbers as they are spelled."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any


def write(value: Any, *, separators: tuple[str, str] = (", ", ": ")) -> str:
    """The value as JSON, a `Decimal` digit by digit, at most in the nesting that Python's stack allows."""
    comma, colon = separators
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, dict):
        members = (
            json.dumps(key) + colon + write(each, separators=separators) for key, each in value.items()
        )
        return "{" + comma.join(members) + "}"
    if isinstance(value, list):
        return "[" + comma.join(write(each, separators=separators) for each in value) + "]"
    return json.dumps(value)


def read(text: str) -> Any:
    """The value that the text stands for, its numbers exact: `int`, or `Decimal` if there is a point."""
    return json.loads(text, parse_float=Decimal)


def plain(value: Any) -> Any:
    """The value with its numbers spelled as simply as they can be: whole ones without a point."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else Decimal(format(value.normalize(), "f"))
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [plain(each) for each in value]
    return value
