"""TGI's headers that tell how long an answer took and what it cost."""

from __future__ import annotations

import logging
from collections.abc import Collection
from time import perf_counter

from router.token_event import Completion

logger = logging.getLogger(__name__)


class Timing:
    """The time of one request, from now on: the router's own until it is `validated`, then the shard's."""

    def __init__(self) -> None:
        self._started = perf_counter()
        self._validation = 0.0

    def validated(self) -> None:
        """The request has passed the rules, and its grammar is compiled."""
        self._validation = perf_counter() - self._started

    def headers(self, completions: Collection[Completion], *, prompt_tokens: int) -> dict[str, str]:
        """The headers for these answers: x-compute-time in seconds, other times in whole milliseconds.

        Queue and inference are as the shard measured them, summed over the answers. `prompt_tokens` are those
        of all prompts, each counted once.
        """
        total = perf_counter() - self._started
        queue = sum(each.queue_seconds for each in completions)
        inference = sum(each.inference_seconds for each in completions)
        generated = sum(each.generated_tokens for each in completions)
        logger.info(
            "%d tokens in %.3f s: validation %.3f, queue %.3f, inference %.3f",
            *(generated, total, self._validation, queue, inference),
        )
        return {
            "x-compute-time": str(total),
            "x-total-time": _milliseconds(total),
            "x-validation-time": _milliseconds(self._validation),
            "x-queue-time": _milliseconds(queue),
            "x-inference-time": _milliseconds(inference),
            "x-time-per-token": _milliseconds(inference / max(generated, 1)),
            "x-prompt-tokens": str(prompt_tokens),
            "x-generated-tokens": str(generated),
        }


def _milliseconds(seconds: float) -> str:
    return str(int(seconds * 1000))
