"""Regular expressions as automata over characters."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from grammar_service.automata.dfa import Dfa
from grammar_service.automata.minimisation import minimised
from grammar_service.regex.alphabet import Alphabet
from grammar_service.regex.cursor import Dialect
from grammar_service.regex.edges import bound, free
from grammar_service.regex.lookaround import decided
from grammar_service.regex.machine import compile_machine
from grammar_service.regex.syntax import parse
from grammar_service.regex.tree import ANY, Node, character_sets


@lru_cache(maxsize=256)
def fullmatch(pattern: str) -> Dfa:
    """The strings that a whole expression matches, in Python's syntax.

    Raises:
        RegexError: see `parse`, `check_size` and `decided`.
        TooManyStatesError: its automaton would be too large.
    """
    tree = bound(parse(pattern, Dialect.PYTHON), at_end=False)
    return _compile(bound(tree, at_end=True))


@lru_cache(maxsize=1024)
def search(pattern: str) -> Dfa:
    """The strings in which an expression matches somewhere, in ECMA-262's syntax, as JSON Schema's `pattern`.

    Raises:
        RegexError, TooManyStatesError: as `fullmatch`.
    """
    tree = free(parse(pattern, Dialect.ECMA), at_end=False)
    return _compile(free(tree, at_end=True))


def _compile(tree: Node) -> Dfa:
    alphabet = Alphabet.of([ANY, *character_sets(tree)])
    machine = compile_machine(tree, alphabet)
    rows, accepting, start = machine.rows, machine.accepting, machine.start
    if machine.look_arounds:
        rows, accepting, start = minimised(*decided(machine, alphabet))
    columns = np.array(alphabet.atoms)
    return Dfa(
        np.array(alphabet.cuts),
        np.array(rows, dtype=np.int64)[:, columns],
        np.array(accepting, dtype=np.bool_),
        start,
    )
