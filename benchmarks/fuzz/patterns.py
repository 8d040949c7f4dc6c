"""ECMA-262's regular expressions as Python writes them, for a judge that knows Python's only."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable

_TOKEN = re.compile(r"\\u\{[0-9a-fA-F]+\}|\\[\s\S]|\(\?<(?![=!])|\[\^\]|\[\]|[\s\S]")
_NO_EDGE = r"(?:(?<=\w)(?=\w)|(?<!\w)(?!\w))"  # \B, which in an empty text Python does not find before 3.14
_SPACE = r"\t-\r \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
_ECMA = {
    "$": r"\Z",
    ".": r"[^\n\r\u2028\u2029]",
    "[]": "(?!)",
    "[^]": r"[\s\S]",
    "(?<": "(?P<",
    r"\s": f"[{_SPACE}]",
    r"\S": f"[^{_SPACE}]",
    r"\B": _NO_EDGE,
}
_ECMA_SET = {r"\s": _SPACE, "[": r"\[", "&": r"\&", "~": r"\~", "|": r"\|"}
_UNKNOWN = re.compile(r"\\(?:[pPckAZ1-9]|0[0-9])")


class UntranslatableError(Exception):
    """The expression has something that Python's expressions lack."""


def to_python(pattern: str) -> str:
    """An expression for `re.search` that finds what an expression of ECMA-262 does.

    Raises:
        UntranslatableError: there is none that this function knows.
    """
    if any(_UNKNOWN.fullmatch(token) for token in _TOKEN.findall(pattern)):
        raise UntranslatableError("an escape that is not Python's")
    python = f"(?a:{_translated(pattern, _ECMA, _ECMA_SET)})"
    _compiled(python)
    return python


def whole_match(pattern: str) -> Callable[[str], bool]:
    """Whether a text as a whole matches an expression that is Python's, but has ASCII classes.

    Raises:
        UntranslatableError: it cannot be said with Python's `re`.
    """
    classes = re.search(r"\\[wWdDsSbB]", pattern)
    if classes and re.search(r"\(\?[ams-]*i", pattern):
        raise UntranslatableError("ASCII classes beside Unicode's cases")
    outside = {r"\B": _NO_EDGE}
    if not re.search(r"\(\?[ais-]*m", pattern):
        outside["$"] = r"\Z"
    written = _translated(pattern, outside, {})
    expression = _compiled(f"(?a){written}" if classes else written)
    return lambda text: expression.fullmatch(text) is not None


def _translated(pattern: str, outside: dict[str, str], inside: dict[str, str]) -> str:
    """The pattern, its tokens exchanged outside and inside of sets."""
    written, in_set = [], False
    for token in _TOKEN.findall(pattern):
        if in_set and (token in ("[]", "[^]") or (token == r"\S" and inside)):
            raise UntranslatableError(f"{token} in a set")
        if token in ("[]", "[^]") and token not in outside:
            raise UntranslatableError("a set that begins with ]")
        if token.startswith(r"\u{"):
            written.append(rf"\U{token[3:-1].zfill(8)}")
            continue
        written.append((inside if in_set else outside).get(token, token))
        in_set = token != "]" if in_set else token == "["
    return "".join(written)


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        with warnings.catch_warnings(action="error"):
            return re.compile(pattern)
    except (re.error, OverflowError, RecursionError, Warning) as error:
        raise UntranslatableError(str(error)) from error
