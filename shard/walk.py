"""Which tokens an automaton allows: the vocabulary's trie walked with the automaton, level by level."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from protos.automaton import DEAD, Automaton, Configuration
from shard.runs import Path, Runs
from shard.trie import Index, Trie

LONGEST_PATH = 200
"""States a path has at most: as many as the longest token has characters, but for freak tokens."""
FEW_NODES = 64
"""So many nodes of the trie are read one by one in the time that numpy takes for a level or two."""


class Walk:
    """Walks one automaton over one trie. What it learns about the automaton on the way, it keeps."""

    def __init__(self, trie: Trie, automaton: Automaton) -> None:
        self._trie = trie
        self._automaton = automaton
        self._num_states, self._num_classes = automaton.transitions.shape
        self._table = automaton.transitions.reshape(-1)
        self._classes = automaton.byte_classes.astype(np.intp)
        self._only: dict[int, int | None] = {}
        longest = min(int(trie.height[0]), LONGEST_PATH)
        self._runs = Runs(automaton, guide=trie.commonest_byte, longest=longest)

    def allowed(self, configuration: Configuration) -> tuple[Index, Index]:
        """The tokens whose bytes the automaton reads from `configuration` without dying.

        Returns (begins, ends), [ranges] each: disjoint, non-empty ranges of ranks in `Trie.token_ids`.
        """
        return self.ranges(self.visits(configuration))

    def ranges(self, visits: Visits) -> tuple[Index, Index]:
        """The tokens that a walk has found, as `allowed` returns them."""
        trie = self._trie
        nodes = np.fromiter((node for node, _ in visits.others), dtype=np.intp, count=len(visits.others))
        own = np.concatenate([*(live.nodes for live in visits.levels), nodes])
        begins = np.concatenate([trie.begin.take(own), trie.begin.take(visits.whole)])
        ends = np.concatenate([trie.own_end.take(own), trie.end.take(visits.whole)])
        filled = (begins < ends).nonzero()[0]
        return begins.take(filled), ends.take(filled)

    def visits(self, configuration: Configuration) -> Visits:
        """Walk from `configuration`: what is read without dying, and where that leads."""
        trie = self._trie
        node, begun, forced = self._forced(configuration)
        base = len(begun.stack)
        stacks = Stacks(begun.stack)
        path = None if forced else self._runs.path(begun.state, may_call=base < self._automaton.max_depth)
        live = Live(np.full(1, node), np.full(1, begun.state), np.full(1, base))
        levels: list[Live] = []
        covered: list[Index] = [live.nodes[:0]]
        while trie.size.take(live.nodes).sum() > FEW_NODES:
            nodes, parents = self._children(live.nodes)
            if path is not None:
                whole = self._whole(path, live, base, nodes, parents)
                covered.append(nodes[whole])
                walked = (~whole).nonzero()[0]
                nodes, parents = nodes.take(walked), parents.take(walked)
            live = self._step(live, nodes, parents, stacks)
            levels.append(live)
        others = self._read_one_by_one(live, stacks)
        return Visits(levels, forced + others, np.concatenate(covered), path, stacks)

    def only_byte(self, state: int) -> int | None:
        """The byte that must come next in a state, if it is only one."""
        if state not in self._only:
            allowed = self._automaton.transitions[state].astype(np.bool_)[self._automaton.byte_classes]
            self._only[state] = int(allowed.argmax()) if np.count_nonzero(allowed) == 1 else None
        return self._only[state]

    def _forced(self, begun: Configuration) -> tuple[int, Configuration, list[tuple[int, Configuration]]]:
        """Follow the bytes that must come: the last node and where that leads, and all nodes on the way."""
        trie, node, forced = self._trie, 0, list[tuple[int, Configuration]]()
        while trie.num_children[node] and (byte := self.only_byte(begun.state)) is not None:
            child, following = trie.child(node, byte), self._automaton.step(begun, byte)
            if not child or following is None:
                break  # and so does the walk from here
            node, begun = child, following
            forced.append((node, begun))
        return node, begun, forced

    def _children(self, nodes: Index) -> tuple[Index, Index]:
        """All children of the nodes, and for each the position of its parent in `nodes`."""
        counts = self._trie.num_children.take(nodes)
        stops = counts.cumsum()
        parents = np.arange(len(nodes)).repeat(counts)
        offsets = self._trie.first_child.take(nodes) - stops + counts
        return offsets.take(parents) + np.arange(len(parents)), parents

    def _whole(self, path: Path, live: Live, base: int, nodes: Index, parents: Index) -> NDArray[np.bool_]:
        """Which nodes are accepted unread, with all below: no token leaves the path after their parents."""
        trie = self._trie
        characters = trie.characters.take(live.nodes)
        positions = np.minimum(characters, len(path.states) - 1)
        on_path = (path.states.take(positions) == live.states) & (characters >= 0) & (live.tops == base)
        leaving = path.leaving_within(positions.take(parents), trie.height.take(nodes))
        leaving &= trie.onward.take(nodes, axis=0)
        stays = (leaving[:, 0] | leaving[:, 1] | leaving[:, 2] | leaving[:, 3]) == 0
        whole: NDArray[np.bool_] = stays & on_path.take(parents)
        return whole

    def _step(self, live: Live, nodes: Index, parents: Index, stacks: Stacks) -> Live:
        """Read the last byte of each of `nodes`; `parents` are positions in `live`. Keeps what lives."""
        byte_classes = self._classes.take(self._trie.byte.take(nodes))
        targets = self._table.take(live.states.take(parents) * self._num_classes + byte_classes)
        alive = targets.nonzero()[0]
        states = targets.take(alive).astype(np.intp)
        live = Live(nodes.take(alive), states, live.tops.take(parents.take(alive)))
        if not (states.view(np.uintp) >= self._num_states).any():
            return live
        self._call_and_return(live, stacks)
        alive = states.nonzero()[0]
        return Live(live.nodes.take(alive), states.take(alive), live.tops.take(alive))

    def _call_and_return(self, live: Live, stacks: Stacks) -> None:
        """Carry out, in place, those transitions among the states that are calls or returns."""
        automaton, states, tops = self._automaton, live.states, live.tops
        returning = (states >= self._num_states).nonzero()[0]
        if len(returning):
            labels = states[returning] - self._num_states
            states[returning] = DEAD  # and so it stays where the stack is empty
            full = stacks.depth[tops[returning]].nonzero()[0]
            top = tops[returning[full]]
            states[returning[full]] = automaton.returns[stacks.row[top] + labels[full]]
            tops[returning[full]] = stacks.rest[top]
        calling = (states < 0).nonzero()[0]
        if len(calling):
            top, call = tops[calling], -states[calling] - 1
            fits = stacks.depth[top] < automaton.max_depth
            states[calling] = np.where(fits, automaton.call_entries[call], DEAD)
            tops[calling] = stacks.push(top, automaton.call_rows[call])

    def _read_one_by_one(self, live: Live, stacks: Stacks) -> list[tuple[int, Configuration]]:
        """All nodes below that the automaton reaches alive, and where it is then."""
        trie = self._trie
        reached: list[tuple[int, Configuration]] = []
        pending = [
            (node, Configuration(state, stacks.rows(top)))
            for node, state, top in zip(*(each.tolist() for each in live), strict=True)
        ]
        while pending:
            node, configuration = pending.pop()
            first = int(trie.first_child[node])
            children = range(first, first + int(trie.num_children[node]))
            for child, byte in zip(children, trie.byte[first : children.stop].tolist(), strict=True):
                following = self._automaton.step(configuration, byte)
                if following is not None:
                    reached.append((child, following))
                    pending.append((child, following))
        return reached


class Live(NamedTuple):
    """The nodes of one level that the automaton reaches alive, its states there, its stacks' numbers."""

    nodes: Index
    states: Index
    tops: Index


