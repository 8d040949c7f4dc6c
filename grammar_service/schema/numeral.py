"""JSON's numerals character by character, and how an automaton over them is explored."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import NamedTuple, TypeVar

import numpy as np

from grammar_service.automata.columns import columns_of
from grammar_service.automata.dfa import DEAD, Dfa, TooManyStatesError

MAX_INTEGER_DIGITS = 20
MAX_FRACTION_DIGITS = 20
MAX_EXPONENT_DIGITS = 3
"""Numbers still end where a schema does not bound them: endless digits are a way for models to get lost."""
MAX_STATES = 50_000

_SYMBOLS = "+-.0123456789Ee"

State = TypeVar("State", bound=Hashable)


class Reading(NamedTuple):
    """How much of a number has been read."""

    phase: str = "start"
    digits: int = 0
    """Read in this phase."""
    single: bool = False
    """There is one digit before the point, and it is not 0."""


def read(state: Reading, symbol: str) -> Reading | None:
    """The reading after one more character of a JSON number (RFC 8259, section 6)."""
    phase, digits, single = state
    if symbol.isdigit():
        if phase in ("start", "minus"):
            return Reading("zero", 1) if symbol == "0" else Reading("whole", 1, True)
        if phase == "whole":
            return Reading("whole", digits + 1)
        if phase in ("point", "fraction"):
            return Reading("fraction", digits + 1, single)
        return Reading("power", digits + 1) if phase in ("e", "sign", "power") else None
    if symbol == "-" and phase == "start":
        return Reading("minus")
    if symbol == "." and phase in ("zero", "whole"):
        return Reading("point", 0, single)
    if symbol in "eE" and phase in ("zero", "whole", "fraction"):
        return Reading("e", 0, single)
    return Reading("sign") if symbol in "+-" and phase == "e" else None


def explored(
    start: State, step: Callable[[State, str], State | None], accepts: Callable[[State], bool]
) -> Dfa:
    """The minimal automaton of the states reachable from `start`."""
    numbers: dict[State, int] = {start: 1}
    queue = [start]
    rows = [[DEAD] * len(_SYMBOLS)]
    for state in queue:  # grows as it is read
        row = []
        for symbol in _SYMBOLS:
            following = step(state, symbol)
            if following is not None and following not in numbers:
                numbers[following] = len(numbers) + 1
                queue.append(following)
                if len(numbers) > MAX_STATES:
                    raise TooManyStatesError(MAX_STATES)
            row.append(DEAD if following is None else numbers[following])
        rows.append(row)
    points = [ord(symbol) for symbol in _SYMBOLS]
    columns = columns_of(points)
    cuts = np.array([*columns], dtype=np.int64)
    table = np.full((len(rows), len(cuts)), DEAD, dtype=np.int64)
    table[:, [columns[point] for point in points]] = rows
    return Dfa(cuts, table, np.array([False, *map(accepts, queue)]), 1).minimised()
