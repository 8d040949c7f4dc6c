"""All the orders that the keys of a value may have."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations
from typing import Any


def in_every_order(value: Any) -> Iterator[Any]:
    """The value with the keys of all its objects in every order."""
    if isinstance(value, list):
        yield from _members_in_every_order(value)
    elif isinstance(value, dict):
        for keys in permutations(value):
            for members in _members_in_every_order([value[key] for key in keys]):
                yield dict(zip(keys, members, strict=True))
    else:
        yield value


def _members_in_every_order(members: list[Any]) -> Iterator[list[Any]]:
    if not members:
        yield []
        return
    for first in in_every_order(members[0]):
        for rest in _members_in_every_order(members[1:]):
            yield [first, *rest]