class Visits(NamedTuple):
    """What a walk has found."""

    levels: list[Live]
    """The nodes that were read level by level."""
    others: list[tuple[int, Configuration]]
    """Those that were read one by one, each with the configuration after it."""
    whole: Index
    """Nodes that are accepted unread, with all below: every character in them follows `path`."""
    path: Path | None
    stacks: Stacks
    """Those of `levels`. The walk began with the one whose number is its depth."""


class Stacks:
    """Stacks that share what lies below their tops: number 0 is the empty one.

    They last for one walk. Equal stacks may get different numbers, but popping gives back the very number
    that was pushed upon.
    """

    def __init__(self, rows: tuple[int, ...]) -> None:
        """Number the stack of `rows`, the topmost last, and all those below it."""
        self.depth = np.arange(len(rows) + 1)
        self.rest = self.depth - 1
        self.row = np.array([0, *rows], dtype=np.intp)

    @property
    def count(self) -> int:
        """Numbers given so far."""
        return len(self.row)

    def push(self, tops: Index, rows: NDArray[np.int32]) -> Index:
        """The stacks `tops` with one more row on each."""
        number = len(self.row)
        self.row = np.append(self.row, rows)
        self.depth = np.append(self.depth, self.depth[tops] + 1)
        self.rest = np.append(self.rest, tops)
        return np.arange(number, len(self.row))

    def rows(self, top: int) -> tuple[int, ...]:
        """The rows of a stack, the topmost last."""
        rows = []
        while top:
            rows.append(int(self.row[top]))
            top = int(self.rest[top])
        return tuple(reversed(rows))
