"""The rules for chats, and the prompt and the request that are left once they hold."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args

from router.api.chat_schema import (
    AllowedChoice,
    ChatMessage,
    ChatRequest,
    Choice,
    FlatAllowedChoice,
    FunctionDefinition,
    NamedChoice,
)
from router.api.grammars import constraint
from router.api.openai_rules import Limits, Rule, check, choice_rules, logprob_rules, to_generation
from router.chat.conversation import Call, Message
from router.chat.prompt import Prompt, write_prompt
from router.chat.template import GIVEN
from router.chat.tools import (
    NO_PARAMETERS,
    AllowedTools,
    Choices,
    NamedTool,
    Tool,
    ToolChoice,
    ToolUse,
    tool_use,
)
from router.errors import RequestError
from router.model import Model
from router.request import GenerationRequest


@dataclass(frozen=True, kw_only=True)
class Chat:
    """A chat that can be answered: what to generate, and how to read it."""

    wanted: GenerationRequest
    prompt: Prompt
    constrained: bool
    """Whether the answer itself matches a grammar."""
    with_logprobs: bool


def to_chat(body: ChatRequest, model: Model, *, limits: Limits) -> Chat:
    """What `body` asks of `model`.

    Raises:
        RequestError: INVALID_ARGUMENT says what is wrong: a parameter, the tools, or the messages for the
        model's
            chat template.
    """
    n = 1 if body.n is None else body.n
    top_logprobs = body.top_logprobs or 0
    check(
        _message_rules(body.messages),
        choice_rules(n, limits),
        logprob_rules(top_logprobs, limits, name="top_logprobs"),
        _chat_rules(body),
    )
    grammar = constraint(body)
    if grammar and body.tools is not None:
        raise RequestError.tool("Grammar and tools are mutually exclusive")
    prompt = to_prompt(body, model)
    most = body.max_tokens if body.max_completion_tokens is None else body.max_completion_tokens
    wanted = to_generation(
        body,
        inputs=prompt.text,
        max_new_tokens=most,
        limits=limits,
        grammar=prompt.grammar(grammar),
        n=n,
        top_n_tokens=top_logprobs,
    )
    return Chat(
        wanted=replace(wanted, add_special_tokens=False),
        prompt=prompt,
        constrained=grammar is not None,
        with_logprobs=bool(body.logprobs),
    )


def to_prompt(body: ChatRequest, model: Model) -> Prompt:
    """The prompt that `model` goes on with.

    Raises:
        RequestError: INVALID_ARGUMENT says what is wrong with the tools or the messages.
    """
    variables = dict(body.chat_template_kwargs or {})
    hints = {"reasoning_effort": body.reasoning_effort, "verbosity": body.verbosity}
    variables.update((name, hint) for name, hint in hints.items() if hint is not None)
    return write_prompt(
        model,
        [_message(message) for message in body.messages],
        use=_tool_use(body),
        tool_prompt=body.tool_prompt or None,
        variables=variables,
    )


def _message_rules(messages: Sequence[ChatMessage]) -> Iterator[Rule]:
    for index, message in enumerate(messages):
        silent = message.content is None and message.role != "assistant"
        yield silent, f"messages[{index}]: missing field `content`"
        calls = bool(message.tool_calls) and message.role != "assistant"
        yield calls, f"messages[{index}]: only an assistant has `tool_calls`"


def _chat_rules(body: ChatRequest) -> Iterator[Rule]:
    yield body.top_logprobs is not None and not body.logprobs, "`top_logprobs` is only for `logprobs`: true"
    for name in ("max_tokens", "max_completion_tokens"):
        yield getattr(body, name) == 0, f"`{name}` must be strictly positive"
    both = {body.max_tokens, body.max_completion_tokens} - {None}
    yield len(both) > 1, "`max_tokens` and `max_completion_tokens` contradict each other"
    taken = next((name for name in body.chat_template_kwargs or {} if name in GIVEN), None)
    yield taken is not None, f"`chat_template_kwargs` must not have `{taken}`"


def _tool_use(body: ChatRequest) -> ToolUse | None:
    tools = [_tool(definition.function) for definition in body.tools or ()]
    several = body.parallel_tool_calls is not False
    return tool_use(tools, _choice(body.tool_choice), several=several)


def _choice(choice: Choice | None) -> ToolChoice:
    match choice:
        case NamedChoice():
            return NamedTool(name=choice.function.name)
        case AllowedChoice(allowed_tools=allowed):
            names = tuple(each.function.name for each in allowed.tools)
            return AllowedTools(names=names, required=allowed.mode == "required")
        case FlatAllowedChoice():
            names = tuple(each.name for each in choice.tools)
            return AllowedTools(names=names, required=choice.mode == "required")
    known: Choices | None = next((each for each in get_args(Choices) if each == (choice or "auto")), None)
    return known or NamedTool(name=choice or "")


def _tool(function: FunctionDefinition) -> Tool:
    parameters = function.arguments if function.parameters is None else function.parameters
    if parameters is None:
        parameters = NO_PARAMETERS
    kinds = parameters.get("type", "object")
    if "object" not in (kinds if isinstance(kinds, list) else [kinds]):
        raise RequestError.tool(f"{function.name}: `parameters` must be the schema of an object")
    return Tool(
        name=function.name, description=function.description, parameters=parameters, strict=function.strict
    )


def _message(message: ChatMessage) -> Message:
    content = message.content or ""
    return Message(
        role=message.role,
        content=content if isinstance(content, str) else "".join(part.text for part in content),
        name=message.name,
        reasoning=message.reasoning if message.reasoning_content is None else message.reasoning_content,
        calls=tuple(
            Call(id=call.id or "0", name=call.function.name, arguments=_json(call.function.arguments))
            for call in message.tool_calls or ()
        ),
        call_id=message.tool_call_id,
    )


def _json(arguments: str | dict[str, Any] | None) -> str:
    return arguments if isinstance(arguments, str) else json.dumps(arguments or {}, ensure_ascii=False)
