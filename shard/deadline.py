"""When an answer has to come to its end, so that it is never cut off."""

from __future__ import annotations

from dataclasses import dataclass

from protos.errors import InvalidRequestError
from shard.grammar import Grammar
from shard.needs import NEVER


@dataclass(frozen=True, kw_only=True)
class Budget:
    """The tokens that an answer may have."""

    tokens: int
    """More than 0, the end-of-sequence token included."""
    required: bool = False
    """Whether to refuse a budget in which no answer fits, instead of cutting the answer off."""


class Deadline:
    """The tokens that are left of an answer which fits into its budget.

    Each is taken so that what is still needed fits into the rest. What has come to an end needs nothing more,
    not even an end-of-sequence token, so a text that may end anywhere goes on to the last token.
    """

    def __init__(self, left: int, *, end: int) -> None:
        """`end` is 1 if an answer that needs more is to have an end-of-sequence token, and 0 if not."""
        self.left = left
        self._end = end

    @property
    def limit(self) -> int:
        """The most tokens that the answer may need after the next one, the end-of-sequence token apart."""
        return max(0, self.left - 1 - self._end)

    def after(self, tokens: int) -> Deadline:
        """The same, so many tokens later."""
        return Deadline(self.left - tokens, end=self._end)


def choose_deadline(grammar: Grammar, budget: Budget) -> Deadline | None:
    """The deadline of a new answer; None if no answer fits.

    An answer that fits only without the end-of-sequence token has no token for that, if it is not required.

    Raises:
        InvalidRequestError: none fits, and that is required; or the automaton's endings are wrong.
    """
    needs, start = grammar.needs, grammar.start
    tokens = needs.tokens_by_bytes(start)
    if tokens + 1 > budget.tokens:
        tokens = needs.tokens(start)
    if tokens + 1 > budget.tokens:
        grammar.look_for_shortcut()
        tokens = needs.tokens(start)
    if tokens + 1 <= budget.tokens:
        return Deadline(budget.tokens, end=1)
    if budget.required:
        fewest = f"{tokens + 1} tokens" if tokens < NEVER else "more tokens than there are to spell it with"
        raise InvalidRequestError(
            f"`complete` is required and `max_new_tokens` is {budget.tokens}, but the shortest answer that "
            f"matches the grammar takes {fewest}, the end-of-sequence token included"
        )
    return Deadline(budget.tokens, end=0) if tokens <= budget.tokens else None
