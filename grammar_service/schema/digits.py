"""Numbers as they are written: from a set of numbers to an automaton over their characters.

Each demand on a number (its syntax, a lower bound, being whole, being a multiple) is a small automaton of its
own, right for every text that is a number at all; what is allowed is their intersection, and what is not,
the complement.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import cached_property, lru_cache
from typing import NamedTuple

from grammar_service.automata.dfa import Dfa, TooManyStatesError
from grammar_service.schema.number import NumberShape, is_whole
from grammar_service.schema.numeral import (
    MAX_EXPONENT_DIGITS,
    MAX_FRACTION_DIGITS,
    MAX_INTEGER_DIGITS,
    MAX_STATES,
    Reading,
    explored,
    read,
)


@lru_cache(maxsize=4096)
def number_language(shape: NumberShape) -> Dfa:
    """The JSON spellings of the numbers of `shape`, within the limits on digits.

    Numbers of which nothing is demanded have every spelling. Whole ones have no fraction but .0, or one digit
    and an exponent; others have an exponent only after one digit that is not 0, and its fraction, as JSON
    writers write them; multiples that need not be whole have none.

    Raises:
        TooManyStatesError: a bound or multiple has too many digits.
    """
    if shape.values is not None:
        words = {word for value in shape.values for word in _spellings(value)}
        return Dfa.words(w for w in words if not (shape.undotted and set(w) & set(".eE"))).minimised()
    demands = [_whole().complement()] if shape.integer is False else []
    if shape.minimum is not None:
        demands.append(_above(shape.minimum, inclusive=not shape.exclusive_minimum))
    if shape.maximum is not None:
        demands.append(_above(shape.maximum, inclusive=shape.exclusive_maximum).complement())
    if shape.undotted:
        demands.append(_undotted())
    demands += [_multiples_of(multiple) for multiple in shape.multiples]
    demands += [_multiples_of(multiple).complement() for multiple in shape.non_multiples]
    for value in shape.excluded:
        equal = _above(value, inclusive=True).difference(
            _above(value, inclusive=False), max_states=MAX_STATES
        )
        demands.append(equal.complement())
    digits = max((_digits(b) for b in (shape.minimum, shape.maximum) if b is not None), default=0)
    if shape.multiples or shape.non_multiples:
        form = "digits" if shape.integer else "plain"
    else:
        form = "whole" if shape.integer else "scientific" if demands else "any"
    language = _syntax(form, digits)
    for demand in demands:
        language = language.intersection(demand, max_states=MAX_STATES)
    return language.minimised() if demands else language


def _undotted() -> Dfa:
    """The strings without a point or an exponent."""
    return Dfa.words(".eE").complement().intersection(Dfa.lengths(1, 1), max_states=9).star(max_states=9)


def _spellings(value: Decimal) -> tuple[str, ...]:
    """How JSON writers write one number: whole ones with and without a point, far ones with an exponent."""
    plain = format(value, "f")
    if is_whole(value):
        plain = plain.partition(".")[0]
        return (plain, f"{plain}.0", *_scientific(value))
    return (plain.rstrip("0"), *_scientific(value))


def _scientific(value: Decimal) -> tuple[str, ...]:
    exponent = value.adjusted()
    if not value or -5 < exponent < 16:
        return ()
    significant = "".join(map(str, value.as_tuple().digits)).rstrip("0")
    mantissa = significant[0] + (f".{significant[1:]}" if len(significant) > 1 else "")
    return (f"{'-' if value < 0 else ''}{mantissa}e{exponent:+03d}",)


def _digits(bound: Decimal) -> int:
    """How many digits a number around `bound` has before or after its point, at the most."""
    whole, _, fraction = format(bound.copy_abs(), "f").partition(".")
    return max(len(whole), len(fraction)) + 1


@lru_cache(maxsize=64)
def _syntax(form: str, digits: int) -> Dfa:
    """JSON's numbers within the limits on digits, in one of five forms.

    "any"; "scientific": with an exponent only after one digit that is not 0, and its fraction; "plain": with
    none; "whole": with no fraction but .0, or one digit and an exponent that is not negative; "digits": with
    no fraction but .0.
    """
    whole = form in ("whole", "digits")
    longest = {
        "whole": max(MAX_INTEGER_DIGITS, digits),
        "fraction": 1 if whole else max(MAX_FRACTION_DIGITS, digits),
        "power": MAX_EXPONENT_DIGITS,
    }

    def step(state: Reading, symbol: str) -> Reading | None:
        following = read(state, symbol)
        if following is None or following.digits > longest.get(following.phase, 1):
            return None
        if whole and (
            (following.phase == "fraction" and symbol != "0")
            or (following.phase == "e" and state.phase == "fraction")
            or (following.phase == "sign" and symbol == "-")
        ):
            return None
        refused = form in ("plain", "digits") or (form != "any" and not following.single)
        return None if following.phase == "e" and refused else following

    return explored(Reading(), step, lambda state: state.phase in ("zero", "whole", "fraction", "power"))


class _Comparison(NamedTuple):
    """A magnitude half read, compared with a bound."""

    reading: Reading
    negative: bool = False
    order: int = 0
    """Of the digits so far and those of the bound at the same places: -1, 0 or 1."""
    significant: int = 0
    """The same, had the number its first digit where the bound has its first one that is not 0."""
    zero: bool = True
    """All digits so far are 0; then no exponent follows."""


class _Power(NamedTuple):
    """An exponent half read, which must be at least some number."""

    least: int
    negative: bool = False
    """Whether the number has a minus sign."""
    below: bool = False
    """Whether the exponent has one."""
    digits: int = 0
    value: int = 0


@dataclass(frozen=True)
class _Threshold:
    """The numbers above a bound, or equal to it if `inclusive`, read character by character."""

    bound: Decimal
    inclusive: bool

    @cached_property
    def _digits(self) -> tuple[str, str]:
        """The bound's digits before and after its point, without outer zeros."""
        whole, _, fraction = format(self.bound.copy_abs(), "f").partition(".")
        return whole.lstrip("0") or "0", fraction.rstrip("0")

    @cached_property
    def _significant(self) -> str:
        return "".join(self._digits).strip("0")

    @property
    def _reached(self) -> bool:
        """Whether an equal magnitude is far enough. Below zero the order turns round: -x > -c if x < c, which
        is what is left when x >= c is taken away."""
        return self.inclusive if self.bound >= 0 else not self.inclusive

    def step(self, state: _Comparison | _Power, symbol: str) -> _Comparison | _Power | None:
        """The comparison after one more character."""
        if isinstance(state, _Power):
            return _step_power(state, symbol)
        reading = read(state.reading, symbol)
        if reading is None:
            return None
        if symbol in "eE":
            return _Power(self._least_power(state), state.negative)
        if symbol == "-":
            return state._replace(reading=reading, negative=True)
        if symbol == ".":
            return state._replace(reading=reading, order=self._whole_order(state))
        return self._digit(state, reading, symbol)

    def _digit(self, state: _Comparison, reading: Reading, digit: str) -> _Comparison:
        whole, fraction = self._digits
        place = reading.digits - 1
        if reading.phase == "fraction":
            order = state.order or _order(digit, fraction[place : place + 1] or "0")
        else:
            order = state.order or _order(digit, whole[place : place + 1] or digit)
        place += reading.phase == "fraction"  # counted from the one digit before the point
        significant = state.significant or _order(digit, self._significant[place : place + 1] or "0")
        # Beyond the bound's own digits only "more of them" matters.
        counted = reading._replace(digits=min(reading.digits, max(len(whole), len(fraction)) + 1))
        return _Comparison(counted, state.negative, order, significant, state.zero and digit == "0")

    def _whole_order(self, state: _Comparison) -> int:
        """The order once the whole part has ended: the longer one is greater."""
        longer = state.reading.digits - len(self._digits[0])
        return (longer > 0) - (longer < 0) or state.order

    def _least_power(self, state: _Comparison) -> int:
        """The least exponent with which the magnitude reaches the bound."""
        if not self._significant:
            return -_FAR  # every number that has an exponent is above 0
        read = 1 + (state.reading.digits if state.reading.phase == "fraction" else 0)
        order = state.significant or -bool(self._significant[read:])
        exponent: int = self.bound.adjusted()
        return exponent + int(order < 0 or (order == 0 and not self._reached))

    def accepts(self, state: _Comparison | _Power) -> bool:
        """Whether the number may end here."""
        if isinstance(state, _Power):
            reached, zero = _ends_power(state), False
        else:
            in_whole = state.reading.phase != "fraction"
            left = self._digits[1] if in_whole else self._digits[1][state.reading.digits :]
            order = (self._whole_order(state) if in_whole else state.order) or -bool(left)
            reached, zero = order > 0 or (order == 0 and self._reached), state.zero
        if self.bound < 0:
            return not (state.negative and reached)
        return reached if not state.negative else zero and self.bound == 0 and self.inclusive


