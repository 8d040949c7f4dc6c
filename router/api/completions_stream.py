"""The events of POST /v1/completions with `stream`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from router.api.completions_bodies import LogprobsWriter, finish, joined, usage
from router.api.completions_rules import Completions
from router.token_event import PrefillToken, TokenEvent


class ChoiceWriter:
    """Writes one choice as `CompletionChunkChoice` objects, one for each event of its answer."""

    def __init__(self, index: int, *, echo: str | None, with_logprobs: bool) -> None:
        self._index = index
        self._echo = echo
        self._logprobs = LogprobsWriter() if with_logprobs else None
        self._sent = 0

    def piece(self, event: TokenEvent, prefill: Sequence[PrefillToken]) -> dict[str, Any]:
        """The next piece; `prefill` are the tokens of the prompt, and matter for the first one only."""
        token, completion = event.token, event.completion
        text = "" if token.special else token.text
        if completion:  # tells also what was held back until now
            text = completion.text[self._sent :]
        self._sent += len(text)
        prompt, self._echo = self._echo, None
        told = None
        if self._logprobs:
            # The prompt's come before the answer's: they move the offset.
            before = None if prompt is None else self._logprobs.prompt(prompt, prefill)
            told = self._logprobs.answer([token], [event.top_tokens])
            told = told if before is None else joined(before, told)
        return {
            "index": self._index,
            "text": text if prompt is None else prompt + text,
            "logprobs": told,
            "finish_reason": finish(completion.finish_reason) if completion else None,
        }


class StreamWriter:
    """Writes the `CompletionChunk` objects of one request, for events that come from all its prompts."""

    def __init__(self, wanted: Completions, *, head: Mapping[str, Any]) -> None:
        """`head` is what every chunk begins with."""
        self._wanted = wanted
        self._head = head
        self._choices = [
            ChoiceWriter(
                number * wanted.n + rank,
                echo=request.inputs if wanted.echo else None,
                with_logprobs=wanted.with_logprobs,
            )
            for number, request in enumerate(wanted.requests)
            for rank in range(wanted.n)
        ]
        self._prefill: dict[int, Sequence[PrefillToken]] = {}
        self._prompt_tokens: dict[int, int] = {}
        self._generated = 0

    def chunk(self, number: int, event: TokenEvent) -> dict[str, Any]:
        """The chunk for an event of the prompt with this number."""
        if event.prefill:
            self._prefill[number] = event.prefill
        choice = self._choices[number * self._wanted.n + event.index]
        piece, cost = choice.piece(event, self._prefill.get(number, ())), None
        if event.completion:
            prompt, generated = event.completion.input_tokens, event.completion.generated_tokens
            self._prompt_tokens[number] = prompt
            self._generated += generated
            if self._wanted.with_usage_event is None:
                cost = usage(prompt_tokens=prompt, completion_tokens=generated)
        return {**self._head, "choices": [piece], "usage": cost}

    def usage_chunk(self) -> dict[str, Any]:
        """The chunk that comes last and has no choices."""
        prompt = sum(self._prompt_tokens.values())
        cost = usage(prompt_tokens=prompt, completion_tokens=self._generated)
        return {**self._head, "choices": [], "usage": cost}
