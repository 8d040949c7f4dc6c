"""Where a JSON object ends, in text that comes in pieces."""

from __future__ import annotations

import re

_IN_STRING = re.compile(r'["\\]')
_OUTSIDE = re.compile(r'["{}\[\]]')


class JsonEnd:
    """Follows strings and brackets. What it reads is an object or a list, and valid as far as it goes."""

    def __init__(self) -> None:
        self._depth = 0
        self._in_string = False
        self._escaped = False

    def find(self, piece: str) -> int | None:
        """How much of `piece` belongs to the value, if it ends there; None if it does not end yet."""
        place = 1 if self._escaped and piece else 0
        self._escaped = self._escaped and not piece
        while found := (_IN_STRING if self._in_string else _OUTSIDE).search(piece, place):
            place = found.end()
            if found[0] == "\\":
                self._escaped = place == len(piece)
                place += 1
            elif found[0] == '"':
                self._in_string = not self._in_string
            else:
                self._depth += 1 if found[0] in "{[" else -1
                if self._depth == 0:
                    return place
        return None
