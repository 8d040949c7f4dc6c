"""Whether what has been read of a part tells where the part ends."""

from __future__ import annotations

from grammar_service.automata.dfa import DEAD, Dfa
from protos.errors import InvalidRequestError

_OF_NUMBERS = "+-.0123456789Ee"


def check_language(language: Dfa) -> None:
    """Make sure that no string of a language is the beginning of another one.

    Raises:
        InvalidRequestError: one is.
    """
    trimmed = language.trimmed
    if (trimmed.table[trimmed.accepting] != DEAD).any():
        raise InvalidRequestError(
            "what it matches may go on right after the tag's end, so nothing could tell where it ends; "
            "choose an end that it cannot contain, or stop_after_first"
        )


def check_numbers(following: str) -> None:
    """Make sure that a number ends where `following` does. (All other JSON values end with themselves.)

    Raises:
        InvalidRequestError: a longer number may begin like that.
    """
    if not following or following[0] in _OF_NUMBERS:
        raise InvalidRequestError("a number may go on where it ends; choose an end that no number contains")
