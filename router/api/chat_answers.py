"""What was generated, as the bodies of answers to chats: whole, or in events."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from typing import Any

from router.api.chat_bodies import FinishReason
from router.api.chat_rules import Chat
from router.api.chat_schema import ChatRequest
from router.chat.reader import AnswerReader, CallDelta, Delta
from router.model import Model
from router.token_event import Completion, Token, TokenEvent

UNNAMED = "tgi"
"""What TGI's clients send as the name of a model when they mean the one there is."""


class TakenLogprobs:
    """The log-probabilities of an answer's tokens, but for special ones, which are no part of it."""

    def __init__(self) -> None:
        self._tokens: list[dict[str, Any]] = []

    def add(self, event: TokenEvent) -> None:
        """The answer's next token."""
        if not event.token.special:
            likeliest = [_logprob(token) for token in event.top_tokens]
            self._tokens.append({**_logprob(event.token), "top_logprobs": likeliest})

    def take(self) -> dict[str, Any]:
        """The `Logprobs` since they were taken last."""
        taken, self._tokens = self._tokens, []
        return {"content": taken}


class WholeChoice:
    """One answer, kept until it has ended."""

    def __init__(self, index: int, chat: Chat) -> None:
        self._index = index
        self._reader = AnswerReader(chat.prompt, constrained=chat.constrained)
        self._logprobs = TakenLogprobs() if chat.with_logprobs else None
        self._content = self._reasoning = ""
        self._calls: list[dict[str, Any]] = []
        self._finish_reason: FinishReason | None = None

    def add(self, event: TokenEvent) -> None:
        """The answer's next token."""
        delta = self._reader.add(event)
        self._content += delta.content
        self._reasoning += delta.reasoning
        for call in delta.calls:
            if call.id is None:
                self._calls[call.index]["function"]["arguments"] += call.arguments
            else:
                self._calls.append(_call(call))
        if self._logprobs:
            self._logprobs.add(event)
        self._finish_reason = finish_reason(event, calls=len(self._calls))

    def body(self) -> dict[str, Any]:
        """The `ChatChoice`."""
        content = None if not self._content and (self._calls or self._reasoning) else self._content
        message: dict[str, Any] = {"role": "assistant", "content": content}
        if self._reasoning:
            message["reasoning_content"] = self._reasoning
        if self._calls:
            message["tool_calls"] = self._calls
        return {
            "index": self._index,
            "message": message,
            "logprobs": self._logprobs.take() if self._logprobs else None,
            "finish_reason": self._finish_reason,
        }


class ChunkedChoice:
    """One answer as `ChunkChoice`s, which OpenAI's clients put together again.

    Whoever reads a call finds a piece of it in every event, and the reason for the end in the last of them:
    there is no event of its own for that.
    """

    def __init__(self, index: int, chat: Chat) -> None:
        self._index = index
        self._reader = AnswerReader(chat.prompt, constrained=chat.constrained)
        self._logprobs = TakenLogprobs() if chat.with_logprobs else None
        self._begun = False

    def add(self, event: TokenEvent) -> dict[str, Any] | None:
        """What the next token adds; None if it is too early to tell."""
        delta = self._reader.add(event)
        if self._logprobs:
            self._logprobs.add(event)
        if delta.empty and event.completion is None:
            return None
        return {
            "index": self._index,
            "delta": self._told(delta),
            "logprobs": self._logprobs.take() if self._logprobs else None,
            "finish_reason": finish_reason(event, calls=self._reader.calls),
        }

    def _told(self, delta: Delta) -> dict[str, Any]:
        told: dict[str, Any] = {} if self._begun else {"role": "assistant", "content": None}
        self._begun = True
        if delta.reasoning:
            told["reasoning_content"] = delta.reasoning
        if delta.content:
            told["content"] = delta.content
        if delta.calls:
            told["tool_calls"] = [_call_delta(call) for call in delta.calls]
        elif delta.empty and self._reader.calls:
            told["tool_calls"] = [{"index": self._reader.calls - 1, "function": {"arguments": ""}}]
        elif delta.empty:
            told["content"] = ""
        return told


def envelope(body: ChatRequest, model: Model, *, kind: str) -> dict[str, Any]:
    """What every answer and every event of one begins with."""
    return {
        "object": kind,
        "id": f"chatcmpl-{uuid.uuid4().hex}",
        "created": int(time.time()),
        "model": model.id if body.model in (None, UNNAMED) else body.model,
        "system_fingerprint": f"{model.version}-native",
    }


def usage(completions: Sequence[Completion]) -> dict[str, int]:
    """The `Usage` of answers to one prompt, which counts once."""
    prompt = completions[0].input_tokens
    generated = sum(each.generated_tokens for each in completions)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": generated,
        "total_tokens": prompt + generated,
    }


def finish_reason(event: TokenEvent, *, calls: int) -> FinishReason | None:
    """Why an answer with so many calls ended, if it has. One that was cut off in a call is told as that."""
    if event.completion is None:
        return None
    if event.completion.finish_reason == "length":
        return "length"
    return "tool_calls" if calls else "stop"


def _logprob(token: Token) -> dict[str, Any]:
    return {"token": token.text, "logprob": token.logprob, "bytes": list(token.text.encode())}


def _call(call: CallDelta) -> dict[str, Any]:
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": call.id, "type": "function", "function": function}


def _call_delta(call: CallDelta) -> dict[str, Any]:
    if call.id is None:
        return {"index": call.index, "function": {"arguments": call.arguments}}
    return {"index": call.index, **_call(call)}
