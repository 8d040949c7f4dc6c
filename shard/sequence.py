"""One request's tokens, and how far the model has read them."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from shard.prompt_logprobs import PromptLogprobs
from shard.token_counts import TokenCounts

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Constraint(Protocol):
    """What the rest of one answer may be; follows the tokens that were generated."""

    @property
    def known(self) -> bool:
        """Whether the next mask is at hand; if not, it takes time to compute it."""

    def masks(self, drafts: Iterable[int] = ()) -> list[NDArray[np.int32]]:
        """What may come next, and what after each of `drafts`, up to the first that may not come.

        (ceil(vocabulary / 32),) each: bit i of word w tells whether token 32 * w + i may come.
        """

    def advance(self, token_id: int) -> None:
        """Read one generated token."""

    def forced(self) -> bytes:
        """The text that must come next; empty where there is more than one way to go on."""


@dataclass(frozen=True, kw_only=True)
class Watermark:
    """How strongly which share of the vocabulary is preferred; the token before decides which tokens."""

    gamma: float
    """The share, in (0, 1)."""
    delta: float
    """What is added to their logits."""


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How one request's tokens are chosen. Every value is in range; the defaults change nothing."""

    do_sample: bool = False
    temperature: float = 1.0
    top_k: int = 0
    """Candidates kept, the most likely first; 0 keeps all."""
    top_p: float = 1.0
    min_p: float = 0.0
    typical_p: float = 1.0
    repetition_penalty: float = 1.0
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    logit_bias: tuple[tuple[int, float], ...] = ()
    """Tokens of the vocabulary, each once, and what is added to their logits."""
    watermark: Watermark | None = None
    seed: int = 0
    """Of this request's own random numbers, in [0, 2^64); read only when `do_sample`."""
    min_new_tokens: int = 0
    """Before the answer has so many tokens, none of `end_ids` is chosen."""
    end_ids: tuple[int, ...] = ()
    """The tokens that end the answer."""
    top_n: int = 0
    """How many of the likeliest tokens are told beside the chosen one."""

    @property
    def penalises(self) -> bool:
        """Whether it matters which tokens there are already."""
        return (self.repetition_penalty, self.frequency_penalty, self.presence_penalty) != (1, 0, 0)


class Sequence:
    """Prompt and answer of one request. Keys and values of `tokens[:computed]` lie in `blocks`, in order."""

    def __init__(
        self,
        tokens: Iterable[int],
        *,
        max_new_tokens: int,
        sampling: Sampling | None = None,
        constraint: Constraint | None = None,
        prompt_logprobs: bool = False,
        adapter: str | None = None,
    ) -> None:
        """`tokens` is the prompt, at least one token; `prompt_logprobs` are collected if they are wanted.

        `adapter` is one of the model's, by its name.
        """
        self.tokens = array("i", tokens)
        self.input_length = len(self.tokens)
        self.max_new_tokens = max_new_tokens
        self.sampling = sampling or Sampling()
        self.constraint = constraint
        self.adapter = adapter
        self.counts = TokenCounts(self.tokens) if self.sampling.penalises else None
        self.prompt_logprobs = PromptLogprobs(self.input_length) if prompt_logprobs else None
        self.drafts = array("i")
        """Tokens that are likely to come next, to be read in one step with the pending ones."""
        self.computed = 0
        self.blocks = array("i")
        self.committed = 0
        """Leading blocks that others can find; kept by `Blocks`, as is the next."""
        self.digests: list[bytes] = []
        """Of the leading full blocks of tokens; grows as it is needed and outlives the blocks themselves."""

    def append(self, token_id: int) -> None:
        """Make a token part of the answer."""
        self.tokens.append(token_id)
        if self.counts is not None:
            self.counts.add(token_id)

    @property
    def scores_prompt(self) -> bool:
        """Whether the model has to read all of the prompt itself, for what it says about its tokens."""
        return self.prompt_logprobs is not None and not self.prompt_logprobs.complete

    def ahead(self, token_id: int) -> Sequence:
        """The sequence as it would be with this token more: to choose the one after it, not to be run."""
        other = copy(self)
        other.tokens, other.counts = self.tokens[:], self.counts and self.counts.copied()
        other.append(token_id)
        return other

    @property
    def pending(self) -> int:
        """Tokens that the model has yet to read."""
        return len(self.tokens) - self.computed

    @property
    def generated(self) -> int:
        """Tokens of the answer so far."""
        return len(self.tokens) - self.input_length

    @property
    def longest(self) -> int:
        """Tokens whose keys and values may have to be kept at once: the last one's never are."""
        return self.input_length + self.max_new_tokens - 1


@dataclass(frozen=True)
class Slice:
    """The next tokens of a sequence, read by the model in one step. Ask it before it is settled."""

    sequence: Sequence
    count: int
    """How many, drafts included."""
    drafts: tuple[Sequence, ...] = ()
    """The sequence as it would be with one, two, ... of the draft tokens at the end of the slice."""

    @property
    def samples(self) -> bool:
        """Whether the step reaches the sequence's end, so that it yields a token."""
        return self.count - len(self.drafts) == self.sequence.pending

    @property
    def scored(self) -> int:
        """How many of its tokens are followed by one of the prompt whose log-probability is wanted."""
        sequence = self.sequence
        if not sequence.scores_prompt:
            return 0
        return max(0, min(self.count, sequence.input_length - 1 - sequence.computed))

    @property
    def rows(self) -> tuple[Sequence, ...]:
        """What a next token is chosen for: the sequence and, in case the drafts are right, those ahead."""
        return (self.sequence, *self.drafts) if self.samples else ()

    @property
    def tokens(self) -> array[int]:
        """Those of the sequence, and the drafts."""
        return self.drafts[-1].tokens if self.drafts else self.sequence.tokens
