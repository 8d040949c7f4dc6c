"""The answer to one request as it grows: from sampled tokens to the events that its caller sees."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from shard.detokenizer import Detokenizer
from shard.stopping import FinishReason, StopStrings, finished
from shard.timing import Timing


@dataclass(frozen=True)
class Sampled:
    """A token that was chosen; log-probabilities are the model's own, before parameters and grammar."""

    token_id: int
    logprob: float
    top: tuple[tuple[int, float], ...] = ()
    """The likeliest tokens and their log-probabilities, the likeliest first, as many as are wanted."""


@dataclass(frozen=True)
class Event:
    """One token of an answer. `finish_reason` is set on the last."""

    token_id: int
    text: str
    """What the token adds to the answer; for a special token, its name."""
    logprob: float
    special: bool
    finish_reason: FinishReason | None = None
    top: tuple[tuple[int, float], ...] = ()
    """The likeliest tokens here and their log-probabilities, the likeliest first."""


class Answer:
    """Text and end of one answer. The texts of the events that are not special, put together, are `text`.

    (But for an answer that ends with a special token in the middle of a character, or of what could be a stop
    string that is excluded: only `text` tells.)
    """

    def __init__(
        self,
        *,
        max_new_tokens: int,
        detokenizer: Detokenizer,
        stop_strings: StopStrings,
        eos_ids: Collection[int],
        special_tokens: Mapping[int, str],
        stop_ids: Collection[int] = (),
        min_new_tokens: int = 0,
    ) -> None:
        """An answer that ends with one of `eos_ids` or `stop_ids`, with a stop string once it has
        `min_new_tokens`, or when it has `max_new_tokens`.
        """
        self.generated = 0
        self.logprob = 0.0
        """The sum of the log-probabilities of its tokens."""
        self.timing = Timing()
        self._max_new_tokens = max_new_tokens
        self._detokenizer = detokenizer
        self._stop_strings = stop_strings
        self._eos_ids = eos_ids
        self._stop_ids = stop_ids
        self._min_new_tokens = min_new_tokens
        self._special_tokens = special_tokens
        self._pieces: list[str] = []

    @property
    def text(self) -> str:
        """The whole answer so far, without special tokens."""
        return "".join(self._pieces)

    def add(self, sampled: Sampled) -> Event:
        """The event of the next token.

        Raises:
            ArithmeticError: the model's output was not a number.
        """
        if math.isnan(sampled.logprob):
            raise ArithmeticError("the model's output is not a number")
        token_id = sampled.token_id
        self.generated += 1
        self.logprob += sampled.logprob
        reason = finished(
            token_id,
            generated=self.generated,
            max_new_tokens=self._max_new_tokens,
            eos_ids=self._eos_ids,
            stop_ids=self._stop_ids,
        )
        piece = self._detokenizer.add(token_id)
        if reason:
            piece += self._detokenizer.flush()
        piece, stopped = self._stop_strings.cut(piece, stopping=self.generated >= self._min_new_tokens)
        if stopped and reason is not FinishReason.EOS_TOKEN:
            reason = FinishReason.STOP_SEQUENCE
        if reason:
            piece += self._stop_strings.flush()
            self.timing.stop()
        self._pieces.append(piece)
        special = token_id in self._special_tokens
        text = self._special_tokens[token_id] if special else piece
        return Event(token_id, text, sampled.logprob, special, reason, sampled.top)
