"""Tools for models whose templates know of none: told in the prompt, called with a JSON object.

A call is `{"name": "get_weather", "parameters": {"city": "Berlin"}}`, several calls are on lines of their
own. That is the form TGI's prompt asks for, and so does ours.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import groupby

from router.chat.conversation import Message
from router.chat.formats.format import Format
from router.chat.formats.syntax import CallSyntax
from router.chat.tools import ToolUse

PLAIN = Format(
    syntax=CallSyntax(
        before_name='{"name": ',
        before_arguments=', "parameters": ',
        end="}",
        separator="\n",
        trigger='{"name": "',
    ),
    in_template=False,
)

CALL = (
    "Given the functions available, please respond with a JSON for a function call with its proper arguments "
    'that best answers the given prompt. Respond in the format {"name": function name, "parameters": '
    "dictionary of argument name and its value}. Do not use variables."
)
OR_TEXT = " If none of the functions helps, answer in plain text instead."
WITH_RESULTS = "Answer the question in plain text with this."
"""Behind results. What such a model has before its eyes is a call, and it would go on calling."""


def tools_prompt(use: ToolUse, tool_prompt: str | None) -> str:
    """What goes behind the user's message: the tools, and how to call them.

    `tool_prompt` is the caller's own text for that; None takes ours.
    """
    tools = json.dumps([tool.described() for tool in use.tools], ensure_ascii=False)
    return f"{tools}\n{tool_prompt or (CALL if use.required else CALL + OR_TEXT)}"


def plain_messages(messages: Sequence[Message], *, required: bool) -> list[Message]:
    """The same conversation without tools: calls are text of the assistant, results are text of the user.

    Unless another call is `required`, results that come last ask for an answer.
    """
    names = {call.id: call.name for message in messages for call in message.calls}
    plain: list[Message] = []
    for are_results, group in groupby(messages, key=lambda message: message.role == "tool"):
        if are_results:
            plain.append(_results(group, names))
        else:
            plain.extend(map(_with_calls_as_text, group))
    if messages[-1].role == "tool" and not required:
        plain[-1] = replace(plain[-1], content=f"{plain[-1].content}\n{WITH_RESULTS}")
    return plain


def _with_calls_as_text(message: Message) -> Message:
    if not message.calls:
        return message
    parts = [message.content] if message.content else []
    return replace(message, content="\n".join([*parts, PLAIN.syntax.write(message.calls)]), calls=())


def _results(messages: Iterable[Message], names: dict[str, str]) -> Message:
    """One message, for many templates want the user and the assistant to take turns."""
    lines = []
    for message in messages:
        name = names.get(message.call_id or "") or message.name
        lines.append(f"Result of {name}: {message.content}" if name else f"Result: {message.content}")
    return Message(role="user", content="\n".join(lines))
