"""How characters are spelled in the bytes of an answer: as they are, or inside a JSON string."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import Enum
from functools import lru_cache

import numpy as np

from grammar_service.automata.columns import END_OF_UNICODE, SURROGATES

Ranges = tuple[tuple[int, int], ...]
"""Inclusive ranges, of bytes or of code points, ascending."""
Sequence = tuple[Ranges, ...]
"""A spelling: at each position, the bytes that may stand there."""


class Spelling(Enum):
    """Which byte sequences stand for a character."""

    RAW = "its UTF-8"
    JSON = "everything that a JSON string may write for it"
    JSON_CANONICAL = "what JSON writers write for it: escaped only if it must be, non-ASCII also as \\uXXXX"
    """For keys and listed values: with every escape allowed, none of their bytes would ever be forced."""


@lru_cache(maxsize=4096)
def parted(characters: Ranges, spelling: Spelling) -> tuple[Ranges, Ranges]:
    """The characters that can only be spelled by the one byte that they are; and the others."""
    plain = _PLAIN[spelling]
    return _overlap(characters, plain), _overlap(characters, _GAPS[spelling]) if plain else characters


@lru_cache(maxsize=4096)
def sequences(characters: Ranges, spelling: Spelling) -> tuple[Sequence, ...]:
    """All spellings of a set of characters."""
    if spelling is Spelling.RAW:
        return tuple(_utf8(characters))
    unescaped = ((0x20, 0x21), (0x23, 0x5B), (0x5D, END_OF_UNICODE - 1))
    raw = _utf8(_overlap(characters, unescaped))
    if spelling is Spelling.JSON:
        return (*raw, *_short_escapes(characters, b'"\\/bfnrt'), *_unicode_escapes(characters))
    unnamed = ((0x00, 0x07), (0x0B, 0x0B), (0x0E, 0x1F), (0x7F, END_OF_UNICODE - 1))
    return (*raw, *_short_escapes(characters, b'"\\bfnrt'), *_unicode_escapes(_overlap(characters, unnamed)))


_PLAIN: dict[Spelling, Ranges] = {
    Spelling.RAW: ((0x00, 0x7F),),
    Spelling.JSON: (),
    Spelling.JSON_CANONICAL: ((0x20, 0x21), (0x23, 0x5B), (0x5D, 0x7E)),
}
_GAPS: dict[Spelling, Ranges] = {
    Spelling.RAW: ((0x80, END_OF_UNICODE - 1),),
    Spelling.JSON: (),
    Spelling.JSON_CANONICAL: ((0x00, 0x1F), (0x22, 0x22), (0x5C, 0x5C), (0x7F, END_OF_UNICODE - 1)),
}
_SHORT_ESCAPES = {ord(c): c for c in '"\\/'} | {8: "b", 9: "t", 10: "n", 12: "f", 13: "r"}


def _short_escapes(characters: Ranges, allowed: bytes) -> Iterator[Sequence]:
    letters = sorted(
        ord(letter)
        for point, letter in _SHORT_ESCAPES.items()
        if ord(letter) in allowed and any(low <= point <= high for low, high in characters)
    )
    if letters:
        yield (((0x5C, 0x5C),), tuple((letter, letter) for letter in letters))


def _unicode_escapes(characters: Ranges) -> Iterator[Sequence]:
    """\\uXXXX, and the pairs of them that write characters beyond U+FFFF (RFC 8259, section 7)."""
    start = (((0x5C, 0x5C),), ((0x75, 0x75),))
    for low, high in _overlap(characters, ((0, SURROGATES[0] - 1), (SURROGATES[1], 0xFFFF))):
        for digits in _split(low, high, (16, 16, 16, 16)):
            yield (*start, *map(_hexadecimal, digits))
    for low, high in _overlap(characters, ((0x10000, END_OF_UNICODE - 1),)):
        for high_bits, low_bits in _split(low - 0x10000, high - 0x10000, (1024, 1024)):
            for first in _split(0xD800 + high_bits[0], 0xD800 + high_bits[1], (16, 16, 16, 16)):
                for second in _split(0xDC00 + low_bits[0], 0xDC00 + low_bits[1], (16, 16, 16, 16)):
                    yield (*start, *map(_hexadecimal, first), *start, *map(_hexadecimal, second))


def _hexadecimal(digit: tuple[int, int]) -> Ranges:
    """The bytes that write the hexadecimal digits from the first to the last."""
    low, high = digit
    ranges = []
    if low < 10:
        ranges.append((0x30 + low, 0x30 + min(high, 9)))
    if high >= 10:
        ranges += [(letter + max(low, 10), letter + high) for letter in (0x41 - 10, 0x61 - 10)]
    return tuple(ranges)


def _utf8(characters: Iterable[tuple[int, int]]) -> Iterator[Sequence]:
    """The UTF-8 of a set of characters (the splitting of ranges is Russ Cox's, 2010)."""
    lengths = (((0, 0x7F),), ((0x80, 0x7FF),), ((0x800, 0xD7FF), (0xE000, 0xFFFF)), ((0x10000, 0x10FFFF),))
    ranges = tuple(characters)
    for continuations, points in enumerate(lengths):
        lead = (0x00, 0xC0, 0xE0, 0xF0)[continuations]
        for low, high in _overlap(ranges, points):
            for first, *rest in _split(low, high, (1 << 7, *(64,) * continuations)):
                following = (((0x80 + a, 0x80 + b),) for a, b in rest)
                yield (((lead + first[0], lead + first[1]),), *following)


def _split(low: int, high: int, bases: tuple[int, ...]) -> Iterator[tuple[tuple[int, int], ...]]:
    """Cut low..high into boxes: numbers whose digits each have a range of their own.

    `bases` are the bases of the digits, the most significant first.
    """
    if len(bases) == 1:
        yield ((low, high),)
        return
    size = int(np.prod(bases[1:]))
    first, last = low // size, high // size
    if first == last:
        for rest in _split(low % size, high % size, bases[1:]):
            yield ((first, first), *rest)
        return
    if low % size:
        for rest in _split(low % size, size - 1, bases[1:]):
            yield ((first, first), *rest)
        first += 1
    tail = high % size
    if tail != size - 1:
        last -= 1
    if first <= last:
        yield ((first, last), *((0, base - 1) for base in bases[1:]))
    if tail != size - 1:
        for rest in _split(0, tail, bases[1:]):
            yield ((high // size, high // size), *rest)


def _overlap(ranges: Ranges, others: Ranges) -> Ranges:
    return tuple(
        (max(low, other_low), min(high, other_high))
        for low, high in ranges
        for other_low, other_high in others
        if max(low, other_low) <= min(high, other_high)
    )
