"""How large an expression becomes: bounded before outlines-core, which has no bounds, compiles it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import repeat

from grammar_service.automata.dfa import TooManyStatesError
from grammar_service.regex.alphabet import Alphabet
from grammar_service.regex.cursor import RegexError
from grammar_service.regex.tree import Alternation, CharacterSet, Concatenation, LookAround, Node

MAX_POSITIONS = 50_000
"""The most characters that an expression may have, with its repetitions written out."""
MAX_STATES = 50_000
"""The most states that its automaton may have."""
_MAX_WORK = 3_000_000
"""The most steps that look for them: about a second."""
_HARMLESS = 12
"""Positions of which all sets together are too few to matter."""


def check_size(tree: Node, alphabet: Alphabet, markers: dict[LookAround, int]) -> None:
    """Check that the automaton of an expression stays small, and number its look-arounds in `markers`.

    The automaton of Glushkov (1961) has a state per position; where it is deterministic already, nothing
    can grow. Where it is not, its sets of positions are counted.

    Raises:
        RegexError: a repetition makes it too long; the position is the repetition's.
        TooManyStatesError: it is not too long, and yet has too many states.
    """
    total = _length(tree)
    if total > MAX_POSITIONS:
        raise TooManyStatesError(MAX_STATES)
    positions = _Positions(alphabet, markers)
    begin = positions.of(tree)
    if total > _HARMLESS and not positions.deterministic(begin.first):
        positions.count_states(begin.first)


def _length(node: Node) -> int:
    """The positions of an expression: each set and look-around, as often as it is repeated."""
    if isinstance(node, CharacterSet | LookAround):
        return 1
    if isinstance(node, Concatenation | Alternation):
        return sum(map(_length, node.parts if isinstance(node, Concatenation) else node.options))
    length = _length(node.node) * max(1, node.least, node.most or 0)
    if length > MAX_POSITIONS:
        raise RegexError(
            f"the repetition makes an expression of more than {MAX_POSITIONS} characters", node.position
        )
    return length


@dataclass
class _Part:
    """Where a part of the expression may begin and end, and whether it may be empty."""

    first: list[int] = field(default_factory=list)
    last: list[int] = field(default_factory=list)
    empty: bool = True


@dataclass
class _Positions:
    """The positions read so far: the letters of each, as bits, and what may follow each."""

    alphabet: Alphabet
    markers: dict[LookAround, int]
    letters: list[int] = field(default_factory=list)
    follow: list[list[int]] = field(default_factory=list)
    work: int = 0

    def of(self, node: Node) -> _Part:
        """Number the positions of a part."""
        if isinstance(node, CharacterSet | LookAround):
            return self._position(node)
        if isinstance(node, Concatenation):
            return self._sequence(map(self.of, node.parts))
        if isinstance(node, Alternation):
            return self._choice([self.of(option) for option in node.options])
        if node.most is not None:
            required = self._sequence(map(self.of, repeat(node.node, node.least)))
            return self._sequence([required, self._optional(node.node, node.most - node.least)])
        required = self._sequence(map(self.of, repeat(node.node, node.least - 1)))
        loop = self.of(node.node)
        self._follows(loop.last, loop.first)
        return self._sequence([required, _Part(loop.first, loop.last, loop.empty or not node.least)])

    def deterministic(self, begin: list[int]) -> bool:
        """Whether each letter always tells the next position."""
        for following in (begin, *self.follow):
            seen = 0
            for position in following:
                if seen & self.letters[position]:
                    return False
                seen |= self.letters[position]
        return True

    def count_states(self, begin: list[int]) -> None:
        """Check that no more than MAX_STATES sets of positions can be reached."""
        start = frozenset(begin)
        seen = {start}
        queue = [start]  # of the candidates after each set reached
        for candidates in queue:  # grows as it is read
            for reached in self._reached(candidates):
                following = frozenset().union(*[self.follow[position] for position in reached])
                self._spend(len(reached) + len(following))
                if following not in seen:
                    seen.add(following)
                    queue.append(following)
            if len(seen) > MAX_STATES:
                raise TooManyStatesError(MAX_STATES)

    def _reached(self, candidates: Iterable[int]) -> list[list[int]]:
        """The sets of positions, one of which the next letter reaches."""
        by_letters: defaultdict[int, list[int]] = defaultdict(list)
        for position in candidates:
            by_letters[self.letters[position]].append(position)
        # Most positions have one letter: only the others can differ in parts of their letters.
        wide = [letters for letters in by_letters if letters & (letters - 1)]
        blocks = [letters for letters in by_letters if letters and not letters & (letters - 1)]
        single = sum(blocks)
        for block in self._parted(wide):
            if block & ~single:
                blocks.append(block & ~single)
        return [
            [
                *by_letters.get(block, ()),
                *(p for letters in wide if letters != block and letters & block for p in by_letters[letters]),
            ]
            for block in blocks
        ]

    @staticmethod
    def _parted(sets: list[int]) -> list[int]:
        """The letters of any of the sets, parted where the sets differ."""
        blocks: list[int] = []
        for letters in sets:
            parted, rest = [], letters
            for block in blocks:
                parted += [part for part in (block & letters, block & ~letters) if part]
                rest &= ~block
            blocks = [*parted, rest] if rest else parted
        return blocks

    def _position(self, node: CharacterSet | LookAround) -> _Part:
        if isinstance(node, LookAround):
            bits = 1 << self.markers.setdefault(node, self.alphabet.size + len(self.markers))
        else:
            bits = sum(1 << atom for atom in self.alphabet.of_set[node])
        self.letters.append(bits)
        self.follow.append([])
        here = [len(self.follow) - 1]
        return _Part(here, here, empty=False)

    def _sequence(self, parts: Iterable[_Part]) -> _Part:
        whole = _Part()
        for part in parts:
            self._follows(whole.last, part.first)
            whole = _Part(
                whole.first + part.first if whole.empty else whole.first,
                whole.last + part.last if part.empty else part.last,
                whole.empty and part.empty,
            )
        return whole

    @staticmethod
    def _choice(options: list[_Part]) -> _Part:
        return _Part(
            [position for option in options for position in option.first],
            [position for option in options for position in option.last],
            any(option.empty for option in options),
        )

    def _optional(self, node: Node, count: int) -> _Part:
        """Up to `count` times the same, each only after the one before."""
        whole = _Part()
        last: list[int] = []
        for index in range(count):
            part = self.of(node)
            self._follows(last, part.first)
            last = part.last
            whole.first = whole.first if index else part.first
            whole.last += part.last
        return whole

    def _follows(self, last: list[int], first: list[int]) -> None:
        self._spend(len(last) * len(first))
        for position in last:
            self.follow[position] += first

    def _spend(self, steps: int) -> None:
        self.work += steps
        if self.work > _MAX_WORK:
            raise TooManyStatesError(MAX_STATES)
