"""The keys that may come next in an object, wherever one may come, as one automaton."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from grammar_service.automata.dfa import DEAD, SURROGATES, Dfa, columns_of
from grammar_service.automata.program import Entry, Leaf, Program
from grammar_service.automata.spelling import Spelling


class KeyTrie:
    """A node of a trie of keys. Nodes are shared between tries and never changed.

    At the end of a key stands the state of the program that reads its closing quote; None stands for a key
    that may not come, not even among those that are not declared.
    """

    def __init__(
        self, children: dict[str, KeyTrie] | None = None, end: tuple[int | None] | None = None
    ) -> None:
        """`end`: what stands here, in a tuple, if a key ends here at all."""
        self.children = children or {}
        self.end = end

    @property
    def empty(self) -> bool:
        """Whether there is no key in it, allowed or not."""
        return not self.children and self.end is None

    def with_key(self, key: str, end: int | None) -> KeyTrie:
        """This trie and one key more, or with another end for it."""
        path = [self]
        for character in key:
            path.append(path[-1].children.get(character) or KeyTrie())
        node = KeyTrie(path.pop().children, (end,))
        for above, character in zip(reversed(path), reversed(key), strict=True):
            node = KeyTrie({**above.children, character: node}, above.end)
        return node


Node = tuple[KeyTrie, int | None]
"""A node of a trie; and the state that reads the closing quote of keys that are not in it, None if there may
be no others."""


class Keys:
    """Makes one leaf of all the tries of an object: tries share nodes, and so do the states of the leaf."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._entries: dict[Node, tuple[int, tuple[int, ...]]] = {}

    def entry(self, trie: KeyTrie, others: int | None, goals: Iterable[int]) -> int:
        """The state of the program after the opening quote of a key.

        Args:
            others: the state that reads the closing quote of keys that are not in the trie, if there may be.
            goals: states of the program of which some key leads to each.
        """
        if (trie, others) not in self._entries:
            self._entries[trie, others] = (self._program.state(), tuple(goals))
        return self._entries[trie, others][0]

    def finish(self) -> None:
        """Add the leaf to the program, once all entries have been asked for."""
        numbers = self._numbers()
        if not numbers:
            return
        rest = {others: number for (trie, others), number in numbers.items() if trie is _REST}
        moves = list(self._moves(numbers))
        columns = columns_of({point for _, point, _ in moves})
        cuts = np.array([*columns], dtype=np.int64)
        table = np.zeros((len(numbers) + 1, len(cuts)), dtype=np.int64)
        table[1:] = np.array([rest[others] if others is not None else DEAD for _, others in numbers])[:, None]
        table[:, columns[SURROGATES[0]] : columns[SURROGATES[1]]] = DEAD
        states, read, targets = zip(*moves, strict=True) if moves else ((), (), ())
        table[[*states], [columns[point] for point in read]] = targets
        ends: dict[int, list[int]] = {}
        for (trie, others), number in numbers.items():
            end = trie.end[0] if trie.end is not None else others
            if end is not None:
                ends.setdefault(end, []).append(number)
        accepting = np.zeros(len(table), dtype=np.bool_)
        accepting[[number for of_end in ends.values() for number in of_end]] = True
        leaf = Leaf(
            Dfa(cuts, table, accepting, 1),
            Spelling.JSON_CANONICAL,
            tuple((np.array(of_end), end) for end, of_end in ends.items()),
        )
        for node, (state, goals) in self._entries.items():
            self._program.leaves[state] = Entry(leaf, numbers[node], goals)

    def _numbers(self) -> dict[Node, int]:
        """All nodes below the entries, numbered from 1; and for all others, one that stands for any key."""
        numbers: dict[Node, int] = {}
        queue = list(self._entries)
        for node in queue:  # grows as it is read
            if node not in numbers:
                numbers[node] = len(numbers) + 1
                trie, others = node
                queue += [(child, others) for child in trie.children.values()]
                if others is not None:
                    queue.append((_REST, others))
        return numbers

    def _moves(self, numbers: dict[Node, int]) -> Iterator[tuple[int, int, int]]:
        for (trie, others), number in numbers.items():
            for character, child in trie.children.items():
                yield number, ord(character), numbers[child, others]


_REST = KeyTrie()
"""No key in particular."""
