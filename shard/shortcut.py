"""Looks for an answer in fewer tokens than the one with the fewest bytes takes."""

from __future__ import annotations

from heapq import heappop, heappush
from itertools import count

from protos.automaton import Configuration
from shard.needs import Needs, Step
from shard.reach import Found
from shard.vocabulary import Vocabulary
from shard.walk import Walk

MOST_WALKS = 256
"""Configurations from which all tokens are tried."""


def find_shortcut(
    start: Configuration, walk: Walk, needs: Needs, vocabulary: Vocabulary
) -> tuple[list[Step], Configuration]:
    """Steps to a configuration from where to go on by `needs`, so that it takes the fewest tokens in all.

    A* (Hart, Nilsson and Raphael, 1968): what is left takes at least its bytes by those of the longest token,
    and at most what `needs` says, so a search often ends long before it reaches an end. One that has tried
    `MOST_WALKS` configurations ends with the best it has found.
    """
    came: dict[Configuration, tuple[int, Step | None]] = {start: (0, None)}
    fewest, best = needs.tokens(start), start
    order = count()
    open_: list[tuple[int, int, int, Configuration]] = [(0, fewest, next(order), start)]
    for _ in range(MOST_WALKS):
        if not open_:
            break
        bound, _, _, here = heappop(open_)
        if bound >= fewest:
            break
        taken = came[here][0] + 1
        visits = walk.visits(here)
        for after, node in Found.of(here, visits, vocabulary.trie).steps(visits, vocabulary.trie).items():
            way = needs.way(after)
            if way is None or (after in came and came[after][0] <= taken):
                continue
            came[after] = (taken, Step(here, node))
            total = taken + needs.tokens(after)
            if total < fewest:
                fewest, best = total, after
            bound = taken + -(-way.length // vocabulary.longest)
            if bound < fewest:
                heappush(open_, (bound, total, next(order), after))
    return _steps_to(best, came), best


def _steps_to(end: Configuration, came: dict[Configuration, tuple[int, Step | None]]) -> list[Step]:
    steps: list[Step] = []
    while (step := came[end][1]) is not None:
        steps.insert(0, step)
        end = step.configuration
    return steps
