"""The answers of POST /v1/chat/completions, as they are on the wire and in the OpenAPI document."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from router.api.body import Body
from router.api.openai_schema import Usage

FinishReason = Literal["stop", "length", "tool_calls"]


class Function(Body):
    """A function that is called."""

    name: str
    arguments: str
    """A JSON object that matches the schema of the function's parameters, unless it was cut off."""


class AnswerToolCall(Body):
    """A call that the model made."""

    id: str
    """No other call has it."""
    type: Literal["function"]
    function: Function


class AnswerMessage(Body):
    """What the model said."""

    role: Literal["assistant"]
    content: str | None
    """null if it only called tools."""
    reasoning_content: str | None = None
    """What a reasoning model thought before. Left out if that is nothing."""
    tool_calls: list[AnswerToolCall] | None = None
    """Left out if there are none."""


class TopLogprob(Body):
    """A token and its log-probability."""

    token: str
    logprob: float | None
    """Natural logarithm; null if it is not a finite number."""
    bytes: list[int]
    """The token's text in UTF-8."""


class TokenLogprob(TopLogprob):
    """A token of the answer and its log-probability, with those of others as likely."""

    top_logprobs: list[TopLogprob]
    """As many of the likeliest as were asked for, the likeliest first."""


class Logprobs(Body):
    """The log-probabilities of an answer, or of a part of it."""

    content: list[TokenLogprob]


class ChatChoice(Body):
    """One answer."""

    index: int
    message: AnswerMessage
    logprobs: Logprobs | None
    """null unless asked for."""
    finish_reason: FinishReason


class ChatCompletion(Body):
    """The answer to a chat."""

    object: Literal["chat.completion"]
    id: str
    """No other answer has it."""
    created: int
    """Seconds since 1970."""
    model: str
    """As the request names it; the one that is served if it names none, or `tgi`."""
    system_fingerprint: str
    choices: list[ChatChoice]
    usage: Usage


class FunctionDelta(Body):
    """More of a function that is called."""

    name: str | None = None
    """With the first piece of a call only."""
    arguments: str


class ToolCallDelta(Body):
    """More of a call."""

    index: int
    """Which call of the answer."""
    id: str | None = None
    """With the first piece of a call only."""
    type: Literal["function"] | None = None
    """With the first piece of a call only."""
    function: FunctionDelta


class MessageDelta(Body):
    """More of a message."""

    role: Literal["assistant"] | None = None
    """With the first piece of an answer only."""
    content: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[ToolCallDelta] | None = None


class ChunkChoice(Body):
    """More of one answer."""

    index: int
    delta: MessageDelta
    logprobs: Logprobs | None
    """null unless asked for."""
    finish_reason: FinishReason | None
    """With the last piece only."""


class ChatCompletionChunk(Body):
    """An event of a streamed answer; the last event is `[DONE]`."""

    object: Literal["chat.completion.chunk"]
    id: str
    created: int
    model: str
    system_fingerprint: str
    choices: list[ChunkChoice] = Field(max_length=1)
    """Empty in the event with the usage."""
    usage: Usage | None
    """In one event behind all others, if `stream_options.include_usage` asks for it."""
