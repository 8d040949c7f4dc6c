"""Special tokens that are part of an answer: what tool calls and reasoning are marked with."""

from __future__ import annotations

MARKERS = frozenset(
    {"[TOOL_CALLS]", "[ARGS]", "<tool_call>", "</tool_call>", "<think>", "</think>", "[THINK]", "[/THINK]"}
)
"""Some tokenizers call these special, others do not. Callers have to see them in the text, and a grammar that
asks for their text has to find their tokens: those are how the model has learnt to write it."""
