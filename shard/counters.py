"""What a shard has done since it started, in numbers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Counters:
    """Plain numbers that only grow; each is written by one thread, and read by any."""

    steps: int = 0
    """Forward passes of the model."""
    drafted_tokens: int = 0
    """Draft tokens that were read."""
    accepted_tokens: int = 0
    """Those of them that became part of an answer."""
    mask_first_visits: int = 0
    """Token masks that were computed."""
    mask_hits: int = 0
    """Token masks that were known already."""
    mask_seconds: float = 0.0
    """Time that it took to compute them."""
    late_masks: int = 0
    """Times that a sequence waited a step for its mask."""
