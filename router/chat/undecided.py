"""What cannot be told yet of a text that comes in pieces."""

from __future__ import annotations


def undecided(text: str, mark: str) -> int:
    """The length of the longest end of `text` that `mark` begins with, and is longer than."""
    start = max(0, len(text) - len(mark) + 1)
    return next((len(text) - place for place in range(start, len(text)) if mark.startswith(text[place:])), 0)
