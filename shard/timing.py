"""How long one request waited, and how long the model took for it."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic


class Timing:
    """A request arrives, is started once and stops once, in this order."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        """The request arrives now; `clock` counts seconds."""
        self._clock = clock
        self._arrived = clock()
        self._started: float | None = None
        self._stopped: float | None = None

    def start(self) -> None:
        """The model begins to read the prompt, if it has not before."""
        if self._started is None:
            self._started = self._clock()

    def stop(self) -> None:
        """The last token is there."""
        self._stopped = self._clock()

    @property
    def queue_seconds(self) -> float:
        """From arrival to start; 0 if it never started."""
        return 0.0 if self._started is None else self._started - self._arrived

    @property
    def inference_seconds(self) -> float:
        """From start to stop; 0 unless both have happened."""
        return 0.0 if self._started is None or self._stopped is None else self._stopped - self._started
