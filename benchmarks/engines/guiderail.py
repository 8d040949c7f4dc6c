"""Guiderail: the grammar service's compiler and the shard's token masks, in one process."""

from __future__ import annotations

from transformers import PreTrainedTokenizerBase

from benchmarks.engines.engine import ContradictionError, RefusedError
from grammar_service.compiler import UnsatisfiableError, compile_grammar, prepare
from grammar_service.limits import Limits
from protos import automaton_pb2, grammar_pb2
from protos.errors import InvalidRequestError
from shard.masks import Constraint, GrammarMasks
from shard.vocabulary import Vocabulary

_MAX_ROWS = 16384
"""The shard's own default."""


class Guiderail:
    """JSON Schema's own meaning of undeclared properties, and any whitespace: the peers' conditions."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._vocabulary = Vocabulary.from_tokenizer(
            tokenizer, size=len(tokenizer), eos_ids={tokenizer.eos_token_id}
        )
        self._limits = Limits()
        prepare()  # as each worker of the service does at its start

    def compile(self, schema: str) -> CompiledByGuiderail:
        grammar = grammar_pb2.Grammar(
            json_schema=schema, strict=False, whitespace=grammar_pb2.WHITESPACE_FLEXIBLE
        )
        try:
            return CompiledByGuiderail(compile_grammar(grammar, self._limits).automaton, self._vocabulary)
        except UnsatisfiableError as error:
            raise ContradictionError(str(error)) from error
        except InvalidRequestError as error:
            raise RefusedError(str(error)) from error


class CompiledByGuiderail:
    """An automaton as it comes to the shard, and the masks of it that were asked for so far."""

    def __init__(self, message: automaton_pb2.Automaton, vocabulary: Vocabulary) -> None:
        self._message = message
        self._masks = GrammarMasks(vocabulary, max_automata=1, max_rows=_MAX_ROWS)

    def matcher(self) -> Constraint:
        return self._masks.constraint(self._message, "the only one")
