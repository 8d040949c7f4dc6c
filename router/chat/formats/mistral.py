"""Calls after `[TOOL_CALLS]`: Mistral's models, the older and the newer ones."""

from __future__ import annotations

from router.chat.formats.format import Format
from router.chat.formats.syntax import CallSyntax

ID_LENGTH = 9
"""Their templates refuse other ids."""


def _list_after(marker: str) -> Format:
    syntax = CallSyntax(
        open=f"{marker}[",
        before_name='{"name": ',
        before_arguments=', "arguments": ',
        end="}",
        separator=", ",
        close="]",
    )
    return Format(syntax=syntax, id_length=ID_LENGTH)


NAMES_AND_ARGUMENTS = Format(
    syntax=CallSyntax(
        before_name="[TOOL_CALLS]", before_arguments="[ARGS]", end="", quoted=False, trigger="[TOOL_CALLS]"
    ),
    id_length=ID_LENGTH,
)


def mistral_format(template: str) -> Format | None:
    """The form in which a chat template writes calls; None if it is none of Mistral's."""
    if "[TOOL_CALLS]" not in template:
        return None
    if "[ARGS]" in template:
        return NAMES_AND_ARGUMENTS
    return _list_after("[TOOL_CALLS] " if "[TOOL_CALLS] [" in template else "[TOOL_CALLS]")
