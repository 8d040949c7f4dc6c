"""From a conversation and its tools to the text that the model goes on with."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from grpc import StatusCode

from router.chat.conversation import Call, Message
from router.chat.formats.detection import format_of
from router.chat.formats.format import Format
from router.chat.formats.plain import plain_messages, tools_prompt
from router.chat.template import ChatTemplate
from router.chat.thinking import Thinking, thinking_of
from router.chat.tools import ToolUse
from router.errors import RequestError
from router.grammar import Grammar, UntaggedGrammar
from router.model import Model


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """A prompt, and what has to be known of it to read the answer."""

    text: str
    format: Format
    thinking: Thinking | None
    use: ToolUse | None

    @property
    def text_first(self) -> bool:
        """Whether the answer may have text before its calls."""
        return self.thinking is not None or self.use is None or not self.use.required

    def grammar(self, constraint: UntaggedGrammar | None) -> Grammar | None:
        """What the answer must match; `constraint` is what it must match behind reasoning. Not both this and
        tools.

        Raises:
            RequestError: the schema of a tool cannot be written as JSON.
        """
        if self.use:
            return self.format.syntax.grammar(self.use, text_first=self.text_first)
        if constraint and self.thinking:
            return self.thinking.before(constraint)
        return constraint

    def explained(self, failure: RequestError) -> RequestError:
        """`failure` in words of the request: of a grammar that was refused it tells the tool, not the tag."""
        found = re.search(r"tagged\.tags\[(\d+)\]\.(?:content: )?(.*)", failure.detail, re.DOTALL)
        if not (found and self.use and failure.code is StatusCode.INVALID_ARGUMENT):
            return failure
        return RequestError.tool(f"{self.use.tools[int(found[1])].name}: {found[2]}")


def write_prompt(
    model: Model,
    messages: Sequence[Message],
    *,
    use: ToolUse | None,
    tool_prompt: str | None,
    variables: Mapping[str, Any],
) -> Prompt:
    """The prompt for the next message of a conversation.

    Args:
        tool_prompt: what the caller wants said of the tools, behind the last message of the user.
        variables: what else the template may read.

    Raises:
        RequestError: the model has no chat template, or its template refuses the conversation.
    """
    template = _template(model, with_tools=use is not None)
    question = None if use and use.required else _last_question(messages)
    form = format_of(template.text)
    if use and not form.in_template:
        tool_prompt = tools_prompt(use, tool_prompt)
    if use and tool_prompt:
        messages = _behind_last_of_user(messages, f"\n---\n{tool_prompt}")
    if not form.in_template:
        messages = plain_messages(messages, question=question)
    if use and use.several and not form.several:
        use = replace(use, several=False)
    shown = [tool.described() for tool in use.tools] if use and form.in_template else None
    text = template.render(_for_template(messages, template.text, form), tools=shown, variables=variables)
    return Prompt(text=text, format=form, thinking=thinking_of(template.text, text), use=use)


def _template(model: Model, *, with_tools: bool) -> ChatTemplate:
    templates = model.chat_templates
    name = "tool_use" if with_tools and "tool_use" in templates else "default"
    if name not in templates:
        raise RequestError.template("template not found")
    return ChatTemplate(templates[name], special_tokens=model.special_tokens)


def _last_question(messages: Sequence[Message]) -> str:
    """What the user said last; nothing if nothing."""
    return next((message.content for message in reversed(messages) if message.role == "user"), "")


def _behind_last_of_user(messages: Sequence[Message], text: str) -> list[Message]:
    """The conversation with `text` at the end of what the user said last, or else of what was said last.

    Behind the result of a call, a prompt for calls would have the model call for ever.
    """
    places = [place for place, message in enumerate(messages) if message.role == "user"]
    place = places[-1] if places else len(messages) - 1
    extended = replace(messages[place], content=messages[place].content + text)
    return [*messages[:place], extended, *messages[place + 1 :]]


def _for_template(messages: Iterable[Message], template: str, form: Format) -> list[dict[str, Any]]:
    known = "developer" in template
    return [_message(each, form, developer=known) for each in messages]


def _message(message: Message, form: Format, *, developer: bool) -> dict[str, Any]:
    """A message with the keys that templates look for; many only ask whether a key is there."""
    role = "system" if message.role == "developer" and not developer else message.role
    given: dict[str, Any] = {"role": role, "content": message.content}
    if message.name is not None:
        given["name"] = message.name
    if message.reasoning is not None:
        given["reasoning_content"] = message.reasoning
    if message.calls:
        given["tool_calls"] = [_call(call, form) for call in message.calls]
    if message.call_id is not None:
        given["tool_call_id"] = form.known_id(message.call_id)
    return given


def _call(call: Call, form: Format) -> dict[str, Any]:
    function = {"name": call.name, "arguments": _arguments(call.arguments)}
    return {"id": form.known_id(call.id), "type": "function", "function": function}


def _arguments(text: str) -> Any:
    """Templates write arguments as JSON, so they want the value; of a broken one there is only the text."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, dict) else text
