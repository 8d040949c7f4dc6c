"""llguidance: derivatives of regexes for the lexer, Earley for the rest, masks computed on the fly."""

from __future__ import annotations

import llguidance
import llguidance.hf
import llguidance.numpy
from transformers import PreTrainedTokenizerBase

from benchmarks.engines.engine import Mask, RefusedError


class LLGuidance:
    """Its defaults: what it does not support is an error, not left out in silence."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer = llguidance.hf.from_tokenizer(
            tokenizer, n_vocab=len(tokenizer), eos_token=tokenizer.eos_token_id
        )
        self._buffer = llguidance.numpy.allocate_token_bitmask(1, len(tokenizer))

    def compile(self, schema: str) -> CompiledByLLGuidance:
        try:
            grammar = llguidance.LLMatcher.grammar_from_json_schema(schema)
            matcher = llguidance.LLMatcher(self._tokenizer, grammar, log_level=0)
        except ValueError as error:
            raise RefusedError(str(error)) from error
        if matcher.is_error():
            raise RefusedError(matcher.get_error())
        return CompiledByLLGuidance(matcher, self._buffer)


class CompiledByLLGuidance:
    """One matcher, reset for each answer, as the caches of its lexer would not outlive it."""

    def __init__(self, matcher: llguidance.LLMatcher, buffer: Mask) -> None:
        self._matcher = matcher
        self._buffer = buffer
        self._row: Mask = buffer[0]

    def matcher(self) -> CompiledByLLGuidance:
        self._matcher.reset()
        return self

    def mask(self) -> Mask:
        llguidance.numpy.fill_next_token_bitmask(self._matcher, self._buffer, 0)
        if self._matcher.is_error():  # over a limit: it allows the end now, and nothing else for ever
            raise RuntimeError(self._matcher.get_error())
        return self._row

    def advance(self, token_id: int) -> None:
        self._matcher.consume_token(token_id)
