"""JSON pointers."""

from __future__ import annotations

from grammar_service.automata.dfa import Dfa
from grammar_service.regex.automaton import fullmatch

_POINTER = "(?:/(?:[^/~]|~[01])*)*"


def json_pointer() -> Dfa:
    """`json-pointer` of RFC 6901; may be empty, and is not a URI fragment."""
    return fullmatch(_POINTER)


def relative_json_pointer() -> Dfa:
    """A relative JSON pointer as draft 7 has it.

    The shift of an index, as in `0-1/a`, is refused: only the later drafts of relative pointers know it.
    """
    return fullmatch(f"(?:0|[1-9][0-9]*)(?:#|{_POINTER})")
