"""Simpler versions of a grammar that shows a flaw."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

Source = TypeVar("Source")


def reduced(
    source: Source, simpler: Callable[[Source], Iterator[Source]], flawed: Callable[[Source], bool]
) -> Source:
    """The simplest version found, going on from the first simpler one that is flawed, as long as one is."""
    while True:
        following = next((candidate for candidate in simpler(source) if flawed(candidate)), None)
        if following is None:
            return source
        source = following


def simpler_values(value: Any) -> Iterator[Any]:
    """The value with one part less or one part simpler, large steps first."""
    if isinstance(value, dict):
        yield from (each for each in value.values() if isinstance(each, dict))
        yield from ({k: v for k, v in value.items() if k != key} for key in value)
        for key, each in value.items():
            yield from ({**value, key: smaller} for smaller in simpler_values(each))
    elif isinstance(value, list):
        yield from (each for each in value if isinstance(each, dict))
        yield from (value[:index] + value[index + 1 :] for index in range(len(value)))
        for index, each in enumerate(value):
            yield from ([*value[:index], smaller, *value[index + 1 :]] for smaller in simpler_values(each))
    elif isinstance(value, str):
        yield from simpler_texts(value)


def simpler_texts(text: str) -> Iterator[str]:
    """The text without a slice, long slices first."""
    length = len(text) // 2
    while length:
        for start in range(0, len(text), length):
            yield text[:start] + text[start + length :]
        length //= 2
    if len(text) == 1:
        yield ""
