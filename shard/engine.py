"""The loop that turns queued sequences into streams of tokens."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeAlias

from protos.errors import GenerationError, InvalidRequestError, OverloadedError, UnavailableError
from shard.answer import Answer, Event, Sampled
from shard.scheduler import Scheduler
from shard.sequence import Sequence, Slice

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Masks: TypeAlias = Mapping[Sequence, NDArray[np.int32]]

logger = logging.getLogger(__name__)


class Model(Protocol):
    """What the engine needs of a model."""

    def step(self, slices: list[Slice], masks: Callable[[], Masks]) -> Mapping[Sequence, Sampled]:
        """Read the slices and sample a token for each sequence whose end they reach.

        `masks()` waits for the token masks, so it is called after the forward pass has been launched.
        """


@dataclass
class _Stream:
    answer: Answer
    events: asyncio.Queue[Event | Exception] = field(default_factory=asyncio.Queue)

    async def until_finished(self) -> AsyncIterator[Event]:
        while True:
            event = await self.events.get()
            if isinstance(event, Exception):
                raise event
            yield event
            if event.finish_reason:
                return


class Engine:
    """Owns the scheduler and the streams: only the event loop touches them. Only the model runs in a thread.

    A stream exists for as long as its `generation` block is open, and its sequence is in the scheduler for
    as long as the answer goes on.
    """

    def __init__(self, model: Model, scheduler: Scheduler) -> None:
        self._model = model
        self._scheduler = scheduler
        self._streams: dict[Sequence, _Stream] = {}
        self._arrived = asyncio.Event()
        self._ended = False
        self.steps = 0
        """How many steps the model has made."""

    @property
    def scheduler(self) -> Scheduler:
        """To look at."""
        return self._scheduler

    async def run(self) -> None:
        """Serve until cancelled. An error of the model ends the loop: open generations fail, new ones too."""
        # Threads of its own: one that always computes keeps its pool of workers, and no other work delays it.
        with ThreadPoolExecutor(1, "forward") as forward, ThreadPoolExecutor(1, "masks") as masks:
            try:
                while True:
                    slices = self._scheduler.plan()
                    if slices:
                        await self._step(slices, forward, masks)
                    else:
                        self._arrived.clear()
                        await self._arrived.wait()
            except Exception as error:
                logger.exception("the engine's loop ends")
                self._end(GenerationError(f"the model failed: {type(error).__name__}"))
                raise
            finally:
                self._end(UnavailableError("the shard is going down"))

    @asynccontextmanager
    async def generation(self, sequence: Sequence, answer: Answer) -> AsyncIterator[AsyncIterator[Event]]:
        """Run `sequence` for as long as the block is open; leaving it for any reason frees its blocks.

        Raises:
            InvalidRequestError: the sequence could never fit into the cache.
            OverloadedError: too many sequences wait.
            UnavailableError: the loop has ended.
            GenerationError: from the events, if the generation fails.
        """
        if self._ended:
            raise UnavailableError("the shard is going down")
        if not self._scheduler.fits(sequence):
            raise InvalidRequestError("the request needs more tokens than the key-value cache can hold")
        if self._scheduler.full:
            raise OverloadedError("Model is overloaded")
        stream = self._streams[sequence] = _Stream(answer)
        self._scheduler.add(sequence)
        self._arrived.set()
        try:
            yield stream.until_finished()
        finally:
            self._scheduler.remove(sequence)
            del self._streams[sequence]

    async def _step(
        self, slices: list[Slice], forward: ThreadPoolExecutor, masks: ThreadPoolExecutor
    ) -> None:
        for each in slices:
            if stream := self._streams.get(each.sequence):
                stream.answer.timing.start()
        sampling = [each.sequence for each in slices if each.samples]
        constrained = [sequence for sequence in sampling if sequence.constraint is not None]
        grammar = masks.submit(_masks, constrained) if constrained else None
        loop = asyncio.get_running_loop()
        sampled = await loop.run_in_executor(forward, self._model.step, slices, lambda: _rows(grammar))
        self.steps += 1
        self._scheduler.settle(slices)
        failures = grammar.result()[1] if grammar else {}
        for sequence in sampling:
            self._deliver(sequence, sampled[sequence], failures.get(sequence))

    def _deliver(self, sequence: Sequence, sampled: Sampled, failure: Exception | None) -> None:
        """Append the token and tell the caller. What fails here is this sequence's own and ends only it."""
        stream = self._streams.get(sequence)
        if stream is None:  # its caller has left while the model ran
            return
        try:
            if failure:
                raise failure
            sequence.append(sampled.token_id)
            if sequence.constraint is not None:
                sequence.constraint.advance(sampled.token_id)
            event = stream.answer.add(sampled)
        except Exception as error:
            logger.exception("one generation fails")
            self._scheduler.remove(sequence)
            stream.events.put_nowait(GenerationError(f"the generation failed: {error}"))
            return
        if event.finish_reason:
            self._scheduler.remove(sequence)
        stream.events.put_nowait(event)

    def _end(self, error: Exception) -> None:
        self._ended = True
        for stream in self._streams.values():
            stream.events.put_nowait(error)


_MasksAndFailures: TypeAlias = "tuple[dict[Sequence, NDArray[np.int32]], dict[Sequence, Exception]]"


def _masks(sequences: list[Sequence]) -> _MasksAndFailures:
    masks: dict[Sequence, NDArray[np.int32]] = {}
    failures: dict[Sequence, Exception] = {}
    for sequence in sequences:
        try:
            assert sequence.constraint is not None
            mask = sequence.constraint.mask()
            if not mask.any():
                raise ValueError("the grammar allows no token here")
            masks[sequence] = mask
        except Exception as error:
            failures[sequence] = error
    return masks, failures


def _rows(grammar: Future[_MasksAndFailures] | None) -> Masks:
    return grammar.result()[0] if grammar else {}