@lru_cache(maxsize=1024)
def _above(bound: Decimal, *, inclusive: bool) -> Dfa:
    """The numbers above `bound`, or equal to it if `inclusive`; among those of the syntax "scientific"."""
    threshold = _Threshold(bound, inclusive)
    start: _Comparison | _Power = _Comparison(Reading())
    return explored(start, threshold.step, threshold.accepts)


_FAR: int = 10**MAX_EXPONENT_DIGITS
"""Beyond every exponent."""


def _step_power(state: _Power, symbol: str) -> _Power | None:
    """One more character of an exponent. What no further digit can change is forgotten."""
    if symbol in "+-":
        return state._replace(below=symbol == "-") if state.digits == 0 else None
    if not symbol.isdigit() or state.digits == MAX_EXPONENT_DIGITS:
        return None
    digits, value = state.digits + 1, state.value * 10 + int(symbol)
    left = 10 ** (MAX_EXPONENT_DIGITS - digits)
    farthest = value * left + left - 1
    lowest, highest = (-farthest, -value) if state.below else (value, farthest)
    if lowest >= state.least:
        return _Power(-_FAR, state.negative, False, digits, 0)
    if highest < state.least:
        return _Power(_FAR, state.negative, False, digits, 0)
    return _Power(state.least, state.negative, state.below, digits, value)


