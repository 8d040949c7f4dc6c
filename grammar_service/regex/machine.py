"""Expressions compiled by outlines-core, read back as automata over atoms.

outlines-core (0.2.14) is given one character per atom instead of the real ones. Four kinds more stand around
and between them, each for a trap of it:
- a first one, which the expression begins with: outlines-core also determinises the search for a match
  anywhere, which is quadratic or worse in counted repetitions unless no match can begin anywhere else;
- a last one, the sentinel: outlines-core's own final states follow a leftmost-first search, and would lose
  `ab` in `a|ab`. A state accepts if the sentinel leads from it to a final one;
- one that no text has, for sets without characters: outlines-core refuses a state with no way on;
- one for each look-around, which it cannot compile: the machine only says where they stand.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from outlines_core import Index, Vocabulary

from grammar_service.automata.minimisation import minimised
from grammar_service.regex.alphabet import Alphabet
from grammar_service.regex.positions import check_size
from grammar_service.regex.tree import Alternation, CharacterSet, Concatenation, LookAround, Node
from protos.errors import InvalidRequestError


@dataclass(frozen=True)
class Machine:
    """A minimal DFA over atoms and look-arounds, which stand where it asks for them. State 0 is dead."""

    rows: list[list[int]]
    """(states, atoms + look-arounds): the next state."""
    accepting: list[bool]
    start: int
    look_arounds: tuple[LookAround, ...]


def compile_machine(tree: Node, alphabet: Alphabet) -> Machine:
    """The machine of an expression whose sets `alphabet` knows.

    Raises:
        RegexError, TooManyStatesError: the expression is too large; see `check_size`.
    """
    markers: dict[LookAround, int] = {}
    check_size(tree, alphabet, markers)
    first = alphabet.size + len(markers)
    sentinel = first + 1
    rendering = _Rendering(alphabet, markers, nothing=sentinel + 1)
    rendered = f"{_letter(first)}(?:{rendering.of(tree)}){_letter(sentinel)}"
    try:
        index = Index(rendered, _vocabulary(sentinel + 2))
    except ValueError as error:  # how outlines-core reports everything it cannot compile
        raise InvalidRequestError(f"the pattern cannot be compiled: {error}") from error
    rows, accepting, start = minimised(*_read(index, first, sentinel))
    return Machine(rows, accepting, start, tuple(markers))


@lru_cache(maxsize=256)
def _vocabulary(size: int) -> Any:
    return Vocabulary(size, {chr(letter).encode(): [letter] for letter in range(size)})


def _letter(letter: int) -> str:
    return f"\\x{{{letter:X}}}"


@dataclass(frozen=True)
class _Rendering:
    """Expressions in the syntax of Rust's regex crate, over letters that stand for atoms and markers."""

    alphabet: Alphabet
    markers: dict[LookAround, int]
    nothing: int

    def of(self, node: Node) -> str:
        if isinstance(node, CharacterSet):
            letters = self.alphabet.of_set[node] or (self.nothing,)
            return f"[{''.join(map(_letter, letters))}]"
        if isinstance(node, LookAround):
            return _letter(self.markers[node])
        if isinstance(node, Concatenation):
            return "".join(map(self.of, node.parts))
        if isinstance(node, Alternation):
            return f"(?:{'|'.join(map(self.of, node.options))})"
        most = "" if node.most is None else node.most
        return f"(?:{self.of(node.node)}){{{node.least},{most}}}"


def _read(index: Any, first: int, sentinel: int) -> tuple[list[list[int]], list[bool], int]:
    """The states after the first letter, without the one behind the sentinel."""
    transitions: dict[int, dict[int, int]] = index.get_transitions()
    finals = index.get_final_states()
    begin = transitions[index.get_initial_state()][first]
    numbers = {begin: 1}
    queue = [begin]
    rows, accepting = [[0] * first], [False]
    for state in queue:  # grows as it is read
        row = [0] * first
        accepts = False
        for letter, target in transitions.get(state, {}).items():
            if letter < first:
                if target not in numbers:
                    numbers[target] = len(numbers) + 1
                    queue.append(target)
                row[letter] = numbers[target]
            elif letter == sentinel:
                accepts = target in finals
        rows.append(row)
        accepting.append(accepts)
    return rows, accepting, 1
