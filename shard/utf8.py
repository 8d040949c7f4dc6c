"""Well-formed UTF-8 as a table: which bytes may follow within a character (RFC 3629, section 4)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

WHOLE = 0
"""Between two characters."""
MALFORMED = 8
"""No character has these bytes, and none of those that follow can mend it."""

# (what was left of the character, first byte, last byte, what is left after it). 1, 2 and 3 are that many
# continuation bytes; 4 to 7 are those second bytes whose range is narrower, so that there are no overlong
# forms, no surrogates and nothing past U+10FFFF. Later rows take precedence.
_RANGES = (
    (WHOLE, 0x00, 0x7F, WHOLE),
    (WHOLE, 0xC2, 0xDF, 1),
    (WHOLE, 0xE0, 0xE0, 4),
    (WHOLE, 0xE1, 0xEF, 2),
    (WHOLE, 0xED, 0xED, 5),
    (WHOLE, 0xF0, 0xF0, 6),
    (WHOLE, 0xF1, 0xF3, 3),
    (WHOLE, 0xF4, 0xF4, 7),
    (1, 0x80, 0xBF, WHOLE),
    (2, 0x80, 0xBF, 1),
    (3, 0x80, 0xBF, 2),
    (4, 0xA0, 0xBF, 1),
    (5, 0x80, 0x9F, 1),
    (6, 0x90, 0xBF, 2),
    (7, 0x80, 0x8F, 2),
)


def _table() -> NDArray[np.intp]:
    table = np.full((MALFORMED + 1, 256), MALFORMED, dtype=np.intp)
    for left, first, last, after in _RANGES:
        table[left, first : last + 1] = after
    table.setflags(write=False)
    return table


UTF8 = _table()
"""(9, 256): what is left of a character after one more byte."""
MISSING = np.array([0, 1, 2, 3, 2, 2, 3, 3, 0], dtype=np.intp)
"""(9,): bytes to the end of the character, by what is left of it."""
