"""The bodies of POST /v1/completions, as they are on the wire and in the OpenAPI document."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi.openapi.models import Example
from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from router.api.body import Body, Strings
from router.api.numbers import UInt32
from router.api.openai_schema import OpenAIParameters, Usage


def _prompts(value: Any) -> Any:
    if value == []:
        text = "Empty array detected. Do not use an empty array for the prompt."
        raise PydanticCustomError("empty_prompts", text)
    if isinstance(value, list) and isinstance(value[0], int | list):
        raise PydanticCustomError("token_ids", "token ids are not supported; send text")
    return value


class CompletionRequest(OpenAIParameters):
    """The body of POST /v1/completions."""

    prompt: Annotated[str | Strings, BeforeValidator(_prompts)] = Field(
        examples=["What is Deep Learning?", ["What is Deep Learning?", "Is water wet?"]],
        json_schema_extra={
            "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]
        },
    )
    """The prompt, or several, each of which is answered for itself."""
    max_tokens: UInt32 | None = Field(default=None, examples=[20])
    """The most tokens to generate, > 0. As many as the model has room for, if left out."""
    best_of: UInt32 | None = Field(default=None, examples=[None])
    """Generate this many answers and return the `n` with the highest mean log-probability. Not in streams."""
    echo: bool | None = Field(default=None, examples=[False])
    """Put the prompt before the answer."""
    logprobs: UInt32 | None = Field(default=None, examples=[None])
    """Tell the log-probabilities of the tokens, and at each of them this many of the most likely ones."""
    suffix: str | None = Field(default=None, examples=[None])
    """Not supported."""


class CompletionLogprobs(Body):
    """What the model thought of each token of a choice."""

    tokens: list[str]
    token_logprobs: list[float | None]
    """Natural logarithms; null for the first token of a prompt."""
    top_logprobs: list[dict[str, float | None] | None]
    """The likeliest tokens and the one that was taken; null for the first token of a prompt."""
    text_offset: list[int]
    """Where in the text each token begins, in characters."""


class CompletionChoice(Body):
    """One answer."""

    index: int
    """Counts the answers to all prompts: those to the first prompt come first."""
    text: str
    logprobs: CompletionLogprobs | None
    finish_reason: Literal["stop", "length"]


class Completion(Body):
    """The answer of POST /v1/completions."""

    id: str
    object: Literal["text_completion"]
    created: int
    """Seconds since 1970."""
    model: str
    system_fingerprint: str
    choices: list[CompletionChoice]
    usage: Usage


class CompletionChunkChoice(Body):
    """A piece of one answer."""

    index: int
    text: str
    logprobs: CompletionLogprobs | None
    finish_reason: Literal["stop", "length"] | None
    """Only on the last piece."""


class CompletionChunk(Body):
    """An event of POST /v1/completions with `stream`. The last one is `[DONE]`."""

    id: str
    object: Literal["text_completion"]
    created: int
    model: str
    system_fingerprint: str
    choices: list[CompletionChunkChoice]
    """One, or none on the event that has the usage of the whole request."""
    usage: Usage | None
    """Of one answer on its last piece; with `include_usage`, of all on an event of its own instead."""


COMPLETION_EXAMPLES: dict[str, Example] = {
    "text": {
        "summary": "Free text",
        "value": {"model": "tgi", "prompt": "What is Deep Learning?", "max_tokens": 20, "temperature": 0},
    },
    "several": {
        "summary": "Several prompts and answers",
        "value": {"prompt": ["Is water wet?", "def mai"], "n": 2, "max_tokens": 10, "seed": 1},
    },
    "json": {
        "summary": "JSON that satisfies a schema, in OpenAI's form",
        "value": {
            "prompt": "Describe Paris as JSON: ",
            "max_tokens": 60,
            "response_format": {
                "type": "json_schema",
                "json_schema": {
                    "name": "city",
                    "schema": {
                        "type": "object",
                        "properties": {"name": {"type": "string"}, "country": {"enum": ["France", "Italy"]}},
                        "required": ["name", "country"],
                    },
                },
            },
        },
    },
    "stream": {
        "summary": "A stream with log-probabilities and usage",
        "value": {
            "prompt": "Is the sky blue? Answer yes or no: ",
            "guided_choice": ["yes", "no"],
            "logprobs": 2,
            "stream": True,
            "stream_options": {"include_usage": True},
        },
    },
}
