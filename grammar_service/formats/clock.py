"""Dates, times and durations of RFC 3339."""

from __future__ import annotations

from grammar_service.automata.dfa import Dfa
from grammar_service.formats.composition import union
from grammar_service.regex.automaton import fullmatch

# A year that has a 29th of February: divisible by 4, and not by 100 unless by 400.
_MULTIPLE_OF_4 = "(?:[02468][048]|[13579][26])"
_LEAP_YEAR = f"(?:[0-9]{{2}}(?:0[48]|[2468][048]|[13579][26])|{_MULTIPLE_OF_4}00)"
_DAY_OF_YEAR = (
    "(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])"
    "|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"
    "|02-(?:0[1-9]|1[0-9]|2[0-8]))"
)
_DATE = f"(?:[0-9]{{4}}-{_DAY_OF_YEAR}|{_LEAP_YEAR}-02-29)"
_HOUR_AND_MINUTE = "(?:[01][0-9]|2[0-3]):[0-5][0-9]"
_FRACTION = r"(?:\.[0-9]+)?"
_TIME = f"{_HOUR_AND_MINUTE}:[0-5][0-9]{_FRACTION}(?:[Zz]|[+-]{_HOUR_AND_MINUTE})"

_MINUTES_A_DAY = 24 * 60
_LEAP_MINUTE = _MINUTES_A_DAY - 1


def date() -> Dfa:
    """`full-date`, with the days that the month and the year have."""
    return fullmatch(_DATE)


def time() -> Dfa:
    """`full-time`. The second 60 must be at 23:59 UTC; refused with offsets of broken half-hours."""
    leaps = [_leap_second(offset) for offset in range(30 - _MINUTES_A_DAY, _MINUTES_A_DAY, 30)]
    return union(_TIME, f"(?:{'|'.join(leaps)})").minimised()


def date_time() -> Dfa:
    """`date-time`. A second 60 must end June or December in UTC.

    It is refused with offsets other than -12:00 to 00:00 in whole hours: west of Greenwich it is still in
    the same month, and more would cost hundreds of states.
    """
    leaps = [_leap_second(offset) for offset in range(-12 * 60, 60, 60)]
    leap = f"[0-9]{{4}}-(?:06-30|12-31)[Tt](?:{'|'.join(leaps)})"
    return union(f"{_DATE}[Tt]{_TIME}", leap).minimised()


def _leap_second(offset: int) -> str:
    """The local time of a leap second, `offset` minutes from UTC."""
    hour, minute = divmod((_LEAP_MINUTE + offset) % _MINUTES_A_DAY, 60)
    zone = f"{'-' if offset < 0 else '[+]'}{abs(offset) // 60:02}:{abs(offset) % 60:02}"
    if offset == 0:
        zone = "(?:[Zz]|[+-]00:00)"
    return f"{hour:02}:{minute:02}:60{_FRACTION}{zone}"


def duration() -> Dfa:
    """`duration` of appendix A, its units in order and without gaps.

    Refused is lower case: the ABNF allows it, and ISO 8601 does not.
    """
    second = "[0-9]+S"
    minute = f"[0-9]+M(?:{second})?"
    hour = f"[0-9]+H(?:{minute})?"
    time_of_day = f"T(?:{hour}|{minute}|{second})"
    day = "[0-9]+D"
    month = f"[0-9]+M(?:{day})?"
    year = f"[0-9]+Y(?:{month})?"
    return fullmatch(f"P(?:(?:{day}|{month}|{year})(?:{time_of_day})?|{time_of_day}|[0-9]+W)")
