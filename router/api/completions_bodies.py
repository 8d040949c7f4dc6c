"""What was generated, as the bodies of POST /v1/completions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

from router.answers import Answer
from router.token_event import FinishReason, PrefillToken, Token

Logprobs = dict[str, list[Any]]
Top = dict[str, float | None]


class LogprobsWriter:
    """Writes `CompletionLogprobs` objects of one text, whose tokens come in order, piece by piece."""

    def __init__(self) -> None:
        self._offset = 0

    def prompt(self, text: str, tokens: Iterable[PrefillToken]) -> Logprobs:
        """Of the prompt with which the text begins. Nothing is known of its other likely tokens."""
        told = _empty()
        for token in tokens:
            top: Top | None = None if token.logprob is None else {token.text: token.logprob}
            # What is not in the text as it is: special tokens, parts of a character.
            found = text.startswith(token.text, self._offset)
            self._add(told, token, top, length=len(token.text) if found else 0)
        self._offset = len(text)
        return told

    def answer(self, tokens: Iterable[Token], top_tokens: Iterable[Iterable[Token]]) -> Logprobs:
        """Of the next tokens of the answer."""
        told = _empty()
        for token, likeliest in zip(tokens, top_tokens, strict=True):
            top: Top = {}
            for each in (*likeliest, token):
                top.setdefault(each.text, each.logprob)
            self._add(told, token, top, length=0 if token.special else len(token.text))
        return told

    def _add(self, told: Logprobs, token: Token | PrefillToken, top: Top | None, *, length: int) -> None:
        told["tokens"].append(token.text)
        told["token_logprobs"].append(token.logprob)
        told["top_logprobs"].append(top)
        told["text_offset"].append(self._offset)
        self._offset += length


def joined(first: Logprobs, second: Logprobs) -> Logprobs:
    """Two pieces as one."""
    return {name: first[name] + second[name] for name in first}


def _empty() -> Logprobs:
    return {"tokens": [], "token_logprobs": [], "top_logprobs": [], "text_offset": []}


def finish(reason: FinishReason) -> Literal["stop", "length"]:
    """OpenAI's name for why an answer ended."""
    return "length" if reason == "length" else "stop"


def usage(*, prompt_tokens: int, completion_tokens: int) -> dict[str, int]:
    """The object `Usage`."""
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
    }


def choice(
    index: int, answer: Answer, *, echo: str | None, prefill: Sequence[PrefillToken], with_logprobs: bool
) -> dict[str, Any]:
    """The object `CompletionChoice`; the text begins with `echo`."""
    told = None
    if with_logprobs:
        writer = LogprobsWriter()
        prompt = writer.prompt(echo or "", prefill)
        told = joined(prompt, writer.answer(answer.tokens, answer.top_tokens))
    return {
        "index": index,
        "text": (echo or "") + answer.completion.text,
        "logprobs": told,
        "finish_reason": finish(answer.completion.finish_reason),
    }
