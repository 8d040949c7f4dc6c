"""Calls as bare JSON objects, one an answer: Llama 3.1, 3.2 and 3.3."""

from __future__ import annotations

from router.chat.formats.format import Format
from router.chat.formats.syntax import CallSyntax

LLAMA3 = Format(
    syntax=CallSyntax(
        before_name='{"name": ', before_arguments=', "parameters": ', end="}", trigger='{"name": "'
    ),
    several=False,
)
"""With tools, no text has the trigger in it. JSON that is meant to be read has line breaks there."""


def is_llama3(template: str) -> bool:
    """Whether a chat template writes calls so."""
    return all(part in template for part in ("<|start_header_id|>", "tool_calls", '"parameters": '))
