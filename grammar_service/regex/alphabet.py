"""The characters of an expression, as far as it tells them apart."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from grammar_service.automata.columns import END_OF_UNICODE, SURROGATES
from grammar_service.regex.tree import CharacterSet


@dataclass(frozen=True)
class Alphabet:
    """Atoms: classes of characters that are in exactly the same sets of an expression.

    Automata over atoms instead of characters have few columns, and no UTF-8 in them. Atom 0 is the
    surrogates, which no set contains.
    """

    cuts: tuple[int, ...]
    """Where each interval of code points begins, ascending from 0."""
    atoms: tuple[int, ...]
    """The atom of each interval."""
    size: int
    """The count of atoms."""
    of_set: dict[CharacterSet, tuple[int, ...]]
    """The atoms of each set."""

    @classmethod
    def of(cls, sets: Iterable[CharacterSet]) -> Alphabet:
        """The coarsest alphabet for these sets."""
        distinct = list(dict.fromkeys(sets))
        changes: defaultdict[int, int] = defaultdict(int, {0: 0})  # at a point: bits of the sets that flip
        for index, members in enumerate(distinct):
            bit = 1 << index
            for low, high in members.ranges:
                changes[low] ^= bit
                changes[high + 1] ^= bit
        cuts, signatures = _intervals(changes, surrogates=1 << len(distinct))
        numbers = {1 << len(distinct): 0}
        atoms = tuple([numbers.setdefault(signature, len(numbers)) for signature in signatures])
        of_set: dict[CharacterSet, list[int]] = {members: [] for members in distinct}
        for signature, atom in numbers.items():
            while atom and signature:
                lowest = signature & -signature
                of_set[distinct[lowest.bit_length() - 1]].append(atom)
                signature ^= lowest
        return cls(tuple(cuts), atoms, len(numbers), {members: tuple(its) for members, its in of_set.items()})


def _intervals(changes: dict[int, int], *, surrogates: int) -> tuple[list[int], list[int]]:
    """Where each interval begins, and in which sets it is, as bits."""
    for edge in SURROGATES:
        changes.setdefault(edge, 0)
    cuts = sorted(point for point in changes if point < END_OF_UNICODE)
    signatures, current = [], 0
    for point in cuts:
        current ^= changes[point]
        signatures.append(surrogates if SURROGATES[0] <= point < SURROGATES[1] else current)
    return cuts, signatures
