"""Internationalised host names of RFC 5890 to 5893 (IDNA 2008): a subset that an automaton can know.

What a label may have is in `_RULES`; `_moves` counts the encoded length and follows the direction.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum, auto
from functools import lru_cache
from typing import NamedTuple

from grammar_service.automata.dfa import Dfa
from grammar_service.formats.composition import Ranges, machine
from grammar_service.formats.scripts import CHARACTERS, COMBINING_DIACRITICS, Kind

MAX_OCTETS = 63
MAX_ENCODED = 54
"""What the characters of names with characters beyond ASCII may cost.

A label may have 63 octets (RFC 3492): `xn--`, its characters of ASCII, a hyphen, and the digits of a
delta for each other character. Whatever the bias, a delta has at most 4 digits below 28,886, 5 below
288,886, 6 below 2,888,886 and 7 below 28,888,886. The deltas of a label of 54 characters add up to less
than 60 times its highest code point. So at most 3 of those of characters below U+0800 have a fifth
digit, and at most one of those below U+10000 has a seventh; with these and the hyphen, 54 become 59.
"""
_COST_BELOW_0800, _COST = 4, 6


class _Label(Enum):
    """What has been read of the present label; it may end in the states of `_ENDS`."""

    BEGIN = auto()
    PLAIN = auto()
    """Only ASCII so far, without capitals, which no label with other characters may have."""
    PLAIN_L = auto()
    PLAIN_HYPHEN = auto()
    CAPITALS = auto()
    """Only ASCII, and with capitals."""
    CAPITALS_HYPHEN = auto()
    LETTER = auto()
    LETTER_L = auto()
    KANA_OR_HAN = auto()
    COMBINED = auto()
    VIRAMA = auto()
    HYPHEN = auto()
    JOINED = auto()
    MIDDLE_DOT = auto()
    KERAIA = auto()
    KATAKANA_DOT = auto()
    """At the begin, where none of the characters that it needs precedes."""
    LEFTWARD = auto()
    HEBREW = auto()
    DUAL_JOINING = auto()
    NON_JOINED = auto()
    LEFTWARD_HYPHEN = auto()


_ENDS = {
    *(_Label.PLAIN, _Label.PLAIN_L, _Label.CAPITALS, _Label.LETTER, _Label.LETTER_L, _Label.KANA_OR_HAN),
    *(_Label.COMBINED, _Label.VIRAMA, _Label.LEFTWARD, _Label.HEBREW, _Label.DUAL_JOINING),
}
_PLAIN_LABELS = {
    *(_Label.PLAIN, _Label.PLAIN_L, _Label.PLAIN_HYPHEN, _Label.CAPITALS, _Label.CAPITALS_HYPHEN),
}
_LEFTWARD_LABELS = {
    *(_Label.LEFTWARD, _Label.HEBREW, _Label.DUAL_JOINING, _Label.NON_JOINED, _Label.LEFTWARD_HYPHEN),
}
_Rule = dict[Kind, _Label]

_ASCII: _Rule = {Kind.LOWER: _Label.PLAIN, Kind.L: _Label.PLAIN_L, Kind.DIGIT: _Label.PLAIN}
_CAPITAL: _Rule = {Kind.CAPITAL: _Label.CAPITALS}
_WITH_CAPITALS: _Rule = dict.fromkeys((*_ASCII, Kind.CAPITAL), _Label.CAPITALS)
_BASES: _Rule = {
    Kind.LETTER: _Label.LETTER,
    Kind.INDIC: _Label.LETTER,
    Kind.GREEK: _Label.LETTER,
    Kind.EXTENDED_DIGIT: _Label.LETTER,
    Kind.KANA_OR_HAN: _Label.KANA_OR_HAN,
}
_MARKS: _Rule = {Kind.VOWEL: _Label.LETTER, Kind.COMBINING: _Label.COMBINED, Kind.VIRAMA: _Label.VIRAMA}
_AMONG_LETTERS: _Rule = {
    **_BASES,
    Kind.KERAIA: _Label.KERAIA,
    Kind.LOWER: _Label.LETTER,
    Kind.L: _Label.LETTER_L,
    Kind.DIGIT: _Label.LETTER,
}
_INSIDE: _Rule = {**_AMONG_LETTERS, **_MARKS, Kind.HYPHEN: _Label.HYPHEN}
_LEFTWARD_LETTERS: _Rule = {
    Kind.HEBREW: _Label.HEBREW,
    Kind.DUAL_JOINING: _Label.DUAL_JOINING,
    Kind.RIGHT_JOINING: _Label.LEFTWARD,
    Kind.UNJOINED: _Label.LEFTWARD,
}
_LEFTWARD: _Rule = {**_LEFTWARD_LETTERS, Kind.ARABIC_DIGIT: _Label.LEFTWARD}
_INSIDE_LEFTWARD: _Rule = {**_LEFTWARD, Kind.HYPHEN: _Label.LEFTWARD_HYPHEN}
_INSIDE_PLAIN: _Rule = {
    **_BASES,
    **_MARKS,
    **_ASCII,
    **_CAPITAL,
    Kind.KERAIA: _Label.KERAIA,
    Kind.HYPHEN: _Label.PLAIN_HYPHEN,
}
# Two hyphens in a row are refused: as third and fourth character they are banned.
_RULES: dict[_Label, _Rule] = {
    _Label.BEGIN: {
        **_BASES,
        **_ASCII,
        **_CAPITAL,
        **_LEFTWARD_LETTERS,
        Kind.KERAIA: _Label.KERAIA,
        Kind.KATAKANA_DOT: _Label.KATAKANA_DOT,
    },
    _Label.PLAIN: _INSIDE_PLAIN,
    _Label.PLAIN_L: {**_INSIDE_PLAIN, Kind.MIDDLE_DOT: _Label.MIDDLE_DOT},
    _Label.PLAIN_HYPHEN: {**_BASES, **_ASCII, **_CAPITAL, Kind.KERAIA: _Label.KERAIA},
    _Label.CAPITALS: {**_WITH_CAPITALS, Kind.HYPHEN: _Label.CAPITALS_HYPHEN},
    _Label.CAPITALS_HYPHEN: _WITH_CAPITALS,
    _Label.LETTER: _INSIDE,
    _Label.LETTER_L: {**_INSIDE, Kind.MIDDLE_DOT: _Label.MIDDLE_DOT},
    _Label.KANA_OR_HAN: {**_INSIDE, Kind.KATAKANA_DOT: _Label.KANA_OR_HAN},
    _Label.COMBINED: {**_AMONG_LETTERS, Kind.VOWEL: _Label.LETTER, Kind.HYPHEN: _Label.HYPHEN},
    _Label.VIRAMA: {**_AMONG_LETTERS, Kind.JOINER: _Label.JOINED, Kind.NON_JOINER: _Label.JOINED},
    _Label.HYPHEN: _AMONG_LETTERS,
    _Label.JOINED: {Kind.INDIC: _Label.LETTER},
    _Label.MIDDLE_DOT: {Kind.L: _Label.LETTER_L},
    _Label.KERAIA: {Kind.GREEK: _Label.LETTER},
    _Label.KATAKANA_DOT: {Kind.KANA_OR_HAN: _Label.KANA_OR_HAN},
    _Label.LEFTWARD: _INSIDE_LEFTWARD,
    _Label.HEBREW: {**_INSIDE_LEFTWARD, Kind.HEBREW_PUNCTUATION: _Label.LEFTWARD},
    _Label.DUAL_JOINING: {**_INSIDE_LEFTWARD, Kind.NON_JOINER: _Label.NON_JOINED},
    _Label.NON_JOINED: {Kind.DUAL_JOINING: _Label.DUAL_JOINING, Kind.RIGHT_JOINING: _Label.LEFTWARD},
    _Label.LEFTWARD_HYPHEN: _LEFTWARD,
}


class _Direction(Enum):
    """How the name is written, which decides what its other labels may be (RFC 5893, section 2)."""

    OPEN = auto()
    """All labels are of ASCII and begin with a letter, as may stand in either."""
    RIGHTWARD = auto()
    LEFTWARD = auto()


class _Place(NamedTuple):
    """How far a name has been read."""

    cost: int
    label: _Label
    direction: _Direction

    def may_end(self) -> bool:
        """Whether the name may end here."""
        return self.label in _ENDS


def idn_hostname() -> Dfa:
    """A name of `internationalised_labels` in normal form C."""
    return internationalised_labels(composed=True)


@lru_cache(maxsize=2)
def internationalised_labels(*, composed: bool) -> Dfa:
    """Names of labels of ASCII and of the letters in `scripts`, by the rules of IDNA 2008.

    Those of RFC 5892 on context (middle dots, joiners, KERAIA, GERESH) and of RFC 5893 on bidirectional text
    hold in a form that is a little stricter. What the name costs in all is limited as if it were one label:
    63 for ASCII, else 54, where a character costs 1 in ASCII, 4 below U+0800, and 6 beyond. Refused too: `--`
    and so Punycode, Latin digits in words written from right to left, and scripts that are not listed.
    Unless `composed`, the combining diacritics are allowed, whose words need not be in normal form C.
    """
    sets: dict[tuple[Kind, int], Ranges] = {}
    for kind, ranges in CHARACTERS.items():
        more = COMBINING_DIACRITICS if kind is Kind.COMBINING and not composed else ()
        for low, high in (*ranges, *more):
            cost = 1 if high < 0x80 or kind is Kind.DOT else _COST_BELOW_0800 if high < 0x800 else _COST
            sets[kind, cost] = (*sets.get((kind, cost), ()), (low, high))
    by_kind: dict[Kind, list[tuple[int, Ranges]]] = {}
    for (kind, cost), ranges in sets.items():
        by_kind.setdefault(kind, []).append((cost, tuple(sorted(ranges))))
    start = _Place(0, _Label.BEGIN, _Direction.OPEN)
    return machine(start, lambda place: _moves(place, by_kind), _Place.may_end).minimised()


def _moves(place: _Place, by_kind: dict[Kind, list[tuple[int, Ranges]]]) -> Iterator[tuple[Ranges, _Place]]:
    for kind, label in _RULES[place.label].items():
        direction = _direction_after(place, kind, label)
        for cost, ranges in by_kind[kind] if direction is not None else ():
            after = place.cost + cost
            if direction is not None and after <= (MAX_OCTETS if label in _PLAIN_LABELS else MAX_ENCODED):
                yield ranges, _Place(after, label, direction)
    if place.may_end() and place.cost + 1 < MAX_OCTETS:
        for cost, ranges in by_kind[Kind.DOT]:
            yield ranges, _Place(place.cost + cost, _Label.BEGIN, place.direction)


def _direction_after(place: _Place, kind: Kind, label: _Label) -> _Direction | None:
    """The direction of the name with a character of `kind` more; None if it does not fit."""
    begins_with_digit = kind is Kind.DIGIT and place.label is _Label.BEGIN
    if label in _PLAIN_LABELS and not begins_with_digit:
        return place.direction
    needed = _Direction.LEFTWARD if label in _LEFTWARD_LABELS else _Direction.RIGHTWARD
    return needed if place.direction in (needed, _Direction.OPEN) else None
