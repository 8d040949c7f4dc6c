"""How large a compiled grammar may become."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Bounds that change what compiling gives, so they are part of a grammar's key."""

    max_states: int = 500_000
    """The most states an automaton may have, at any moment of its construction."""
    max_depth: int = 256
    """The most calls an answer may have open at once: how deep the JSON of a recursive grammar may nest."""
