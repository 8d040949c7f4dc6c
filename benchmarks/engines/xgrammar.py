"""xgrammar: a pushdown automaton over bytes, with the masks that need no context computed beforehand."""

from __future__ import annotations

import xgrammar
from transformers import PreTrainedTokenizerBase

from benchmarks.engines.engine import Mask, RefusedError


class XGrammar:
    """JSON Schema's own meaning of undeclared properties; one thread; no cache, which would hide costs."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        vocabulary = xgrammar.TokenizerInfo.from_huggingface(
            tokenizer, vocab_size=len(tokenizer), stop_token_ids=[tokenizer.eos_token_id]
        )
        self._compiler = xgrammar.GrammarCompiler(vocabulary, max_threads=1, cache_enabled=False)

    def compile(self, schema: str) -> CompiledByXGrammar:
        try:
            compiled = self._compiler.compile_json_schema(schema, any_whitespace=True, strict_mode=False)
        except (RuntimeError, ValueError) as error:
            raise RefusedError(str(error)) from error
        return CompiledByXGrammar(compiled)


class CompiledByXGrammar:
    """A compiled grammar; its matchers are cheap."""

    def __init__(self, compiled: xgrammar.CompiledGrammar) -> None:
        self._compiled = compiled
        self._bitmask = xgrammar.allocate_token_bitmask(1, compiled.tokenizer_info.vocab_size)

    def matcher(self) -> XGrammarMatcher:
        return XGrammarMatcher(xgrammar.GrammarMatcher(self._compiled), self._bitmask)


class XGrammarMatcher:
    """One answer. The mask is a view of the tensor that xgrammar fills."""

    def __init__(self, matcher: xgrammar.GrammarMatcher, bitmask: xgrammar.Tensor) -> None:
        self._matcher = matcher
        self._bitmask = bitmask
        self._row: Mask = bitmask[0].numpy()

    def mask(self) -> Mask:
        self._matcher.fill_next_token_bitmask(self._bitmask, 0)
        return self._row

    def advance(self, token_id: int) -> None:
        self._matcher.accept_token(token_id)
