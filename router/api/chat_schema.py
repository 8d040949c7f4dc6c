"""The body of POST /v1/chat/completions, as it is on the wire and in the OpenAPI document."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from router.api.body import JsonObject
from router.api.numbers import UInt32
from router.api.openai_schema import OpenAIParameters

A_TOOL = {
    "type": "function",
    "function": {
        "name": "get_current_weather",
        "description": "Get the current weather",
        "parameters": {
            "type": "object",
            "properties": {
                "location": {"type": "string", "description": "The city and state, e.g. San Francisco, CA"},
                "format": {"type": "string", "enum": ["celsius", "fahrenheit"]},
            },
            "required": ["location", "format"],
        },
    },
}


_TEXT, _STRUCTURE, _ALLOWED, _FLAT = "<text>", "<structure>", "<allowed>", "<flat>"
ALTERNATIVES = frozenset({_TEXT, _STRUCTURE, _ALLOWED, _FLAT})
"""What pydantic calls the alternatives of a value in the place of an error. No request has these names."""


def _json_type(value: Any) -> str:
    """Which of the alternatives a value is meant to be, so that an error tells of that one only."""
    return _TEXT if isinstance(value, str) else _STRUCTURE


class TextPart(JsonObject):
    """A part of a message. Text is the only kind there is: no images, no sound."""

    type: Literal["text"]
    text: str


Parts = Annotated[list[TextPart], Field(fail_fast=True)]
Content = Annotated[Annotated[str, Tag(_TEXT)] | Annotated[Parts, Tag(_STRUCTURE)], Discriminator(_json_type)]
Arguments = Annotated[
    Annotated[str, Tag(_TEXT)] | Annotated[dict[str, Any], Tag(_STRUCTURE)], Discriminator(_json_type)
]


class CalledFunction(JsonObject):
    """What an assistant called, and with which arguments."""

    name: str
    arguments: Arguments | None = Field(
        default=None, examples=['{"location": "Berlin", "format": "celsius"}']
    )
    """A JSON object, or a string that holds one. Left out, there are none."""
    description: str | None = None
    """Not used; TGI's answers have it."""
    parsed_arguments: Any = None
    """Not used; what OpenAI's client has parsed comes back in it."""


class ToolCall(JsonObject):
    """A call that an assistant made."""

    id: str | None = None
    """What the message with its result has for `tool_call_id`. `0`, if left out."""
    type: Literal["function"] | None = None
    function: CalledFunction
    index: UInt32 | None = None
    """Not used; calls from a stream have it."""


class ChatMessage(JsonObject):
    """A message of the conversation."""

    role: str = Field(examples=["user"])
    """`system`, `user`, `assistant`, `tool`, or whatever else the model's chat template knows."""
    content: Content | None = Field(default=None, examples=["What is Deep Learning?"])
    """What was said. Only an assistant may say nothing."""
    name: str | None = None
    """Who said it, for templates that tell."""
    tool_calls: list[ToolCall] | None = Field(default=None, examples=[None])
    """The tools that an assistant called."""
    tool_call_id: str | None = None
    """Which call this message is the result of."""
    reasoning_content: str | None = None
    """What an assistant thought before."""
    reasoning: str | None = None
    """The same by another name."""
    refusal: str | None = None
    """Not used; OpenAI's answers have it."""
    annotations: list[Any] | None = Field(default=None, examples=[None])
    """Not used; OpenAI's answers have it."""
    parsed: Any = None
    """Not used; what OpenAI's client has parsed comes back in it."""
    audio: None = None
    """Not supported."""
    function_call: None = None
    """Not supported; `tool_calls` are."""


class FunctionDefinition(JsonObject):
    """A function that the model may call."""

    name: str = Field(min_length=1, max_length=128)
    description: str | None = None
    """What it is for; the model reads this."""
    parameters: dict[str, Any] | None = None
    """A JSON Schema of an object. Arguments always match it. Without one there are none."""
    arguments: dict[str, Any] | None = None
    """TGI's name for `parameters`."""
    strict: bool | None = None
    """false allows arguments that the schema does not name, as JSON Schema does. Otherwise there are none,
    unless `additionalProperties` says so."""


