"""From a grammar to its automaton."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

from grammar_service.automata.basis import determinise
from grammar_service.kinds import whitespace_of, write_grammar
from grammar_service.limits import Limits
from grammar_service.outcome import Compiled
from grammar_service.schema.formats import KNOWN_FORMATS, format_language
from grammar_service.schema.prelude import prelude
from grammar_service.schema.writer import Whitespace
from protos import grammar_pb2
from protos.automaton import Automaton
from protos.errors import InvalidRequestError
from protos.ways import Ways

COMPILER_VERSION = "8"
"""Changes whenever the automaton of any grammar does, so that no cache serves an old one."""


class UnsatisfiableError(InvalidRequestError):
    """The grammar contradicts itself: it allows no answer at all."""


def prepare() -> None:
    """Make ready what compilations go on from, so that the first is no slower than others.

    What is in memory by then stays for good, so garbage collection need not look at it again.
    """
    for whitespace in Whitespace:
        prelude(whitespace)
    for name in KNOWN_FORMATS:
        if not name.startswith("idn-"):  # rare, and these two take as long as all others
            format_language(name)
    gc.collect()
    gc.freeze()


def compile_grammar(grammar: grammar_pb2.Grammar, limits: Limits) -> Compiled:
    """The automaton of exactly the answers that `grammar` allows.

    Raises:
        InvalidRequestError: the grammar is malformed, asks for what cannot be enforced, exceeds a limit, or
            nothing can satisfy it; the message says what and where.
    """
    begun = perf_counter()
    with _uncollected():
        return _summarised(_automaton(grammar, limits), begun)


@contextmanager
def _uncollected() -> Iterator[None]:
    """No garbage collection until the end: what a compilation makes is in use, or freed at once."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _automaton(grammar: grammar_pb2.Grammar, limits: Limits) -> Automaton:
    common = prelude(whitespace_of(grammar))
    speller = common.speller(max_states=limits.max_states)
    program = speller.program
    start, final = program.state(), program.state()
    try:
        contents = write_grammar(grammar, speller, common.known, start, final, limits=limits)
        satisfiable = program.trimmed(start, final)
        for state, tag in contents.items():
            if not (program.moves[state] or program.epsilon[state]):
                raise InvalidRequestError(f"{tag.field}.content: nothing can satisfy it")
        if not satisfiable:
            raise UnsatisfiableError("nothing can satisfy this grammar")
        return determinise(speller, start, final, max_depth=limits.max_depth, basis=common.basis)
    except RecursionError:
        raise InvalidRequestError("the grammar is nested too deeply") from None


def _summarised(automaton: Automaton, begun: float) -> Compiled:
    """The automaton and what there is to know about it. `begun` was the time when compiling it began."""
    answer = Ways(automaton).ending(automaton.start, None)
    if answer is None:
        raise InvalidRequestError(f"the shortest answer needs more than {automaton.max_depth} calls at once")
    message = automaton.to_message()
    summary = grammar_pb2.Summary(
        num_states=automaton.num_states,
        num_bytes=message.ByteSize(),
        shortest_answer=answer.decode(),
        shortest_answer_bytes=len(answer),
        compile_seconds=perf_counter() - begun,
    )
    return Compiled(message, summary)
