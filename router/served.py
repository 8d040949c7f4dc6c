"""The model that is served, known without asking the shard each time."""

from __future__ import annotations

from time import monotonic

from router.generation import Generator
from router.model import Model

REMEMBERED_SECONDS = 10.0
"""A shard may be replaced by one with another model."""


class ServedModel:
    """What the shard last said of itself, at most ten seconds ago."""

    def __init__(self, generator: Generator) -> None:
        self._generator = generator
        self._model: Model | None = None
        self._asked = 0.0

    async def get(self) -> Model:
        """The model.

        Raises:
            RequestError: the shard does not say which.
        """
        if self._model is None or monotonic() - self._asked > REMEMBERED_SECONDS:
            self._model, self._asked = await self._generator.model(), monotonic()
        return self._model
