"""The values that most schemas have somewhere, compiled once a process: any string, and any value at all."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from grammar_service.automata.basis import Basis, settle
from grammar_service.automata.program import Program
from grammar_service.automata.speller import Speller
from grammar_service.limits import Limits
from grammar_service.schema.construction import write_schema
from grammar_service.schema.writer import Known, Whitespace


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
    limits = Limits()
    speller = Speller(Program(max_states=limits.max_states))
    program, known, basis = speller.program, Known(whitespace), None
    for schema in ('{"type": "string"}', "true"):
        start, final = program.state(), program.state()
        known = write_schema(schema, speller, known, start, final, strict=False, limits=limits).known
        procedures = (*known.strings.values(), *known.procedures.values())
        basis = settle(speller, procedures, basis=basis)
    assert basis is not None
    return Prelude(basis, known)