class ToolDefinition(JsonObject):
    """A tool that the model may use."""

    type: Literal["function"] | None = None
    function: FunctionDefinition


class FunctionName(JsonObject):
    """The name of a function."""

    name: str


class NamedChoice(JsonObject):
    """The choice of one function."""

    type: Literal["function"] | None = None
    function: FunctionName


Mode = Literal["auto", "required"]


class AllowedTools(JsonObject):
    """Some of the tools, and whether one of them must be called."""

    mode: Mode
    tools: list[NamedChoice] = Field(min_length=1)


class AllowedChoice(JsonObject):
    """The choice among some of the tools, as OpenAI's chats have it."""

    type: Literal["allowed_tools"]
    allowed_tools: AllowedTools


class NamedFunction(JsonObject):
    """A tool in the form of OpenAI's Responses."""

    type: Literal["function"] | None = None
    name: str


class FlatAllowedChoice(JsonObject):
    """The same as OpenAI's Responses have it."""

    type: Literal["allowed_tools"]
    mode: Mode
    tools: list[NamedFunction] = Field(min_length=1)


def _choice_type(value: Any) -> str:
    """As `_json_type`."""
    if not isinstance(value, dict) or value.get("type") != "allowed_tools":
        return _json_type(value)
    return _FLAT if "mode" in value or "tools" in value else _ALLOWED


Choice = Annotated[
    Annotated[str, Tag(_TEXT)]
    | Annotated[NamedChoice, Tag(_STRUCTURE)]
    | Annotated[AllowedChoice, Tag(_ALLOWED)]
    | Annotated[FlatAllowedChoice, Tag(_FLAT)],
    Discriminator(_choice_type),
]


class ChatRequest(OpenAIParameters):
    """A conversation, and how to answer its last message. null is the same as leaving a field out."""

    messages: list[ChatMessage] = Field(
        min_length=1, examples=[[{"role": "user", "content": "What is Deep Learning?"}]]
    )
    """The conversation. If its last message is the assistant's, the answer goes on with that."""
    max_tokens: UInt32 | None = Field(default=None, examples=[100])
    """The most tokens to generate, > 0. As many as the model has room for, if left out."""
    max_completion_tokens: UInt32 | None = Field(default=None, examples=[None])
    """The same by its newer name."""
    logprobs: bool | None = Field(default=None, examples=[False])
    """Return the log-probabilities of the answer's tokens."""
    top_logprobs: UInt32 | None = Field(default=None, examples=[None])
    """Return also those of this many of the likeliest tokens at each step. Only with `logprobs`."""
    tools: list[ToolDefinition] | None = Field(default=None, examples=[[A_TOOL]])
    """What the model may call."""
    tool_choice: Choice | None = Field(default=None, examples=["auto"])
    """`auto`: the model chooses between text and calls (this if left out). `none`: text. `required`: at least
    one call. A function, by its name or as an object: one call of that. `allowed_tools`: `auto` or `required`
    with some of the tools; the model does not see the others."""
    parallel_tool_calls: bool | None = Field(default=None, examples=[True])
    """Whether an answer may have several calls (true). Some models never have."""
    tool_prompt: str | None = None
    """Text about the tools behind the last message of the user. If left out, models whose chat template knows
    no tools are told of them in words of ours."""
    chat_template_kwargs: dict[str, Any] | None = Field(default=None, examples=[{"enable_thinking": False}])
    """Variables for the model's chat template."""
    reasoning_effort: str | None = None
    """The variable of this name for the model's chat template."""
    verbosity: str | None = None
    """The same."""
    modalities: list[Literal["text"]] | None = Field(default=None, examples=[None])
    """Text is the only one there is."""
    metadata: dict[str, Any] | None = Field(default=None, examples=[None])
    """Not used: it labels what OpenAI stores, and nothing is stored here."""
    store: bool | None = None
    """Not used: nothing is ever stored."""
    service_tier: str | None = None
    """Not used: all requests are served alike."""
    safety_identifier: str | None = None
    """Not used: it tells OpenAI who misuses its service, and changes no answer."""
    prompt_cache_key: str | None = None
    """Not used: prompts that begin alike share their beginning anyway."""
    prompt_cache_retention: str | None = None
    """Not used: the beginnings of prompts are kept for as long as there is room, and change no answer."""
