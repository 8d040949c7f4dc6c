"""From a grammar to its automaton."""

from __future__ import annotations

from grammar_service.automata.basis import determinise
from grammar_service.automata.dfa import Dfa
from grammar_service.automata.program import Program
from grammar_service.automata.speller import Speller
from grammar_service.automata.spelling import Spelling
from grammar_service.limits import Limits
from grammar_service.regex.automaton import fullmatch
from grammar_service.schema.construction import write_schema
from grammar_service.schema.prelude import Prelude, prelude
from grammar_service.schema.writer import Whitespace
from protos import automaton_pb2, grammar_pb2
from protos.automaton import Automaton
from protos.errors import InvalidRequestError

COMPILER_VERSION = "3"
"""Changes whenever the automaton of any grammar does, so that no cache serves an old one."""

_WHITESPACE = {
    grammar_pb2.WHITESPACE_UNSPECIFIED: Whitespace.SINGLE,
    grammar_pb2.WHITESPACE_SINGLE: Whitespace.SINGLE,
    grammar_pb2.WHITESPACE_COMPACT: Whitespace.COMPACT,
    grammar_pb2.WHITESPACE_FLEXIBLE: Whitespace.FLEXIBLE,
}


class UnsatisfiableError(InvalidRequestError):
    """The grammar contradicts itself: it allows no answer at all."""


def compile_grammar(grammar: grammar_pb2.Grammar, limits: Limits) -> automaton_pb2.Automaton:
    """The automaton of exactly the answers that `grammar` allows.

    Raises:
        InvalidRequestError: the grammar is malformed, asks for what cannot be enforced, exceeds a limit, or
            nothing can satisfy it; the message says what and where.
    """
    try:
        return _compiled(grammar, limits).to_message()
    except RecursionError:
        raise InvalidRequestError("the grammar is nested too deeply") from None


def _compiled(grammar: grammar_pb2.Grammar, limits: Limits) -> Automaton:
    common = prelude(_WHITESPACE[grammar.whitespace]) if grammar.HasField("json_schema") else None
    if common is not None:
        speller = common.speller(max_states=limits.max_states)
    else:
        speller = Speller(Program(max_states=limits.max_states))
    start, final = speller.program.state(), speller.program.state()
    _write(grammar, speller, common, start, final, limits=limits)
    if not speller.program.trimmed(start, final):
        raise UnsatisfiableError("nothing can satisfy this grammar")
    basis = common.basis if common else None
    return determinise(speller, start, final, max_depth=limits.max_depth, basis=basis)


def _write(
    grammar: grammar_pb2.Grammar,
    speller: Speller,
    common: Prelude | None,
    start: int,
    final: int,
    *,
    limits: Limits,
) -> None:
    source = grammar.WhichOneof("source")
    if common is not None:
        strict = grammar.strict if grammar.HasField("strict") else True
        write_schema(grammar.json_schema, speller, common.known, start, final, strict=strict, limits=limits)
    elif source == "regex":
        _write_language(fullmatch(grammar.regex), speller, start, final)
    elif source == "choice":
        if not grammar.choice.values:
            raise InvalidRequestError("a choice needs at least one value")
        _write_language(Dfa.words(grammar.choice.values), speller, start, final)
    else:
        raise InvalidRequestError("the grammar is empty: set json_schema, regex or choice")


def _write_language(language: Dfa, speller: Speller, start: int, final: int) -> None:
    speller.program.epsilon[start].append(speller.language(language, Spelling.RAW, final))
