"""Characters that differ by case alone."""

from __future__ import annotations

from collections import defaultdict
from functools import lru_cache

from grammar_service.regex.tree import CharacterSet

_END_OF_CASED = 0x20000
"""No character beyond has a case."""


def without_case(members: CharacterSet, *, ascii_only: bool) -> CharacterSet:
    """The set, and whatever differs from a member by case alone, as Python's `re` sees it.

    That is simple case folding, with the few pairs more that Unicode folds only in full, such as U+FB05 and
    U+FB06. With `ascii_only`, only ASCII letters have a case.
    """
    variants = _ascii_variants() if ascii_only else _variants()
    extra = []
    for low, high in members.ranges:
        long = high - low > len(variants)
        cased = (p for p in variants if low <= p <= high) if long else range(low, high + 1)
        extra += [(variant, variant) for point in cased for variant in variants.get(point, ())]
    return CharacterSet.of([*members.ranges, *extra])


@lru_cache(maxsize=1)
def _variants() -> dict[int, tuple[int, ...]]:
    """The other characters that match each one, for those that have any."""
    groups: defaultdict[str, list[int]] = defaultdict(list)
    for point in range(_END_OF_CASED):
        character = chr(point)
        lower = character.lower()
        if lower != character or character.upper() != character:
            groups[lower[0].upper()].append(point)
    return {point: tuple(group) for group in groups.values() if len(group) > 1 for point in group}


@lru_cache(maxsize=1)
def _ascii_variants() -> dict[int, tuple[int, ...]]:
    return {point: (point ^ 0x20,) for point in range(128) if chr(point).isalpha()}
