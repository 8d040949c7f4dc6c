"""Host names of RFC 1123."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum, auto
from functools import lru_cache
from typing import NamedTuple

from grammar_service.automata.dfa import Dfa
from grammar_service.formats.composition import Ranges, characters, machine

MAX_LABEL = 63
_GRAIN = 4
_X, _N = characters("X", "x"), characters("N", "n")
_ALPHANUMERIC = characters("09", "AZ", "az")
_NOT_X = characters("09", "AW", "YZ", "aw", "yz")
_NOT_N = characters("09", "AM", "OZ", "am", "oz")
_HYPHEN, _DOT = characters("-"), characters(".")


def hostname() -> Dfa:
    """Dot-separated labels of at most 63 letters, digits and inner hyphens, at most 253 characters in all.

    Refused are labels that begin with `xn--`, for what follows must be the Punycode of an allowed label; and
    names that are long and of many labels: see `dotted_labels`, of which two labels are free here.
    """
    return dotted_labels(free=2, punycode=False)


@lru_cache(maxsize=2)
def dotted_labels(*, free: int, punycode: bool) -> Dfa:
    """Labels, of which the `free` first may have up to 63 characters each.

    All others share 63 characters, each but the last rounded up to a multiple of four with its dot. To count
    the length of the label and of the whole name exactly would need 253 x 63 states. With `punycode` a label
    may begin with `xn--`.
    """
    start = _Place(free, 0, _Label.BEGIN)
    return machine(start, lambda place: _moves(place, punycode), _Place.may_end).minimised()


class _Label(Enum):
    """What has been read of the present label."""

    BEGIN = auto()
    X = auto()
    XN = auto()
    XN_HYPHEN = auto()
    ALPHANUMERIC = auto()
    """Anything else that may end here."""
    HYPHEN = auto()


class _Place(NamedTuple):
    """How far a name has been read."""

    free: int
    """Free labels left, the present one included."""
    length: int
    """The characters of the present label if it is free, or else of all that are not."""
    label: _Label

    def may_end(self) -> bool:
        """Whether the name may end here."""
        return self.label in (_Label.X, _Label.XN, _Label.ALPHANUMERIC)


def _moves(place: _Place, punycode: bool) -> Iterator[tuple[Ranges, _Place]]:
    if place.length < MAX_LABEL:
        for ranges, label in _label_moves(place.label, punycode):
            yield ranges, _Place(place.free, place.length + 1, label)
    if not place.may_end():
        return
    if place.free:
        yield _DOT, _Place(place.free - 1, 0, _Label.BEGIN)
    else:
        length = -(-(place.length + 1) // _GRAIN) * _GRAIN
        if length < MAX_LABEL:
            yield _DOT, _Place(0, length, _Label.BEGIN)


def _label_moves(label: _Label, punycode: bool) -> Iterator[tuple[Ranges, _Label]]:
    if label is _Label.BEGIN and not punycode:
        yield _X, _Label.X
        yield _NOT_X, _Label.ALPHANUMERIC
    elif label is _Label.X:
        yield _N, _Label.XN
        yield _NOT_N, _Label.ALPHANUMERIC
    else:
        yield _ALPHANUMERIC, _Label.ALPHANUMERIC
    if label is _Label.XN:
        yield _HYPHEN, _Label.XN_HYPHEN
    elif label not in (_Label.BEGIN, _Label.XN_HYPHEN):
        yield _HYPHEN, _Label.HYPHEN
