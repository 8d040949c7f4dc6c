"""How a model's conversations have tools in them."""

from __future__ import annotations

import secrets
import string
from dataclasses import dataclass
from hashlib import blake2b

from router.chat.formats.syntax import CallSyntax

_ALPHANUMERIC = string.ascii_letters + string.digits
_ID_LENGTH = 24


@dataclass(frozen=True, kw_only=True)
class Format:
    """The form of calls, and what the model's chat template does with tools."""

    syntax: CallSyntax
    in_template: bool = True
    """Whether the template shows tools, calls and results to the model; otherwise the prompt has to."""
    several: bool = True
    """Whether an answer may call more than one tool."""
    id_length: int | None = None
    """How long the template wants the alphanumeric ids of calls to be; None if it does not care."""

    def new_id(self) -> str:
        """An id for a call that no other call has."""
        length = self.id_length or _ID_LENGTH
        drawn = "".join(secrets.choice(_ALPHANUMERIC) for _ in range(length))
        return drawn if self.id_length else f"call_{drawn}"

    def known_id(self, call_id: str) -> str:
        """`call_id` in the form that the template wants; equal ids stay equal, others different."""
        if self.id_length is None or (
            len(call_id) == self.id_length and call_id.isascii() and call_id.isalnum()
        ):
            return call_id
        return blake2b(call_id.encode(), digest_size=self.id_length).hexdigest()[: self.id_length]
