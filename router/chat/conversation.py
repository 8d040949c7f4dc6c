"""A conversation, in no dialect: who said what, and which tools were called."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Call:
    """A call of a tool by the model."""

    id: str
    name: str
    arguments: str
    """JSON, as the model wrote it: cut off, it may be broken."""


@dataclass(frozen=True, kw_only=True)
class Message:
    """What one party said. Only assistants call tools; `call_id` is that of the call it is the result of."""

    role: str
    content: str = ""
    name: str | None = None
    reasoning: str | None = None
    calls: tuple[Call, ...] = ()
    call_id: str | None = None
