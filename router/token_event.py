"""What a shard answers, token by token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

FinishReason = Literal["length", "eos_token", "stop_sequence"]


class Token(NamedTuple):
    """One token of an answer. (A tuple, as the event is: they are made for every token that is streamed.)"""

    id: int
    text: str
    logprob: float | None
    """Natural logarithm; None if it is not a finite number, which JSON cannot say."""
    special: bool


@dataclass(frozen=True, kw_only=True)
class PrefillToken:
    """One token of a prompt."""

    id: int
    text: str
    logprob: float | None
    """Natural logarithm; None for the first token, and if it is not a finite number."""


@dataclass(frozen=True, kw_only=True)
class Completion:
    """What is known once the last token is there."""

    text: str
    finish_reason: FinishReason
    generated_tokens: int
    input_tokens: int
    seed: int | None
    cumulative_logprob: float
    queue_seconds: float
    inference_seconds: float


class TokenEvent(NamedTuple):
    """One step of one of the answers. Only the last event of each answer has a completion."""

    token: Token
    completion: Completion | None
    index: int = 0  # type: ignore[assignment] # hides a method of tuples that nobody calls
    """Which of the answers this is."""
    top_tokens: tuple[Token, ...] = ()
    """As many of the likeliest tokens as were asked for, the likeliest first."""
    prefill: tuple[PrefillToken, ...] = ()
    """The prompt, if it was asked for; on the first event of a stream only."""
