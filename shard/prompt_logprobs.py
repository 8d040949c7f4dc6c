"""What the model thinks of one prompt, gathered while it is read in pieces."""

from __future__ import annotations

from array import array
from collections.abc import Iterable


class PromptLogprobs:
    """Log-probabilities of a prompt's tokens from the second one on; known up to some point, in order.

    A sequence that was preempted is read again from its first token, so what is known may be told again.
    """

    def __init__(self, length: int) -> None:
        """`length` is the number of tokens of the prompt, at least 1."""
        self.values = array("f")
        self._length = length

    @property
    def complete(self) -> bool:
        """Whether all are known."""
        return len(self.values) == self._length - 1

    def record(self, start: int, values: Iterable[float]) -> None:
        """Take the log-probabilities of the tokens that follow the ones from position `start` on."""
        known = array("f", values)
        self.values[start : start + len(known)] = known
