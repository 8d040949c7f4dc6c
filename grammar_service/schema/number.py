"""The numbers that a schema allows, as an automaton over their digits."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from grammar_service.automata.dfa import DEAD, SURROGATES, Dfa

MAX_INTEGER_DIGITS = 20
MAX_FRACTION_DIGITS = 20
MAX_EXPONENT_DIGITS = 3
"""Numbers that a schema does not bound still end: endless digits are a way for models to get lost."""

_SYMBOLS = "+-.0123456789Ee"


@dataclass(frozen=True)
class NumberShape:
    """A set of numbers, compared by value and never as floats."""

    integer: bool = False
    minimum: Decimal | None = None
    maximum: Decimal | None = None
    exclusive_minimum: bool = False
    exclusive_maximum: bool = False
    values: tuple[Decimal, ...] | None = None
    """If given, only these."""

    def intersection(self, other: NumberShape) -> NumberShape | None:
        """The numbers in both; None if there are none."""
        lows = [s for s in (self, other) if s.minimum is not None]
        highs = [s for s in (self, other) if s.maximum is not None]
        low = max(lows, key=lambda s: (s.minimum, s.exclusive_minimum), default=self)
        high = min(highs, key=lambda s: (s.maximum, not s.exclusive_maximum), default=self)
        both = NumberShape(
            integer=self.integer or other.integer,
            minimum=low.minimum,
            maximum=high.maximum,
            exclusive_minimum=low.exclusive_minimum,
            exclusive_maximum=high.exclusive_maximum,
        )
        listed = self.values if self.values is not None else other.values
        if listed is None:
            return both
        values = tuple(
            value
            for value in listed
            if both.contains(value) and (other.values is None or value in other.values)
        )
        return NumberShape(values=values) if values else None

    def contains(self, number: Decimal) -> bool:
        """Whether `number` is whole if it must be, and within the bounds."""
        if self.minimum is not None and not (
            number > self.minimum or (number == self.minimum and not self.exclusive_minimum)
        ):
            return False
        if self.maximum is not None and not (
            number < self.maximum or (number == self.maximum and not self.exclusive_maximum)
        ):
            return False
        return not self.integer or number == number.to_integral_value()


@lru_cache(maxsize=1024)
def number_language(shape: NumberShape) -> Dfa:
    """The JSON spellings of the numbers of `shape`, within the limits on digits.

    Numbers without bounds may have an exponent; bounded ones and integers are written out.
    """
    if shape.values is not None:
        return Dfa.words({word for value in shape.values for word in _spellings(value)}).minimised()
    least, most = shape.minimum, shape.maximum
    bounded = least is not None or most is not None
    positive = _Magnitudes(
        _Bound.of(least),
        _Bound.of(most),
        shape.exclusive_minimum,
        shape.exclusive_maximum,
        shape.integer,
        bounded,
    )
    negative = _Magnitudes(
        _Bound.of(most and most.copy_negate()),
        _Bound.of(least and least.copy_negate()),
        shape.exclusive_maximum,
        shape.exclusive_minimum,
        shape.integer,
        bounded,
    )
    return _explored(positive, negative)


def _spellings(value: Decimal) -> tuple[str, ...]:
    """How JSON writers write one number: whole ones with and without a point."""
    if value == value.to_integral_value():
        digits = str(int(value))
        return digits, f"{digits}.0"
    return (format(value, "f").rstrip("0"),)


class _Bound(NamedTuple):
    """A bound on a magnitude, by its digits."""

    negative: bool
    whole: str
    fraction: str

    @classmethod
    def of(cls, value: Decimal | None) -> _Bound | None:
        if value is None:
            return None
        whole, _, fraction = format(value.copy_abs(), "f").partition(".")
        return cls(value < 0, whole.lstrip("0") or "0", fraction.rstrip("0"))


class _Reading(NamedTuple):
    """What is known of a magnitude after some of its characters."""

    phase: str = "start"
    digits: int = 0
    """Read in this phase."""
    low: int = 0
    """How its digits compare with those of the lower bound, as far as both go: -1, 0 or 1."""
    high: int = 0
    """The same with the upper bound."""


@dataclass(frozen=True)
class _Magnitudes:
    """The magnitudes between two bounds, read digit by digit."""

    least: _Bound | None
    most: _Bound | None
    exclusive_least: bool
    exclusive_most: bool
    integer: bool
    bounded: bool

    def step(self, state: _Reading, symbol: str) -> _Reading | None:
        """The reading after one more character; None if no number goes on like that."""
        phase = state.phase
        if symbol.isdigit():
            return self._digit(state, symbol)
        if symbol == "." and phase in ("zero", "whole") and not self.integer:
            low, high = self._whole_compared(state)
            return _Reading("point", 0, low, high)
        if symbol in "eE" and phase in ("zero", "whole", "fraction") and not (self.integer or self.bounded):
            return _Reading("exponent mark")
        if symbol in "+-" and phase == "exponent mark":
            return _Reading("exponent sign")
        return None

    def _digit(self, state: _Reading, digit: str) -> _Reading | None:
        phase, count = state.phase, state.digits
        if phase == "zero":
            return None
        if phase in ("start", "whole"):
            if count == max([MAX_INTEGER_DIGITS, *(len(b.whole) for b in (self.least, self.most) if b)]):
                return None
            low = _compared(state.low, digit, self.least and self.least.whole, count)
            high = _compared(state.high, digit, self.most and self.most.whole, count)
            return _Reading("zero" if phase == "start" and digit == "0" else "whole", count + 1, low, high)
        if phase in ("point", "fraction"):
            if count == max([MAX_FRACTION_DIGITS, *(len(b.fraction) for b in (self.least, self.most) if b)]):
                return None
            low = _compared(state.low, digit, self.least and self.least.fraction.ljust(count + 1, "0"), count)
            high = _compared(state.high, digit, self.most and self.most.fraction.ljust(count + 1, "0"), count)
            return _Reading("fraction", count + 1, low, high)
        if count == MAX_EXPONENT_DIGITS:
            return None
        return _Reading("exponent", count + 1)

    def _whole_compared(self, state: _Reading) -> tuple[int, int]:
        """The comparisons once the whole part has ended: of two whole parts the longer is the greater."""
        bounds = ((self.least, state.low), (self.most, state.high))
        low, high = (
            compared if bound is None or len(bound.whole) == state.digits else state.digits - len(bound.whole)
            for bound, compared in bounds
        )
        return _sign(low), _sign(high)

    def ends(self, state: _Reading) -> bool:
        """Whether the magnitude may end here, and lies within the bounds."""
        if state.phase not in ("zero", "whole", "fraction", "exponent"):
            return False
        whole = state.phase in ("zero", "whole")
        low, high = self._whole_compared(state) if whole else (state.low, state.high)
        read = 0 if whole else state.digits
        low = self._compared_at_end(low, self.least, read)
        high = self._compared_at_end(high, self.most, read)
        above = self.least is None or low > 0 or (low == 0 and not self.exclusive_least)
        return above and (self.most is None or high < 0 or (high == 0 and not self.exclusive_most))

    @staticmethod
    def _compared_at_end(compared: int, bound: _Bound | None, read: int) -> int:
        if bound is not None and bound.negative:
            # A negative bound lies below every magnitude, but -0 does not lie below 0.
            return 1
        return -1 if compared == 0 and bound is not None and bound.fraction[read:] else compared


def _compared(so_far: int, digit: str, bound: str | None, position: int) -> int:
    if so_far or not bound or position >= len(bound):
        return so_far
    return _sign(ord(digit) - ord(bound[position]))


def _sign(number: int) -> int:
    return (number > 0) - (number < 0)


def _explored(positive: _Magnitudes, negative: _Magnitudes) -> Dfa:
    """The automaton of `positive`, and of "-" before `negative`, with the fewest states."""
    start = (False, _Reading())
    numbers = {start: 1}
    queue = [start]
    rows = [[DEAD] * len(_SYMBOLS)]
    accepting = [False]
    for minus, reading in queue:  # grows as it is read
        magnitudes = negative if minus else positive
        row = []
        for symbol in _SYMBOLS:
            if symbol == "-" and (minus, reading) == start:
                following: tuple[bool, _Reading | None] = (True, _Reading())
            else:
                following = (minus, magnitudes.step(reading, symbol))
            row.append(_numbered(following, numbers, queue))
        rows.append(row)
        accepting.append(magnitudes.ends(reading))
    return _over_symbols(rows, accepting).minimised()


def _numbered(
    state: tuple[bool, _Reading | None],
    numbers: dict[tuple[bool, _Reading], int],
    queue: list[tuple[bool, _Reading]],
) -> int:
    minus, reading = state
    if reading is None:
        return DEAD
    if (minus, reading) not in numbers:
        numbers[minus, reading] = len(numbers) + 1
        queue.append((minus, reading))
    return numbers[minus, reading]


def _over_symbols(rows: list[list[int]], accepting: list[bool]) -> Dfa:
    points = [ord(symbol) for symbol in _SYMBOLS]
    cuts = np.unique(np.array([0, *SURROGATES, *points, *(point + 1 for point in points)], dtype=np.int64))
    table = np.full((len(rows), len(cuts)), DEAD, dtype=np.int64)
    table[:, np.searchsorted(cuts, points)] = rows
    return Dfa(cuts, table, np.array(accepting), 1)
