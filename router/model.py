"""What a shard tells of itself, and of texts as its model reads them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Span:
    """A token of a text, and the characters [start, stop) that it stands for."""

    id: int
    text: str
    start: int
    stop: int


@dataclass(frozen=True, kw_only=True)
class Model:
    """What a shard serves, and within which limits."""

    id: str
    sha: str | None
    dtype: str
    device: str
    max_input_tokens: int
    max_total_tokens: int
    version: str
    chat_templates: Mapping[str, str]
    """Jinja templates for conversations, by name."""
    special_tokens: Mapping[str, str]
    """The texts of special tokens, by the names that chat templates have for them."""


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """What a shard is doing; counts are since it started."""

    running: int
    """Answers that the model works on."""
    waiting: int
    cache_tokens_used: int
    cache_tokens: int
    steps: int
    mask_first_visits: int
    mask_hits: int
    mask_seconds: float
    late_masks: int
    """Times that an answer waited a step for its mask."""
    drafted_tokens: int | None
    """Tokens that grammars forced; None if the shard does not do that."""
    accepted_tokens: int | None
