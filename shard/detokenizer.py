"""From tokens to text that never holds half a character."""

from __future__ import annotations

import codecs
from collections.abc import Sequence


class Detokenizer:
    """Decodes one answer as it grows, in time linear in its length.

    The pieces that `add` and `flush` returned, put together, are the bytes of the tokens decoded as UTF-8,
    each malformed sequence replaced by U+FFFD. Working on bytes keeps the text exactly what a grammar over
    bytes enforced: no clean-up of spaces, no dropped first blank.
    """

    def __init__(self, token_bytes: Sequence[bytes | None]) -> None:
        """`token_bytes[id]` is what the token stands for; None for a special token."""
        self._token_bytes = token_bytes
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def add(self, token_id: int) -> str:
        """The text that this token completes; a character cut between tokens is held back."""
        return self._decoder.decode(self._token_bytes[token_id] or b"")

    def flush(self) -> str:
        """What is held back when the answer ends in the middle of a character: U+FFFD, or nothing."""
        return self._decoder.decode(b"", final=True)
