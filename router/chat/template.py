"""A model's chat template: from a conversation to the prompt that the model continues."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from jinja2 import Template

from router.chat.sandbox import sandbox
from router.errors import RequestError

END_OF_PROMPT = "CONTINUE_FINAL_MESSAGE_TAG "
"""Stands behind the text that the model is to continue. What a template trims tells by the space."""

KEPT_TEMPLATES = 16
"""One model has a few; they are compiled once."""

GIVEN = frozenset({"messages", "tools", "add_generation_prompt"})
"""What templates read that no caller may give as a variable of their own."""


class ChatTemplate:
    """Renders as transformers' `apply_chat_template` does. Everything it sees is plain JSON."""

    def __init__(self, text: str, *, special_tokens: Mapping[str, str]) -> None:
        """`special_tokens` are the texts of the model's special tokens, by names such as bos_token."""
        self.text = text
        self._special_tokens = special_tokens

    def render(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        tools: Sequence[Mapping[str, Any]] | None = None,
        variables: Mapping[str, Any] | None = None,
    ) -> str:
        """The prompt. If an assistant's text comes last, the model goes on with it; otherwise it begins to
        answer.

        Args:
            messages: with the keys that templates know: role, content, name, tool_calls, tool_call_id.
            tools: as OpenAI's clients send them.
            variables: what else the template may read, such as enable_thinking.

        Raises:
            RequestError: the template refuses the messages, or fails on them.
        """
        last = messages[-1]
        continuing = last["role"] == "assistant" and bool(last["content"]) and "tool_calls" not in last
        if continuing:
            messages = [*messages[:-1], {**last, "content": last["content"] + END_OF_PROMPT}]
        given = {"messages": messages, "tools": tools, "add_generation_prompt": not continuing}
        try:
            prompt = _compiled(self.text).render({**self._special_tokens, **(variables or {}), **given})
        except Exception as error:  # whatever a template does with messages it was not made for
            raise RequestError.template(str(error) or type(error).__name__) from error
        return _cut(prompt) if continuing else prompt


def _cut(prompt: str) -> str:
    """The prompt up to the mark."""
    found = prompt.rfind(END_OF_PROMPT.strip())
    if found < 0:
        raise RequestError.template("it leaves out the last message, which is to be continued")
    # Without the space behind the mark, the template has trimmed the message: then so must we.
    return prompt[:found] if prompt.startswith(END_OF_PROMPT, found) else prompt[:found].rstrip()


@lru_cache(maxsize=KEPT_TEMPLATES)
def _compiled(text: str) -> Template:
    return sandbox().from_string(text)
