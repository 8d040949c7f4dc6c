"""Addresses of the Internet, and UUIDs."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum, auto
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from grammar_service.automata.dfa import DEAD, Dfa
from grammar_service.formats.composition import Ranges, characters, machine
from grammar_service.regex.automaton import fullmatch

_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_LETTERS = characters("AF", "af")
_COLON = characters(":")
_GROUPS = 8


@lru_cache(maxsize=1)
def ipv4() -> Dfa:
    """`dotted-decimal` of RFC 2673, without leading zeros."""
    return fullmatch(rf"{_OCTET}(?:\.{_OCTET}){{3}}")


@lru_cache(maxsize=2)
def ipv6(*, most_beside_gap: int = 7) -> Dfa:
    """`IPv6address` of RFC 3986: the text forms of RFC 4291, without zone.

    At most `most_beside_gap` groups stand beside a `::`, which is 6 in RFC 5321.
    """
    return machine(_Place(_Phase.BEGIN), _Grammar(most_beside_gap).moves, _Place.may_end).minimised()


def uuid() -> Dfa:
    """`UUID` of RFC 4122, of any version and variant."""
    return fullmatch("[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")


class _Phase(Enum):
    """What was read last."""

    BEGIN = auto()
    FIRST_COLON = auto()
    GROUP = auto()
    COLON = auto()
    GAP = auto()
    QUAD = auto()
    """Something of an embedded IPv4 address, its first dot included."""


class _Place(NamedTuple):
    """How far an IPv6 address has been read."""

    phase: _Phase
    groups: int = 0
    """Groups read, the present one included."""
    gap: bool = False
    digits: int = 0
    """Of the present group."""
    quad: int = DEAD
    """The state of `ipv4`, if what is read since the last colon may begin such an address."""

    def may_end(self) -> bool:
        """Whether the address may end here."""
        if self.phase is _Phase.QUAD:
            return bool(ipv4().accepting[self.quad])
        return self.phase is _Phase.GAP or (
            self.phase is _Phase.GROUP and (self.gap or self.groups == _GROUPS)
        )


class _Grammar:
    """The moves between places."""

    def __init__(self, most_beside_gap: int) -> None:
        self.most_beside_gap = most_beside_gap

    def moves(self, place: _Place) -> Iterator[tuple[Ranges, _Place]]:
        """Every way on, with the characters that take it."""
        if place.phase is _Phase.QUAD:
            for character in "0123456789.":
                quad = _quad_after(place.quad, character)
                if quad != DEAD:
                    yield characters(character), place._replace(quad=quad)
            return
        yield from self._digits(place)
        yield from self._colon(place)
        quad = _quad_after(place.quad, ".")
        if quad != DEAD:
            yield characters("."), _Place(_Phase.QUAD, quad=quad)

    def _digits(self, place: _Place) -> Iterator[tuple[Ranges, _Place]]:
        if place.phase is _Phase.GROUP:
            if place.digits == 4:
                return
            after, quad = place._replace(digits=place.digits + 1), place.quad
        else:
            if place.phase is _Phase.FIRST_COLON or place.groups == self._most(place):
                return
            after = _Place(_Phase.GROUP, place.groups + 1, place.gap, 1)
            # An embedded address takes the place of this group and one more, and is the last of all.
            fits = place.groups + 2 <= self._most(place) if place.gap else place.groups + 2 == _GROUPS
            quad = ipv4().start if fits else DEAD
        yield _LETTERS, after._replace(quad=DEAD)
        for digit in "0123456789":
            yield characters(digit), after._replace(quad=_quad_after(quad, digit))

    def _colon(self, place: _Place) -> Iterator[tuple[Ranges, _Place]]:
        if place.phase is _Phase.BEGIN:
            yield _COLON, _Place(_Phase.FIRST_COLON)
        elif place.phase is _Phase.GROUP and place.groups < self._most(place):
            yield _COLON, _Place(_Phase.COLON, place.groups, place.gap)
        elif place.phase is _Phase.FIRST_COLON or (
            place.phase is _Phase.COLON and not place.gap and place.groups <= self.most_beside_gap
        ):
            yield _COLON, _Place(_Phase.GAP, place.groups, gap=True)

    def _most(self, place: _Place) -> int:
        return self.most_beside_gap if place.gap else _GROUPS


@lru_cache(maxsize=1024)
def _quad_after(quad: int, character: str) -> int:
    dfa = ipv4()
    return int(dfa.table[quad, np.searchsorted(dfa.cuts, ord(character), side="right") - 1])
