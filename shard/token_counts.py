"""Which tokens one sequence has, and how often its answer has them."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from copy import copy


class TokenCounts:
    """Each token of prompt and answer once, in order of its first occurrence, kept up token by token.

    What a step reads of it is as long as there are different tokens, never longer than a row of logits.
    """

    def __init__(self, prompt: Iterable[int]) -> None:
        self.token_ids = array("q", dict.fromkeys(prompt))
        self.counts = array("q", bytes(8 * len(self.token_ids)))
        """Of each of `token_ids`, in the answer alone."""
        self._places = {token_id: place for place, token_id in enumerate(self.token_ids)}

    def copied(self) -> TokenCounts:
        """The same counts, to be kept up apart."""
        other = copy(self)
        other.token_ids, other.counts = self.token_ids[:], self.counts[:]
        other._places = self._places.copy()
        return other

    def add(self, token_id: int) -> None:
        """Count one more token of the answer."""
        place = self._places.setdefault(token_id, len(self.token_ids))
        if place == len(self.token_ids):
            self.token_ids.append(token_id)
            self.counts.append(0)
        self.counts[place] += 1
