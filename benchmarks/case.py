"""A schema to judge engines by, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from benchmarks.engines.catalogue import EngineName

Microseconds = NDArray[np.float32]
"""(measurements,): one number for each."""


@dataclass(frozen=True, kw_only=True)
class Instance:
    """A JSON value, and whether it is valid by the schema."""

    text: str
    """As `json.dumps` writes it by default."""
    valid: bool
    description: str


@dataclass(frozen=True, kw_only=True)
class Case:
    """A schema with its instances. Everything is text, so it travels between processes at any depth."""

    name: str
    group: str
    """The split or file that it belongs to."""
    schema: str
    instances: tuple[Instance, ...]


class Clock(StrEnum):
    """How time is measured."""

    WALL = "wall"
    CPU = "cpu"
    """Of the engine's process: other work on the machine matters less, but asking takes 0.5 µs more."""


class Outcome(StrEnum):
    """What an engine made of a schema."""

    COMPILED = "compiled"
    REFUSED = "refused"
    CONTRADICTION = "contradiction"
    """Refused because nothing satisfies the schema, and none of its instances does."""
    HUNG = "hung"
    CRASHED = "crashed"


class Judgement(StrEnum):
    """What an engine made of an instance."""

    RIGHT = "right"
    VALID_REFUSED = "valid, but refused"
    KEY_ORDER = "valid, but refused for its key order alone"
    INVALID_ACCEPTED = "invalid, but accepted"


@dataclass(frozen=True, kw_only=True)
class Times:
    """What it took the engine."""

    compile: float
    """Microseconds for the schema."""
    first: Microseconds
    """Masks after beginnings of answers that had not been met before; the very first with all that a first
    answer needs."""
    warm: Microseconds
    """The same masks and all others, asked for once more."""
    advance: Microseconds
    """Taking a token, once more."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """One engine on one case. `judgements` are those of the case's instances, in order, if it compiled."""

    case: Case
    engine: EngineName
    outcome: Outcome
    reason: str = ""
    """Why it was not compiled."""
    judgements: tuple[Judgement, ...] = ()
    times: Times | None = None

    @property
    def all_right(self) -> bool:
        """Compiled, and right about every instance."""
        return self.outcome is Outcome.COMPILED and set(self.judgements) <= {Judgement.RIGHT}

    @property
    def all_right_but_order(self) -> bool:
        """Compiled, and right about every instance, save those refused for their key order alone."""
        excused = {Judgement.RIGHT, Judgement.KEY_ORDER}
        return self.outcome is Outcome.COMPILED and set(self.judgements) <= excused
