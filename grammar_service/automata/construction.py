"""What a deterministic automaton is made of: callees, their calls, and blocks of a leaf's states."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from grammar_service.automata.program import Procedure

States = tuple[int, ...]
"""A sorted set of program states."""


@dataclass(eq=False)
class Callee:
    """A set of procedures that run as one, and what the ways it can end in mean.

    Its labels number the sets of procedures that can end at the same byte; every call of it has one target
    a label.
    """

    number: int
    labels: dict[frozenset[Procedure], int] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)


@dataclass(eq=False)
class Call:
    """A call, and where it returns to."""

    caller: Callee
    entry: int
    targets: tuple[tuple[Procedure, States], ...]
    """Where each of the callee's procedures returns to."""
    row: list[int] = field(default_factory=list)
    """The state that each label returns to."""


@dataclass(eq=False)
class BlockCall:
    """The calls that a byte range makes from some states of a block."""

    members: NDArray[np.int64]
    """The states, counted from the first of the block."""
    low: int
    high: int
    callee: Callee
    entry: int
    columns: dict[Procedure, int]
    """For each of the callee's procedures, the column that says where it returns to."""


@dataclass(eq=False)
class Block:
    """States of a leaf, or of some together, taken over whole: their numbers are consecutive from `first`."""

    first: int
    targets: NDArray[np.int64]
    """(states, columns): the numbers that they lead to."""
    after: list[tuple[NDArray[np.int64], int]]
    """Accepting states, counted from the first, and the state whose moves they have as well."""
    plain: list[tuple[int, int, int]] = field(default_factory=list)
    """(first byte, last byte, column)"""
    calls: list[BlockCall] = field(default_factory=list)
