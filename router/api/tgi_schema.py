"""The bodies of TGI's dialect, as they are on the wire and in the OpenAPI document."""

from __future__ import annotations

from pydantic import Field

from router.api.body import Body, JsonObject, Strings
from router.api.grammars import GrammarType
from router.api.numbers import Float32, Int32, UInt32, UInt64
from router.request import Complete
from router.token_event import FinishReason


class GenerateParameters(JsonObject):
    """TGI's parameters. null is the same as leaving one out."""

    best_of: UInt64 | None = Field(default=None, examples=[1])
    """Generate this many answers and return the one with the highest mean log-probability. Needs sampling and
    no seed; not in streams. The others are in `details`."""
    temperature: Float32 | None = Field(default=None, examples=[0.5])
    """Divides the logits, > 0. Turns sampling on."""
    repetition_penalty: Float32 | None = Field(default=None, examples=[1.03])
    """Makes tokens that have occurred less likely if > 1; must be > 0."""
    frequency_penalty: Float32 | None = Field(default=None, examples=[0.0])
    """Makes tokens less likely for each time that the answer has them, -2 to 2."""
    top_k: Int32 | None = Field(default=None, examples=[10])
    """Sample among this many most likely tokens, > 0. Turns sampling on."""
    top_p: Float32 | None = Field(default=None, examples=[0.95])
    """Sample among the most likely tokens that sum to this probability, > 0, < 1. Turns sampling on."""
    typical_p: Float32 | None = Field(default=None, examples=[None])
    """Sample among the tokens whose surprise is closest to the expected one and that sum to this probability,
    > 0, < 1. Turns sampling on."""
    do_sample: bool | None = Field(default=None, examples=[True])
    """Sample instead of taking the most likely token. false, but true if there are no `parameters` at all."""
    max_new_tokens: UInt32 | None = Field(default=None, examples=[20])
    """The most tokens to generate, > 0. As many as the model has room for, if left out."""
    return_full_text: bool | None = Field(default=None, examples=[False])
    """Put the prompt before the answer."""
    stop: Strings | None = Field(default=None, examples=[["photographer"]])
    """The answer ends with the first of these that it contains."""
    truncate: UInt32 | None = Field(default=None, examples=[None])
    """Keep only this many tokens of the prompt, the last ones."""
    watermark: bool | None = Field(default=None, examples=[False])
    """Mark the answer so that it can be told from what people write."""
    details: bool | None = Field(default=None, examples=[True])
    """Return `details`."""
    decoder_input_details: bool | None = Field(default=None, examples=[False])
    """Return `details`, with the prompt's tokens in `prefill`. Not in streams."""
    seed: UInt64 | None = Field(default=None, examples=[None])
    """Seed of the random numbers that sampling draws."""
    top_n_tokens: UInt32 | None = Field(default=None, examples=[0])
    """Return this many of the most likely tokens at each step."""
    grammar: GrammarType | None = Field(default=None, examples=[None])
    """What the answer must match."""
    complete: Complete | None = Field(default=None, examples=["auto"])
    """Whether an answer that must match a grammar ends before `max_new_tokens` cuts it off: `auto` (the
    default) if any such answer fits, `required` or the request is refused, `off` not."""
    adapter_id: str | None = Field(default=None, examples=[None])
    """The LoRA adapter to generate with, by the name that it was given at start."""


class HostedOptions(JsonObject):
    """What callers of Hugging Face's hosted models ask of the machines there. None changes an answer."""

    use_cache: bool | None = None
    """Not used: no answer is kept, so that none is an older request's."""
    wait_for_model: bool | None = None
    """Not used: the model is loaded before any request is taken."""
    use_gpu: bool | None = None
    """Not used: the model runs where it was loaded."""


class GenerateRequest(JsonObject):
    """The body of POST /generate and POST /generate_stream."""

    inputs: str = Field(examples=["My name is Olivier and I"])
    """The prompt."""
    parameters: GenerateParameters | None = None
    """How to answer it."""
    model: str | None = None
    """Not used: one model is served. Clients send it."""
    options: HostedOptions | None = Field(default=None, examples=[None])
    """Not used; callers of Hugging Face's hosted models send it."""
    stream: bool | None = None
    """May say what the route says: true on /generate_stream, false on /generate."""


class PrefillToken(Body):
    """A token of the prompt."""

    id: int
    text: str
    logprob: float | None
    """null for the first one: nothing comes before it."""


class Token(Body):
    """A token of the answer."""

    id: int
    text: str
    logprob: float | None
    """Natural logarithm of its probability; null if that is not a finite number."""
    special: bool


class BestOfSequence(Body):
    """An answer that was not the best."""

    generated_text: str
    finish_reason: FinishReason
    generated_tokens: int
    seed: int | None
    prefill: list[PrefillToken]
    tokens: list[Token]
    top_tokens: list[list[Token]] = Field(default_factory=list)
    """Left out unless asked for."""


class Details(Body):
    """What is known of an answer besides its text."""

    finish_reason: FinishReason
    generated_tokens: int
    seed: int | None
    """null if the answer was not sampled."""
    prefill: list[PrefillToken]
    """Empty unless asked for."""
    tokens: list[Token]
    best_of_sequences: list[BestOfSequence] = Field(default_factory=list)
    """The other answers. Left out if there is only one."""
    top_tokens: list[list[Token]] = Field(default_factory=list)
    """The likeliest tokens at each of `tokens`. Left out unless asked for."""


class GenerateResponse(Body):
    """The answer of POST /generate."""

    generated_text: str
    details: Details | None = None
    """Left out unless asked for."""


class StreamDetails(Body):
    """What the last event of a stream tells of the answer."""

    finish_reason: FinishReason
    generated_tokens: int
    seed: int | None
    input_length: int


class StreamResponse(Body):
    """An event of POST /generate_stream: one token."""

    index: int
    """Counts from 1."""
    token: Token
    top_tokens: list[Token] = Field(default_factory=list)
    """The likeliest tokens here. Left out unless asked for."""
    generated_text: str | None
    """The whole answer, on the last event only."""
    details: StreamDetails | None
    """On the last event only, and only if asked for."""


class SimpleToken(Body):
    """A token of a text, and the characters that it stands for."""

    id: int
    text: str
    start: int
    stop: int


class ChatTokenizeResponse(Body):
    """The answer of POST /chat_tokenize."""

    tokenize_response: list[SimpleToken]
    templated_text: str
    """The prompt that the conversation makes."""
