"""How many tokens it takes from a configuration to the end of the answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from protos.automaton import Automaton, Configuration
from protos.errors import InvalidRequestError
from protos.ways import Frame, Way, Ways
from shard.vocabulary import Vocabulary

NEVER = 1 << 30
"""Tokens from where there is no end, or none that the vocabulary spells."""

LONGEST_TEXT = 4096
"""Bytes of an ending that is split into tokens; a longer one is said to take a token for every byte."""

MOST_PLANS = 1 << 16
"""Configurations that are remembered at a time, for one grammar."""


class Plan(NamedTuple):
    """One way from a configuration to the end, in tokens."""

    tokens: int
    node: int
    """That of its first token in the trie; 0 if there is none."""
    byte: int
    """The first byte of the shortest ending."""
    following: Configuration | None
    """The configuration after that byte; None where that is not known, or at the end."""


class Step(NamedTuple):
    """A token that is taken."""

    configuration: Configuration
    """Where."""
    node: int
    """That of the token in the trie."""


_NO_PLAN = Plan(NEVER, 0, 0, None)


class Needs:
    """Tells of the configurations of one automaton how many tokens they need to the end, at most.

    The number is that of the fewest tokens that spell the shortest ending. So where it is not 0, a token is
    allowed that lowers it: `Plan.node` is one. The end-of-sequence token is not counted.
    """

    def __init__(self, automaton: Automaton, vocabulary: Vocabulary) -> None:
        self._automaton = automaton
        self._trie = vocabulary.trie
        self._ways = Ways(automaton)
        self._longest = vocabulary.longest
        ending = np.unique(automaton.endings.first_bytes[automaton.endings.lengths > 0])
        self._by_bytes = vocabulary.spelled_bytes.issuperset(ending.tolist())
        """Whether every byte of every shortest ending is a token."""
        self._frames: dict[tuple[int, ...], Frame | None] = {(): None}
        self._bytes: dict[Configuration, int] = {}
        self._plans: dict[Configuration, Plan] = {}
        self._shortcuts: dict[Configuration, Plan] = {}
        self.version = 0
        """Changes when some numbers become smaller. They never become greater."""

    def way(self, configuration: Configuration) -> Way | None:
        """The shortest way to the end, in bytes; None if there is none within `max_depth`."""
        return self._ways.shortest(configuration.state, self._frame(configuration.stack))

    def tokens_by_bytes(self, configuration: Configuration) -> int:
        """As `tokens`, if every byte took a token of its own: never less, but found at once."""
        found = self._bytes.get(configuration)
        if found is None:
            way = self.way(configuration)
            possible = way is not None and (self._by_bytes or way.length == 0)
            found = self._bytes[configuration] = way.length if way is not None and possible else NEVER
            if len(self._bytes) > MOST_PLANS:
                self._bytes = {}
        return found

    def tokens(self, configuration: Configuration) -> int:
        """Tokens to the end at most; 0 exactly where the answer may end, `NEVER` if there is no end.

        Raises:
            InvalidRequestError: the endings are not those of the automaton.
        """
        return self.plan(configuration).tokens

    def plan(self, configuration: Configuration) -> Plan:
        """How to end in as many tokens as `tokens` says. Raises what it raises."""
        found = self._shortcuts.get(configuration) or self._plans.get(configuration)
        return found or self._explore(configuration)

    def learn(self, steps: Sequence[Step], end: Configuration) -> None:
        """From now on know that these steps lead to `end`, from where the rest is known."""
        tokens = self.tokens(end)
        for step in reversed(steps):
            tokens += 1
            before = self.plan(step.configuration)
            if tokens < before.tokens:
                self._shortcuts[step.configuration] = before._replace(tokens=tokens, node=step.node)
        self.version += 1

    def _frame(self, stack: tuple[int, ...]) -> Frame | None:
        frames = self._frames
        depth = len(stack)
        while (known := frames.get(stack[:depth], frames)) is frames:
            depth -= 1
        frame = known if isinstance(known, Frame) else None
        for top in range(depth, len(stack)):
            frame = frames[stack[: top + 1]] = Frame(stack[top], frame)
        return frame

    def _explore(self, configuration: Configuration) -> Plan:
        """Follow the shortest ending to where it is known, then split it into tokens from there back."""
        if len(self._plans) > MOST_PLANS:  # new ones, since another thread may be using those
            self._plans, self._frames = {}, {(): None}
        plans = self._plans
        way = self.way(configuration)
        if way is None or (way.length > LONGEST_TEXT and not self._by_bytes):
            return _NO_PLAN
        if way.length > LONGEST_TEXT:
            return Plan(way.length, self._trie.child(0, way.byte), 0, None)
        chain, text = self._chain(configuration, plans)
        needs = [NEVER] * len(chain)
        here = chain[-1].following
        while here is not None and len(needs) <= len(chain) + self._longest:
            plan = plans[here]
            needs.append(self._shortcuts.get(here, plan).tokens)
            if plan.following is not None:
                text.append(plan.byte)
            here = plan.following
        for place in reversed(range(len(chain))):
            link = chain[place]
            needs[place], node = self._split(text, place, needs) if link.following else (0, 0)
            plans[link.configuration] = Plan(needs[place], node, link.byte, link.following)
        return plans[configuration]

    def _chain(
        self, configuration: Configuration, plans: dict[Configuration, Plan]
    ) -> tuple[list[_Link], bytearray]:
        """The configurations on the shortest way that have no plan, at least one, and the bytes between."""
        chain: list[_Link] = []
        text = bytearray()
        here: Configuration | None = configuration
        length = LONGEST_TEXT + 1
        while here is not None and here not in plans:
            way = self.way(here)
            if way is None or way.length >= length or (way.length == 0) != self._automaton.ends(here):
                raise InvalidRequestError("automaton: its endings do not lead to an end")
            length = way.length
            following = self._automaton.step(here, way.byte) if length else None
            if following is not None:
                text.append(way.byte)
            elif length:
                raise InvalidRequestError("automaton: its endings do not lead to an end")
            chain.append(_Link(here, way.byte, following))
            here = following
        return chain, text

    def _split(self, text: bytearray, begin: int, needs: list[int]) -> tuple[int, int]:
        """The fewest tokens of the text from `begin` on, and the first one's node.

        `needs` has those of what follows, as far as a token can reach.
        """
        fewest, first, node = NEVER, 0, 0
        for stop in range(begin + 1, len(text) + 1):
            node = self._trie.child(node, text[stop - 1])
            if not node:
                break
            if needs[stop] + 1 < fewest and self._trie.spells(node):
                fewest, first = needs[stop] + 1, node
        return fewest, first


class _Link(NamedTuple):
    configuration: Configuration
    byte: int
    following: Configuration | None