def _ends_power(state: _Power) -> bool:
    return (-state.value if state.below else state.value) >= state.least


@lru_cache(maxsize=1)
def _whole() -> Dfa:
    """The whole numbers, among those of the syntax "scientific"."""

    def step(state: tuple[Reading, int] | _Power, symbol: str) -> tuple[Reading, int] | _Power | None:
        if isinstance(state, _Power):
            return _step_power(state, symbol)
        reading, last = state
        following = read(reading, symbol)
        if following is None:
            return None
        if symbol in "eE":
            return _Power(last)
        if following.phase == "fraction" and symbol != "0":
            last = following.digits
        if following.phase == "whole":
            following = following._replace(digits=min(following.digits, 2))
        if following.digits > MAX_FRACTION_DIGITS:
            return None
        return following, last

    def accepts(state: tuple[Reading, int] | _Power) -> bool:
        return _ends_power(state) if isinstance(state, _Power) else state[1] == 0

    start: tuple[Reading, int] | _Power = (Reading(), 0)
    return explored(start, step, accepts)


@lru_cache(maxsize=1024)
def _multiples_of(multiple: Decimal) -> Dfa:
    """The multiples of a number above 0, among those of the syntax "plain"."""
    exact = Fraction(multiple)
    places = len(format(multiple, "f").partition(".")[2].rstrip("0"))
    modulus = int(exact * 10**places)
    if modulus * (places + 1) > MAX_STATES:
        raise TooManyStatesError(MAX_STATES)

    def step(state: tuple[Reading, int], symbol: str) -> tuple[Reading, int] | None:
        reading, remainder = state
        following = read(reading, symbol)
        if following is None or symbol in "eE":
            return None
        if symbol.isdigit():
            if following.phase == "fraction" and following.digits > places:
                # Smaller than the last place of any multiple: only zeros keep it one.
                remainder = remainder if symbol == "0" else -1
                return following._replace(digits=places + 1), remainder
            remainder = (remainder * 10 + int(symbol)) % modulus
            following = following if following.phase == "fraction" else following._replace(digits=1)
        return following, remainder

    def accepts(state: tuple[Reading, int]) -> bool:
        reading, remainder = state
        read = min(reading.digits, places) if reading.phase == "fraction" else 0
        return remainder >= 0 and remainder * 10 ** (places - read) % modulus == 0

    return explored((Reading(), 0), step, accepts)


def _order(digit: str, other: str) -> int:
    return (digit > other) - (digit < other)
