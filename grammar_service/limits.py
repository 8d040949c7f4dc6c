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
    max_alternatives: int = 2048
    """The most shapes that a sub-schema may unite: what `anyOf`, `oneOf`, `not` and `if` multiply to."""
    max_combinations: int = 32_768
    """The most shapes that may be intersected with one another while a schema is read."""
    max_unique_values: int = 10
    """The most values that items may have for `uniqueItems` to be enforced: each subset is a state."""
    max_schema_depth: int = 128
    """How deep the arrays and objects of a schema document may nest."""
