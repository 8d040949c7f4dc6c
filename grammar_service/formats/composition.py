"""Automata put together from others, and from states of any kind that know their moves."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from functools import reduce
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from grammar_service.automata.columns import END_OF_UNICODE, SURROGATES
from grammar_service.automata.dfa import DEAD, Dfa
from grammar_service.regex.automaton import fullmatch

MAX_STATES = 20_000
"""More than any format needs."""

Ranges = tuple[tuple[int, int], ...]
"""Inclusive ranges of code points, ascending."""
State = TypeVar("State", bound=Hashable)


def characters(*members: str) -> Ranges:
    """A set of characters; each member is one of them, or the first and the last of a range."""
    return tuple(sorted((ord(member[0]), ord(member[-1])) for member in members))


def union(*parts: str | Dfa) -> Dfa:
    """The strings of any part; one that is a string is a regular expression in Python's syntax."""
    return reduce(lambda first, second: first.union(second, max_states=MAX_STATES), map(_language, parts))


def concatenation(*parts: str | Dfa) -> Dfa:
    """The strings of the parts, one after the other; one that is a string is a regular expression."""
    languages = map(_language, parts)
    return reduce(lambda first, second: first.concatenation(second, max_states=MAX_STATES), languages)


def machine(
    start: State, moves: Callable[[State], Iterable[tuple[Ranges, State]]], accepts: Callable[[State], bool]
) -> Dfa:
    """The automaton of states and their `moves`; the sets of characters that leave one state are disjoint."""
    numbers = {start: 1}
    ways: list[list[tuple[Ranges, int]]] = []
    queue = [start]
    for state in queue:  # grows as it is read
        ways.append([])
        for ranges, target in moves(state):
            number = numbers.setdefault(target, len(numbers) + 1)
            if number > len(queue):
                queue.append(target)
            ways[-1].append((ranges, number))
    cuts, classes, class_of = _alphabet({ranges for way in ways for ranges, _ in way})
    rows = [[DEAD] * (max(class_of) + 1) for _ in range(len(ways) + 1)]
    for row, way in zip(rows[1:], ways, strict=True):
        for ranges, number in way:
            for character_class in classes[ranges]:
                row[character_class] = number
    table = np.array(rows, dtype=np.int64)[:, class_of]
    return Dfa(cuts, table, np.array([False, *map(accepts, queue)]), 1)


def _alphabet(sets: set[Ranges]) -> tuple[NDArray[np.int64], dict[Ranges, list[int]], list[int]]:
    """Cuts between characters; the classes that make up each set; the class of each interval.

    The characters of a class are in the same sets; those of class 0 are in none, surrogates among them.
    """
    points = {0, *SURROGATES, *(p for ranges in sets for low, high in ranges for p in (low, high + 1))}
    cuts = np.array(sorted(points - {END_OF_UNICODE}), dtype=np.int64)
    containing: list[list[Ranges]] = [[] for _ in cuts]
    for ranges in sets:
        for low, high in ranges:
            first, after = np.searchsorted(cuts, (low, high + 1))
            for interval in containing[first:after]:
                interval.append(ranges)
    first, after = np.searchsorted(cuts, SURROGATES)
    containing[first:after] = [[] for _ in containing[first:after]]
    numbers: dict[tuple[Ranges, ...], int] = {(): 0}
    class_of = [numbers.setdefault(tuple(sets_here), len(numbers)) for sets_here in containing]
    classes: dict[Ranges, list[int]] = {ranges: [] for ranges in sets}
    for sets_here, number in numbers.items():
        for ranges in sets_here:
            classes[ranges].append(number)
    return cuts, classes, class_of


def _language(part: str | Dfa) -> Dfa:
    return fullmatch(part) if isinstance(part, str) else part
