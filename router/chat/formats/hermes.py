"""Calls in `<tool_call>` tags: Hermes, Qwen 2.5, Qwen 3 and those who learnt from them."""

from __future__ import annotations

from router.chat.formats.format import Format
from router.chat.formats.syntax import CallSyntax

HERMES = Format(
    syntax=CallSyntax(
        before_name='<tool_call>\n{"name": ',
        before_arguments=', "arguments": ',
        end="}\n</tool_call>",
        separator="\n",
        trigger="<tool_call>",
    )
)


def is_hermes(template: str) -> bool:
    """Whether a chat template writes calls so. Some write XML into the same tags."""
    return "<tool_call>" in template and "arguments" in template and "<function=" not in template
