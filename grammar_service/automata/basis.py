"""Procedures made deterministic once, for programs that begin with them; and the automata of programs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from grammar_service.automata.determinise import Determinisation
from grammar_service.automata.distances import with_endings
from grammar_service.automata.program import Procedure
from grammar_service.automata.speller import Speller
from grammar_service.automata.tables import Tables
from grammar_service.automata.tabulate import tabulate
from protos.automaton import Automaton
from protos.endings import Endings


@dataclass(frozen=True, eq=False)
class Basis:
    """What is the same in many grammars, ready: copies of its program go on from its states.

    No state of it ever changes, and none that a grammar has no use for is in its automaton.
    """

    speller: Speller
    construction: Determinisation
    tables: Tables
    endings: Endings


def settle(
    speller: Speller, procedures: Iterable[tuple[int, Procedure]], *, basis: Basis | None = None
) -> Basis:
    """Make procedures deterministic, each with the state it begins in; `speller` goes on from `basis`."""
    speller.program.settled = len(speller.program.moves)
    construction = _construction(speller, basis)
    for entry, procedure in procedures:
        construction.settle(entry, procedure)
    tables = tabulate(construction, basis.tables if basis else None)
    automaton = tables.automaton(1, max_states=speller.program.max_states, max_depth=1)
    known = basis.endings if basis else None
    return Basis(speller, construction, tables, with_endings(automaton, known).endings)


def determinise(
    speller: Speller, start: int, final: int, *, max_depth: int, basis: Basis | None = None
) -> Automaton:
    """The deterministic automaton of a trimmed program that begins at `start` and may end at `final`.

    Raises:
        TooManyStatesError: it would have more states than the program may.
    """
    construction = _construction(speller, basis)
    first = construction.run(start, final)
    tables = tabulate(construction, basis.tables if basis else None, trimmed=True)
    automaton = tables.automaton(
        first - (construction.count - len(tables.transitions)),
        max_states=speller.program.max_states,
        max_depth=max_depth,
    )
    known = basis.endings.until(len(tables.basis.transitions)) if basis and tables.basis else None
    return with_endings(automaton, known)


def _construction(speller: Speller, basis: Basis | None) -> Determinisation:
    if basis is None:
        return Determinisation(speller)
    return Determinisation(speller, basis.construction, calls=len(basis.tables.call_entries))
