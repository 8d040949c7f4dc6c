"""The values that most schemas have somewhere, compiled once a process: any string, and any value at all."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from grammar_service.automata.basis import Basis, settle
from grammar_service.automata.program import Program
from grammar_service.automata.speller import Speller
from grammar_service.limits import Limits
from grammar_service.schema.construction import write_bodies
from grammar_service.schema.document import Document, parse_document
from grammar_service.schema.reader import Reader
from grammar_service.schema.text import ANY_STRING
from grammar_service.schema.writer import Known, Whitespace, Writer


@dataclass(frozen=True, eq=False)
class Prelude:
    """A basis for programs of schemas, and what a writer finds in it."""

    basis: Basis
    known: Known

    def speller(self, *, max_states: int) -> Speller:
        """One that writes a program which goes on from the basis."""
        return self.basis.speller.copy(self.basis.speller.program.copy(max_states=max_states))


@lru_cache
def prelude(whitespace: Whitespace) -> Prelude:
    """The prelude of schemas with this whitespace."""
    program = Program(max_states=Limits().max_states)
    speller = Speller(program)
    writer = Writer(speller, Reader(Document(parse_document("true")), strict=False), Known(whitespace))
    strings = settle(speller, [writer.string((ANY_STRING,))])
    start, final = program.state(), program.state()
    writer.value((), start, final)
    write_bodies(writer)
    basis = settle(speller, writer.known.procedures.values(), basis=strings)
    return Prelude(basis, writer.known)
