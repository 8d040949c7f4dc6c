"""The keys that may come next in an object, wherever one may come, as one automaton."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from grammar_service.automata.columns import SURROGATES, columns_of
from grammar_service.automata.dfa import DEAD, Dfa
from grammar_service.automata.program import Entry, Leaf, Program
from grammar_service.automata.spelling import Spelling


class KeyTrie:
    """A node of a trie of keys. Nodes are shared between tries and never changed.

    At the end of a key stands the state of the program that reads its closing quote; None stands for a key
    that may not come, not even among those that are not declared.
    """

    __slots__ = ("children", "end")

    def __init__(
        self, children: dict[str, KeyTrie] | None = None, end: tuple[int | None] | None = None
    ) -> None:
        """`end`: what stands here, in a tuple, if a key ends here at all."""
        self.children = children or {}
        self.end = end

    @classmethod
    def without(cls, keys: Iterable[str]) -> KeyTrie:
        """A trie of keys none of which may come."""
        root = cls()
        for key in keys:
            node = root
            for character in key:
                if character not in node.children:
                    node.children[character] = cls()
                node = node.children[character]
            node.end = (None,)
        return root

    @property
    def empty(self) -> bool:
        """Whether there is no key in it, allowed or not."""
        return not self.children and self.end is None

    def with_key(self, key: str, end: int | None) -> KeyTrie:
        """This trie and one key more, or with another end for it."""
        node, path = self, []
        for character in key:
            path.append(node)
            node = node.children.get(character, _REST)
        node = KeyTrie(node.children, (end,))
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
        if not self._entries:
            return
        nodes, rests, moves = self._explored()
        columns = columns_of({point for _, point, _ in moves})
        cuts = np.array([*columns], dtype=np.int64)
        table = np.zeros((len(nodes) + 1, len(cuts)), dtype=np.int64)
        table[1:] = np.array(rests)[:, None]
        table[:, columns[SURROGATES[0]] : columns[SURROGATES[1]]] = DEAD
        states, read, targets = zip(*moves, strict=True) if moves else ((), (), ())
        table[[*states], [columns[point] for point in read]] = targets
        ends: dict[int, list[int]] = {}
        for number, (trie, others) in enumerate(nodes, 1):
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
        for start, (state, goals) in enumerate(self._entries.values(), 1):
            self._program.leaves[state] = Entry(leaf, start, goals)

    def _explored(self) -> tuple[list[Node], list[int], list[tuple[int, int, int]]]:
        """All nodes below the entries, those first; for each, where characters lead that it has no child for;
        and the children: node, code point, child. Nodes are numbered from 1."""
        nodes, rests, moves = list(self._entries), list[int](), list[tuple[int, int, int]]()
        numbers = {node: number for number, node in enumerate(nodes, 1)}

        def number_of(node: Node) -> int:
            number = numbers.setdefault(node, len(nodes) + 1)
            if number > len(nodes):
                nodes.append(node)
            return number

        for number, (trie, others) in enumerate(nodes, 1):  # grows as it is read
            for character, child in trie.children.items():
                moves.append((number, ord(character), number_of((child, others))))
            rests.append(DEAD if others is None else number_of((_REST, others)))
        return nodes, rests, moves


_REST = KeyTrie()
"""No key in particular."""
