"""What the benchmarks need of an engine for constrained decoding."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.int32]
"""(ceil(vocabulary / 32),): bit i of word w, counted from the least significant, allows token 32 * w + i."""


class RefusedError(Exception):
    """The engine says that it cannot enforce this schema. The message is its reason."""


class ContradictionError(RefusedError):
    """The engine says that nothing satisfies this schema."""


class Matcher(Protocol):
    """Where one answer stands: all its tokens so far were allowed, each where it came."""

    def mask(self) -> Mask:
        """The tokens that may come next; the buffer may be written over by the next call."""

    def advance(self, token_id: int) -> None:
        """Take the next token, which the mask allows."""


class CompiledSchema(Protocol):
    """A schema that the engine took."""

    def matcher(self) -> Matcher:
        """A new answer. It makes the one before it invalid."""


class Engine(Protocol):
    """An engine that has read the vocabulary and is ready to compile."""

    def compile(self, schema: str) -> CompiledSchema:
        """Compile the JSON text of a schema.

        Raises:
            RefusedError: the engine says no. Anything else that is raised counts as a crash.
        """
