"""What an answer must match, in no dialect; compiled, it goes to a shard."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Whitespace = Literal["single", "compact", "flexible"]
FreeText = Literal["anywhere", "before", "nowhere"]


@dataclass(frozen=True, kw_only=True)
class JsonSchema:
    """The answer is JSON that satisfies a schema. None leaves an option to the grammar service."""

    text: str
    """The schema as JSON text; its keys keep the caller's order."""
    strict: bool | None = None
    whitespace: Whitespace | None = None


@dataclass(frozen=True, kw_only=True)
class Regex:
    """The whole answer matches a regular expression."""

    pattern: str


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The answer is one of some strings."""

    values: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class AnyJsonObject:
    """The answer is a JSON object, whatever its members."""

    whitespace: Whitespace | None = None


UntaggedGrammar: TypeAlias = JsonSchema | Regex | Choice | AnyJsonObject


@dataclass(frozen=True, kw_only=True)
class Tag:
    """A kind of part: a text that opens it, what comes then, and the text that closes it."""

    begin: str
    content: UntaggedGrammar
    end: str = ""


@dataclass(frozen=True, kw_only=True)
class Tagged:
    """The answer is text with tagged parts. What each field means is told in grammar.proto."""

    tags: tuple[Tag, ...]
    triggers: tuple[str, ...] = ()
    at_least_one: bool = False
    stop_after_first: bool = False
    free_text: FreeText = "anywhere"
    separator: str = ""
    open: str = ""
    close: str = ""


Grammar: TypeAlias = UntaggedGrammar | Tagged


Origin = Literal["router", "memory", "redis", "compiled", "refused"]
"""Where a compiled grammar was found: in this process, in the grammar service, or nowhere."""


@dataclass(frozen=True, kw_only=True)
class CompiledGrammar:
    """A grammar that a shard can follow. Only the two clients know what the bytes mean."""

    id: str
    automaton: bytes
    origin: Origin
