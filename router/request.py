"""What is asked of the shard, in no dialect."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from router.grammar import Grammar

Complete = Literal["auto", "required", "off"]


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How tokens are chosen. Every value is in range; None leaves the model's distribution alone."""

    do_sample: bool = False
    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    typical_p: float | None = None
    min_p: float | None = None
    repetition_penalty: float | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    logit_bias: tuple[tuple[int, float], ...] = ()
    """Tokens, and what is added to their logits."""
    watermark: bool = False
    seed: int | None = None


@dataclass(frozen=True, kw_only=True)
class GenerationRequest:
    """What is asked for, in no dialect. Every value is in range but those that only the model can judge."""

    inputs: str
    sampling: Sampling = Sampling()
    max_new_tokens: int | None = None
    """None: as many as the model has room for."""
    min_new_tokens: int = 0
    stop: tuple[str, ...] = ()
    exclude_stop: bool = False
    """Whether the text ends before the stop string that ends the answer."""
    stop_tokens: tuple[int, ...] = ()
    """Tokens that end the answer."""
    ignore_eos: bool = False
    """Whether to go on after an end-of-sequence token."""
    truncate: int | None = None
    """Keep only this many tokens of the prompt, the last ones. None: all."""
    grammar: Grammar | None = None
    adapter_id: str | None = None
    """The LoRA adapter to generate with; only the shard knows which are loaded."""
    n: int = 1
    """Answers to generate, each for itself."""
    top_n_tokens: int = 0
    """Likeliest tokens to tell beside each one that is generated."""
    prefill_logprobs: bool = False
    """Whether to tell the tokens of the prompt, with what the model thinks of them."""
    add_special_tokens: bool = True
    """Whether the prompt gets the special tokens that go around it; a chat template has written them."""
    complete: Complete = "auto"
    """Whether an answer with a grammar ends in time: if it can, or else the request is refused, or never."""
