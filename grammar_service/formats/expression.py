"""Regular expressions of ECMA-262, themselves as a language."""

from __future__ import annotations

from grammar_service.automata.dfa import Dfa
from grammar_service.regex.automaton import fullmatch

MAX_NESTED_GROUPS = 2

_HEX = "[0-9A-Fa-f]"
_PROPERTY = r"[pP]\{(?:L[ulmtoC]?|M[nce]?|N[dlo]?|P[cdseifo]?|S[mcko]?|Z[slp]?|C[cfson]?)\}"
_ESCAPE = rf"[dDsSwWfnrtv]|c[A-Za-z]|x{_HEX}{{2}}|u{_HEX}{{4}}|{_PROPERTY}|[\^$\\.*+?()\[\]{{}}|/]"

# Whether a range, or a pair of bounds, is in order depends on both of its ends.
_RANGE = "|".join([*(f"{digit}-[{digit}-9]" for digit in range(10)), "a-[a-z]", "A-[A-Z]"])
_CLASS = rf"\[\^?-?(?:[^\]\\\-]|\\(?:{_ESCAPE}|[b\-])|{_RANGE})*-?\]"
_BOUNDS = "|".join(
    [
        "[0-9]+,?",
        *(f"{digit},(?:[{digit}-9]|[1-9][0-9]+)" for digit in range(10)),
        "[1-9][0-9],[1-9][0-9]{2,}",
        *(f"{tens}[0-9],[{tens + 1}-9][0-9]" for tens in range(1, 9)),
    ]
)
_QUANTIFIER = rf"(?:(?:[*+?]|\{{(?:{_BOUNDS})\}})\??)?"


def regex() -> Dfa:
    r"""Patterns of ECMA-262 that are valid with its flag `u` and without.

    They are not regular; this is the part with groups nested at most `MAX_NESTED_GROUPS` deep, and
    look-around outside of groups and without groups in it. Refused is also what depends on the rest of the
    pattern: back-references, and groups with names, which must be unique. And for the number of states: the
    escapes `\0` and `\u{}`; ranges in sets other than from digit to digit and from `a` or `A` to a letter;
    bounds {n,m} of as many digits if these are more than two or the first is the same; properties other than
    general categories; flags of groups.
    """
    flat = _disjunction("")
    expression = flat
    for _ in range(MAX_NESTED_GROUPS - 1):
        expression = _disjunction(rf"|\((?:\?:)?{expression}\)")
    look_around = rf"|\(\?<?[=!]{flat}\)"
    return fullmatch(_disjunction(rf"|\((?:\?:)?{expression}\)", look_around))


def _disjunction(group: str, look_around: str = "") -> str:
    """With `group` as one more kind of atom, and `look_around` of assertion."""
    atom = rf"(?:[^\^$\\.*+?()\[\]{{}}|]|\.|\\(?:{_ESCAPE})|{_CLASS}{group})"
    return rf"(?:{atom}{_QUANTIFIER}|[\^$|]|\\[bB]{look_around})*"
