"""Whole answers, put together from the events of a stream."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from router.errors import RequestError
from router.token_event import Completion, PrefillToken, Token, TokenEvent


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A whole answer."""

    tokens: list[Token]
    completion: Completion
    top_tokens: list[tuple[Token, ...]]
    """Of each of `tokens`, as many of the likeliest as were asked for."""

    @property
    def mean_logprob(self) -> float:
        """By which TGI tells which of several answers is the best."""
        return self.completion.cumulative_logprob / self.completion.generated_tokens


@dataclass(frozen=True, kw_only=True)
class Collected:
    """All answers to a request, by their indices, and the tokens of its prompt if they were asked for."""

    answers: list[Answer]
    prefill: tuple[PrefillToken, ...]


async def collect(events: AsyncIterator[TokenEvent]) -> Collected:
    """All of a stream.

    Raises:
        RequestError: the stream fails or ends early.
    """
    collected: dict[int, list[TokenEvent]] = {}
    prefill: tuple[PrefillToken, ...] = ()
    async for event in events:
        collected.setdefault(event.index, []).append(event)
        prefill = prefill or event.prefill
    return Collected(answers=[_answer(collected[index]) for index in sorted(collected)], prefill=prefill)


def _answer(events: list[TokenEvent]) -> Answer:
    completion = events[-1].completion
    if completion is None:
        raise RequestError.incomplete()
    return Answer(
        tokens=[event.token for event in events],
        completion=completion,
        top_tokens=[event.top_tokens for event in events],
    )
