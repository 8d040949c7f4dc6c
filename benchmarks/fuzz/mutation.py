"""Values like others: a few of their parts exchanged."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from decimal import Decimal
from random import Random
from typing import Any

_ANYTHING: tuple[Any, ...] = (
    *(
        None,
        True,
        False,
        0,
        1,
        -1,
        2,
        10,
        Decimal("0.5"),
        Decimal("1.0"),
        10**9,
        "",
        "a",
        "ab",
        "é",
        "😀",
        "\n",
    ),
    *([], {}, [1], [None, None], {"a": 1}, {"": None}),
)


class Mutation:
    """Changes values with the help of other parts that may stand in their places."""

    def __init__(self, random: Random, parts: list[Any]) -> None:
        self._random = random
        self._parts = [*_ANYTHING, *parts]
        self._keys = ["a", "b", "xa", *(part for part in parts if isinstance(part, str))]

    def of(self, value: Any, *, changes: int) -> Any:
        """The value, changed so many times."""
        changed = copy.deepcopy([value])
        for _ in range(changes):
            places = list(_places(changed))
            container, key = self._random.choice(places)
            self._change(container, key)
            if not changed:
                changed = [self._part()]
        return changed[0]

    def of_text(self, text: str) -> str:
        """The text, with one character more, less or exchanged."""
        position = self._random.randint(0, len(text))
        inserted = self._random.choice(["", "a", "1", "-", "é", '"', "\n", "\u00a0", text[:2]])
        return text[:position] + inserted + text[position + self._random.randint(0, 1) :]

    def _part(self) -> Any:
        return copy.deepcopy(self._random.choice(self._parts))

    def _change(self, container: Any, key: Any) -> None:
        """Exchange, drop or alter what stands there."""
        value = container[key]
        choice = self._random.random()
        if choice < 0.25:
            container[key] = self._part()
        elif choice < 0.4:
            del container[key]
        elif isinstance(value, dict):
            name = self._random.choice(self._keys)
            value[name] = self._part()
        elif isinstance(value, list):
            position = self._random.randint(0, len(value))
            value.insert(position, copy.deepcopy(self._random.choice([*value, self._part()])))
        elif isinstance(value, str):
            container[key] = self.of_text(value)
        elif isinstance(value, int | Decimal) and not isinstance(value, bool):
            container[key] = self._random.choice(
                [value + 1, value - 1, -value, value * 10, value + Decimal("0.5")]
            )
        else:
            container[key] = self._part()


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Each member of each container, as the container and its key or index."""
    stack = [value]
    while stack:
        container = stack.pop()
        pairs = container.items() if isinstance(container, dict) else enumerate(container)
        for key, member in pairs:
            yield container, key
            if isinstance(member, dict | list) and member:
                stack.append(member)


def parts(value: Any) -> list[Any]:
    """Everything that stands in a value, its keys included."""
    found: list[Any] = []
    stack = [value]
    while stack:
        part = stack.pop()
        found.append(part)
        if isinstance(part, dict):
            found.extend(part)
            stack.extend(part.values())
        elif isinstance(part, list):
            stack.extend(part)
    return found
