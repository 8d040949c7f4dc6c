"""How soon an answer can end after each of the tokens that are allowed next."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from protos.automaton import Configuration
from shard.needs import NEVER, Needs
from shard.trie import Index, Trie, expanded
from shard.vocabulary import Vocabulary
from shard.walk import Stacks, Visits

CONTINUATIONS = range(0x80, 0xC0)
"""The bytes of a character after its first."""


class Reach:
    """The tokens that are allowed in one configuration, by how many more they need to the end of the answer.

    Among them is one that needs fewer than the configuration itself, unless the answer may end there.
    """

    def __init__(
        self, configuration: Configuration, visits: Visits, needs: Needs, vocabulary: Vocabulary
    ) -> None:
        """`visits` are those of a walk from `configuration`."""
        self._trie = trie = vocabulary.trie
        self.version = needs.version
        """Of the needs: when that has changed, it is time for a new reach."""
        found = Found.of(configuration, visits, trie)
        after = np.fromiter(map(needs.tokens, found.after), dtype=np.intp, count=len(found.after))
        plan = needs.plan(configuration)
        nodes, own = found.nodes, after[found.which]
        if plan.node:
            # There already, but for a token that ends within a character: of those only a bound is known.
            nodes, own = np.append(nodes, plan.node), np.append(own, plan.tokens - 1)
        self._begins, self._ends, self._own = trie.begin.take(nodes), trie.own_end.take(nodes), own
        self._whole_begins, self._whole_ends = trie.begin.take(visits.whole), trie.end.take(visits.whole)
        self._along = np.fromiter(map(needs.tokens, found.along), dtype=np.intp, count=len(found.along))
        self._missing = _missing(vocabulary)
        most_along = int(self._along.max()) + int(self._missing[-1]) if found.along else 0
        self.most = max(int(own.max(initial=0)), most_along)
        """The most tokens that any of them may need."""

    def within(self, limit: int) -> Index:
        """Ids of the tokens after which the answer needs at most `limit` more; some may be there twice."""
        soon = (self._own <= limit).nonzero()[0]
        ranks = expanded(self._begins[soon], self._ends[soon])
        along = expanded(self._whole_begins, self._whole_ends)
        if len(along):
            nodes = self._trie.node_of.take(along)
            places = np.minimum(self._trie.begun.take(nodes), len(self._along) - 1)
            needed = self._along.take(places) + self._missing.take(self._trie.missing.take(nodes))
            ranks = np.append(ranks, along[needed <= limit])
        token_ids: Index = self._trie.token_ids.take(ranks)
        return token_ids


def most_bytes(configuration: Configuration, visits: Visits, needs: Needs, vocabulary: Vocabulary) -> int:
    """As `Reach.most`, if every byte took a token of its own: never less, but found sooner."""
    stacks = visits.stacks
    keys = [np.zeros(0, np.intp), *(live.states * stacks.count + live.tops for live in visits.levels)]
    after = {*_configurations(np.unique(np.concatenate(keys)), stacks), *(end for _, end in visits.others)}
    most = max(map(needs.tokens_by_bytes, after), default=0)
    along = _along(configuration, visits)
    if not along:
        return most
    return max(most, max(map(needs.tokens_by_bytes, along)) + int(_missing(vocabulary)[-1]))


def _configurations(keys: Index, stacks: Stacks) -> list[Configuration]:
    """What `keys`, each a state * stacks.count + the top of a stack, stand for."""
    places = [divmod(key, stacks.count) for key in keys.tolist()]
    rows = {top: stacks.rows(top) for top in {top for _, top in places}}
    return [Configuration(state, rows[top]) for state, top in places]


def _along(begun: Configuration, visits: Visits) -> list[Configuration]:
    """Where nodes that were not read lead, by the number of their characters."""
    states = visits.path.states.tolist() if visits.path and len(visits.whole) else []
    return [Configuration(state, begun.stack) for state in states]


def _missing(vocabulary: Vocabulary) -> Index:
    """(4,): the tokens that 0 to 3 missing bytes of a character need."""
    continues = vocabulary.spelled_bytes.issuperset(CONTINUATIONS)
    return np.array([0, 1, 2, 3] if continues else [0, NEVER, NEVER, NEVER], dtype=np.intp)


class Found(NamedTuple):
    """Where the tokens lead that a walk has found."""

    nodes: Index
    """Those that are tokens, of the ones that were read."""
    which: Index
    """Where each of them leads, as an index of `after`."""
    after: list[Configuration]
    along: list[Configuration]
    """Where nodes that were not read lead, by the number of their characters; more lead to the last one."""

    def steps(self, visits: Visits, trie: Trie) -> dict[Configuration, int]:
        """Each configuration that a token leads to, and its node; not all that are within a character."""
        places = zip(self.nodes.tolist(), self.which.tolist(), strict=True)
        steps = {self.after[place]: node for node, place in places}
        ranks = expanded(trie.begin.take(visits.whole), trie.end.take(visits.whole))
        nodes = trie.node_of.take(ranks)
        counts, first = np.unique(trie.characters.take(nodes), return_index=True)
        for count, node in zip(counts.tolist(), nodes.take(first).tolist(), strict=True):
            if count >= 0:
                steps[self.along[min(count, len(self.along) - 1)]] = node
        return steps

    @classmethod
    def of(cls, begun: Configuration, visits: Visits, trie: Trie) -> Found:
        levels, stacks = visits.levels, visits.stacks
        if not levels:
            nodes = states = tops = np.zeros(0, dtype=np.intp)
        else:
            nodes, states, tops = (np.concatenate(column) for column in zip(*levels, strict=True))
        tokens = (trie.begin.take(nodes) < trie.own_end.take(nodes)).nonzero()[0]
        keys, which = np.unique(states.take(tokens) * stacks.count + tops.take(tokens), return_inverse=True)
        others = [(node, end) for node, end in visits.others if trie.spells(node)]
        places: dict[Configuration, int] = {}

        def place(configuration: Configuration) -> int:  # equal ones may have different keys
            return places.setdefault(configuration, len(places))

        by_key = [place(configuration) for configuration in _configurations(keys, stacks)]
        by_hand = [place(end) for _, end in others]
        return cls(
            nodes=np.append(nodes.take(tokens), [node for node, _ in others]).astype(np.intp),
            which=np.append(np.array(by_key, dtype=np.intp)[which], by_hand).astype(np.intp),
            after=list(places),
            along=_along(begun, visits),
        )
