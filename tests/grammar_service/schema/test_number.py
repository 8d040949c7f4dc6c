"""Numbers by value: every digit against exact decimals."""

import re
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grammar_service.schema.digits import number_language
from grammar_service.schema.number import NumberShape

JSON_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?")

bounds = st.one_of(st.none(), st.decimals(-1200, 1200, places=2), st.integers(-30, 30).map(Decimal))
multiples = st.lists(st.sampled_from([Decimal("0.01"), Decimal("2.5"), Decimal(3), Decimal(10)]), max_size=1)
shapes = st.builds(
    NumberShape,
    integer=st.sampled_from([None, None, True, False]),
    minimum=bounds,
    maximum=bounds,
    exclusive_minimum=st.booleans(),
    exclusive_maximum=st.booleans(),
    multiples=multiples.map(tuple),
    non_multiples=multiples.map(tuple),
    excluded=st.lists(st.sampled_from([Decimal(0), Decimal(5), Decimal("1.5")]), max_size=2).map(tuple),
)
spellings = st.one_of(
    st.from_regex(r"-?(0|[1-9][0-9]{0,3})(\.[0-9]{1,3})?([eE][+-]?[0-9]{1,2})?", fullmatch=True),
    st.text("-+.0123e", max_size=6),
)


def written_as_promised(shape: NumberShape, spelling: str) -> bool:
    """Whether the spelling is among those that `number_language` promises for numbers that are not free."""
    mantissa, _, exponent = spelling.lower().lstrip("-").partition("e")
    whole, _, fraction = mantissa.partition(".")
    if exponent and (shape.multiples or shape.non_multiples or len(whole) > 1 or whole == "0"):
        return False
    if shape.integer:
        return fraction in ("", "0") and not (exponent and ("-" in exponent or fraction))
    return True


@given(shapes, spellings)
def test_a_spelling_is_allowed_exactly_if_its_value_is(shape: NumberShape, spelling: str) -> None:
    allowed = bool(JSON_NUMBER.fullmatch(spelling)) and shape.contains(Decimal(spelling))
    if allowed and replace(shape, exclusive_minimum=False, exclusive_maximum=False) != NumberShape():
        allowed = written_as_promised(shape, spelling)
    assert number_language(shape).accepts(spelling) is allowed


@given(shapes, shapes, st.decimals(-1200, 1200, places=2))
def test_intersection_has_the_numbers_of_both(
    first: NumberShape, second: NumberShape, number: Decimal
) -> None:
    both = first.intersection(second)
    assert (both is not None and both.contains(number)) is (
        first.contains(number) and second.contains(number)
    )


@given(shapes, st.decimals(-1200, 1200, places=2))
def test_the_complement_has_all_other_numbers(shape: NumberShape, number: Decimal) -> None:
    assert any(part.contains(number) for part in shape.complement()) is not shape.contains(number)


@pytest.mark.parametrize(
    "spelling", ["1e5", "-0", "1.50", "1E+05", "-1.2e-3", "0", "0.0", "-0.5e1", "9" * 20]
)
def test_an_unbounded_number_has_every_json_spelling(spelling: str) -> None:
    assert JSON_NUMBER.fullmatch(spelling)
    assert number_language(NumberShape()).accepts(spelling)


@pytest.mark.parametrize("spelling", ["01", "1.", ".5", "-", "--1", "1e", "1e+", "+1", "", "1e1e1", "9" * 21])
def test_what_is_no_number_or_endless_is_not_allowed(spelling: str) -> None:
    assert not number_language(NumberShape()).accepts(spelling)


def test_bounds_may_have_more_digits_than_free_numbers() -> None:
    huge = 10**30
    for sign in ("", "-"):
        ends = sorted((int(f"{sign}{huge}"), int(f"{sign}{huge + 5}")))
        shape = NumberShape(integer=True, minimum=Decimal(ends[0]), maximum=Decimal(ends[1]))
        assert number_language(shape).accepts(f"{sign}{huge + 3}")
        assert not number_language(shape).accepts(f"{sign}{huge + 6}")


def test_listed_numbers_are_written_as_json_writers_write_them() -> None:
    values = (Decimal("1.0"), Decimal("-2.50"), Decimal("1E+2"), Decimal("1E+20"), Decimal("0.00000012"))
    language = number_language(NumberShape(values=values))
    for spelling in ("1", "1.0", "-2.5", "100", "100.0", "1e+20", "1" + "0" * 20, "1.2e-07"):
        assert language.accepts(spelling)
    for spelling in ("2", "1.00", "-2", "10"):
        assert not language.accepts(spelling)
