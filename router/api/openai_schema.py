"""What the bodies of OpenAI's routes have in common."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from router.api.body import Body, JsonObject, Strings
from router.api.grammars import Constraints
from router.api.numbers import Float32, Int32, UInt32
from router.request import Complete

Seed = Annotated[int, Field(ge=-(2**63), le=2**64 - 1)]
UInt32s = Annotated[list[UInt32], Field(fail_fast=True)]


class StreamOptions(JsonObject):
    """What a stream tells besides tokens."""

    include_usage: bool | None = None
    """Whether there is one more event with the usage."""
    include_obfuscation: bool | None = None
    """Not used: events are never padded. Padding is no part of the answer, and clients skip it."""


class OpenAIParameters(Constraints):
    """How to answer, on any of OpenAI's routes. null is the same as leaving one out."""

    model: str | None = Field(default=None, examples=["tgi"])
    """Not used: one model is served. Clients send it."""
    n: UInt32 | None = Field(default=None, examples=[1])
    """How many answers to generate."""
    temperature: Float32 | None = Field(default=None, examples=[0.7])
    """Divides the logits (1); 0 is to take the most likely token instead of sampling."""
    top_p: Float32 | None = Field(default=None, examples=[0.95])
    """Sample among the most likely tokens that sum to this probability, > 0, <= 1 (1)."""
    top_k: Int32 | None = Field(default=None, examples=[None])
    """Sample among this many most likely tokens; 0 and -1 are all (all)."""
    min_p: Float32 | None = Field(default=None, examples=[None])
    """Sample among tokens at least so many times as likely as the likeliest, >= 0, <= 1 (0)."""
    frequency_penalty: Float32 | None = Field(default=None, examples=[0.0])
    """Makes tokens less likely for each time that the answer has them, -2 to 2 (0)."""
    presence_penalty: Float32 | None = Field(default=None, examples=[0.0])
    """Makes tokens less likely if the answer has them, -2 to 2 (0)."""
    repetition_penalty: Float32 | None = Field(default=None, examples=[None])
    """Makes tokens less likely if prompt or answer has them, if > 1; must be > 0 (1)."""
    logit_bias: dict[str, Float32] | None = Field(default=None, examples=[None])
    """Added to the logits of tokens, which are named by their numbers; -100 to 100."""
    seed: Seed | None = Field(default=None, examples=[42])
    """Seed of the random numbers that sampling draws."""
    stop: str | Strings | None = Field(default=None, examples=[None])
    """The answer ends before the first of these that it would contain."""
    include_stop_str_in_output: bool | None = None
    """Whether the answer ends after it instead."""
    stop_token_ids: UInt32s | None = Field(default=None, examples=[None])
    """Tokens that end the answer."""
    ignore_eos: bool | None = None
    """Go on after the model's end-of-sequence token."""
    min_tokens: UInt32 | None = Field(default=None, examples=[None])
    """The fewest tokens of an answer."""
    complete: Complete | None = Field(default=None, examples=[None])
    """Whether an answer that must match a grammar ends before it is cut off for its length: `auto` (the
    default) if any such answer fits, `required` or the request is refused, `off` not."""
    truncate_prompt_tokens: UInt32 | None = Field(default=None, examples=[None])
    """Keep only this many tokens of the prompt, the last ones."""
    stream: bool | None = Field(default=None, examples=[False])
    """Send the answer as server-sent events while it is made."""
    stream_options: StreamOptions | None = None
    """Only with `stream`."""
    user: str | None = None
    """Not used: it tells OpenAI whose request it is, and changes no answer."""


class Usage(Body):
    """What a request cost, in tokens."""

    prompt_tokens: int
    """Of each prompt once."""
    completion_tokens: int
    total_tokens: int
