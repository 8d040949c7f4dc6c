"""Which form of calls a chat template writes, read from its text."""

from __future__ import annotations

from router.chat.formats.format import Format
from router.chat.formats.hermes import HERMES, is_hermes
from router.chat.formats.llama3 import LLAMA3, is_llama3
from router.chat.formats.mistral import mistral_format
from router.chat.formats.plain import PLAIN


def format_of(template: str) -> Format:
    """The form that the model has learnt; the plain one if the template has none that we know."""
    if is_hermes(template):
        return HERMES
    if is_llama3(template):
        return LLAMA3
    return mistral_format(template) or PLAIN
