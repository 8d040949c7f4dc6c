"""Tools for models whose templates know of none: told in the prompt, called with a JSON object.

A call is `{"name": "get_weather", "parameters": {"city": "Berlin"}}`, several calls are on lines of their
own. That is the form TGI's prompt asks for, and so does ours.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import groupby

from router.chat.conversation import Call, Message
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
LOOKING = "Let me look that up."
WITH_RESULTS = "With this, answer in plain text"
"""Instead of calls, and behind results. With a call before its eyes such a model would go on calling."""


def tools_prompt(use: ToolUse, tool_prompt: str | None) -> str:
    """What goes behind the user's message: the tools, and how to call them.

    `tool_prompt` is the caller's own text for that; None takes ours.
    """
    tools = json.dumps([tool.described() for tool in use.tools], ensure_ascii=False)
    return f"{tools}\n{tool_prompt or (CALL if use.required else CALL + OR_TEXT)}"


def plain_messages(messages: Sequence[Message], *, question: str | None) -> list[Message]:
    """The same conversation without tools: calls are text of the assistant, results are text of the user.

    Results that come last ask for an answer to the `question`, with the calls told beside them; but not if it
    is None, as it is where another call has to follow.
    """
    calls = {call.id: call for message in messages for call in message.calls}
    answering = messages[-1].role == "tool" and question is not None
    plain: list[Message] = []
    for are_results, group in groupby(messages, key=lambda message: message.role == "tool"):
        if are_results:
            plain.append(_results(group, calls, with_arguments=answering))
        else:
            plain.extend(_with_calls_as_text(message, hidden=answering) for message in group)
    if answering:
        asking = f"{WITH_RESULTS}: {question}" if question else f"{WITH_RESULTS}."
        plain[-1] = replace(plain[-1], content=f"{plain[-1].content}\n{asking}")
    return plain


def _with_calls_as_text(message: Message, *, hidden: bool) -> Message:
    if not message.calls:
        return message
    parts = [message.content] if message.content else []
    if not hidden:
        parts.append(PLAIN.syntax.write(message.calls))
    return replace(message, content="\n".join(parts) or LOOKING, calls=())


def _results(messages: Iterable[Message], calls: Mapping[str, Call], *, with_arguments: bool) -> Message:
    """One message, for many templates want the user and the assistant to take turns."""
    return Message(
        role="user",
        content="\n".join(
            f"Result{_of(calls.get(message.call_id or ''), message.name, with_arguments)}: {message.content}"
            for message in messages
        ),
    )


def _of(call: Call | None, name: str | None, with_arguments: bool) -> str:
    if call is None:
        return f" of {name}" if name else ""
    return f" of {call.name} with {call.arguments}" if with_arguments else f" of {call.name}"
