"""The numbers that a schema allows, by their exact decimal values."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from fractions import Fraction

EXACT = Context(prec=2000)
"""Enough digits for any difference and product of numbers that a schema may have."""


@dataclass(frozen=True)
class NumberShape:
    """A set of numbers, compared by value and never as floats."""

    integer: bool | None = None
    """True: only whole numbers; False: only others."""
    minimum: Decimal | None = None
    maximum: Decimal | None = None
    exclusive_minimum: bool = False
    exclusive_maximum: bool = False
    multiples: tuple[Decimal, ...] = ()
    """Only multiples of all these, each above 0."""
    non_multiples: tuple[Decimal, ...] = ()
    """Only multiples of none of these."""
    values: tuple[Decimal, ...] | None = None
    """If given, only these; all else has been applied to them."""
    excluded: tuple[Decimal, ...] = ()
    """Not these."""
    undotted: bool = False
    """Only spelled without a fraction or an exponent: all that draft 4 calls an integer, and all that most
    programs read as one."""

    def intersection(self, other: NumberShape) -> NumberShape | None:
        """The numbers in both; None if there are none for certain."""
        if self.integer is not None and other.integer is not None and self.integer != other.integer:
            return None
        lows = [s for s in (self, other) if s.minimum is not None]
        highs = [s for s in (self, other) if s.maximum is not None]
        low = max(lows, key=lambda s: (s.minimum, s.exclusive_minimum), default=self)
        high = min(highs, key=lambda s: (s.maximum, not s.exclusive_maximum), default=self)
        both = NumberShape(
            integer=other.integer if self.integer is None else self.integer,
            minimum=low.minimum,
            maximum=high.maximum,
            exclusive_minimum=low.exclusive_minimum,
            exclusive_maximum=high.exclusive_maximum,
            multiples=_union(self.multiples, other.multiples),
            non_multiples=_union(self.non_multiples, other.non_multiples),
            excluded=_union(self.excluded, other.excluded),
            undotted=self.undotted or other.undotted,
        )
        listed = self.values if self.values is not None else other.values
        if listed is not None:
            allowed = listed if other.values is None else [v for v in listed if v in other.values]
            values = tuple(value for value in allowed if both.contains(value))
            return NumberShape(values=values, undotted=both.undotted) if values else None
        return None if both._out_of_order() else both

    def _out_of_order(self) -> bool:
        if self.minimum is None or self.maximum is None:
            return False
        low, high = self.minimum, self.maximum
        if self.integer:
            low = low.to_integral_value(ROUND_CEILING, EXACT)
            high = high.to_integral_value(ROUND_FLOOR, EXACT)
        exclusive = self.exclusive_minimum or self.exclusive_maximum
        return low > high or (low == high and exclusive and self.minimum == self.maximum)

    def contains(self, number: Decimal) -> bool:
        """Whether `number` is in the set."""
        if self.values is not None:
            return number in self.values
        if self.minimum is not None and (number, not self.exclusive_minimum) < (self.minimum, True):
            return False
        if self.maximum is not None and (number, self.exclusive_maximum) > (self.maximum, False):
            return False
        if self.integer is not None and self.integer != is_whole(number):
            return False
        if number in self.excluded:
            return False
        exact = Fraction(number)
        return all((exact / Fraction(m)).denominator == 1 for m in self.multiples) and all(
            (exact / Fraction(m)).denominator != 1 for m in self.non_multiples
        )

    def complement(self) -> list[NumberShape]:
        """Sets whose union has every number that is not in this one."""
        if self.values is not None:
            return [NumberShape(excluded=self.values)]
        parts = []
        if self.integer is not None:
            parts.append(NumberShape(integer=not self.integer))
        if self.minimum is not None:
            parts.append(NumberShape(maximum=self.minimum, exclusive_maximum=not self.exclusive_minimum))
        if self.maximum is not None:
            parts.append(NumberShape(minimum=self.maximum, exclusive_minimum=not self.exclusive_maximum))
        parts.extend(NumberShape(non_multiples=(multiple,)) for multiple in self.multiples)
        parts.extend(NumberShape(multiples=(multiple,)) for multiple in self.non_multiples)
        if self.excluded:
            parts.append(NumberShape(values=self.excluded))
        return parts


def is_whole(number: Decimal) -> bool:
    """Whether `number` has no fraction."""
    return number == number.to_integral_value(context=EXACT)


def _union(first: tuple[Decimal, ...], second: tuple[Decimal, ...]) -> tuple[Decimal, ...]:
    return tuple(dict.fromkeys((*first, *second)))
