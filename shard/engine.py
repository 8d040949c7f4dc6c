"""The loop that turns queued sequences into streams of tokens."""

from __future__ import annotations

import asyncio
import logging
from array import array
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING, Protocol, TypeAlias

from protos.errors import GenerationError, InvalidRequestError, OverloadedError, UnavailableError
from shard.answer import Answer, Event, Sampled
from shard.counters import Counters
from shard.scheduler import Scheduler
from shard.sequence import Sequence, Slice
from shard.step_masks import StepMasks

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Masks: TypeAlias = Mapping[Sequence, NDArray[np.int32]]

MASK_SECONDS = 0.01
MASK_SHARE = 0.25
"""Hundreds of new masks can be asked for at once: so much of a step may go to them."""

logger = logging.getLogger(__name__)


class Model(Protocol):
    """What the engine needs of a model."""

    def step(self, slices: list[Slice], masks: Callable[[], Masks]) -> Mapping[Sequence, list[Sampled]]:
        """Read the slices and sample tokens for each sequence whose end they reach: one, or more by drafts.

        `masks()` finds the token masks, which takes time, so it is called after the forward pass has been
        launched. It has one for each row with a grammar, but for those after a draft that is not allowed.
        """


class Drafter(Protocol):
    """What the engine needs to know what is likely to come next."""

    def propose(self, sequence: Sequence) -> Iterable[int]:
        """The next tokens of the answer, at most as many as can be used."""


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

    def __init__(
        self,
        model: Model,
        scheduler: Scheduler,
        *,
        drafter: Drafter | None = None,
        counters: Counters | None = None,
        mask_seconds: float = MASK_SECONDS,
        mask_share: float = MASK_SHARE,
    ) -> None:
        """Without a drafter, a sequence gets one token a step.

        A step computes new masks for `mask_seconds`, or `mask_share` of the step before if that is more.
        """
        self._counters = counters or Counters()
        self._mask_seconds = mask_seconds
        self._mask_share = mask_share
        self._model = model
        self._scheduler = scheduler
        self._drafter = drafter
        self._streams: dict[Sequence, _Stream] = {}
        self._arrived = asyncio.Event()
        self._ended = False
        self._step_seconds = 0.0

    @property
    def scheduler(self) -> Scheduler:
        """To look at."""
        return self._scheduler

    @property
    def drafts(self) -> bool:
        """Whether forced text is read ahead."""
        return self._drafter is not None

    async def run(self) -> None:
        """Serve until cancelled. An error of the model ends the loop: open generations fail, new ones too."""
        # Of its own: a thread that always computes keeps its pool of workers, and no other work delays it.
        with ThreadPoolExecutor(1, "forward") as forward:
            try:
                while True:
                    slices = self._scheduler.plan()
                    if slices:
                        await self._step(slices, forward)
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
        self._draft(sequence)
        stream = self._streams[sequence] = _Stream(answer)
        self._scheduler.add(sequence)
        self._arrived.set()
        try:
            yield stream.until_finished()
        finally:
            self._scheduler.remove(sequence)
            del self._streams[sequence]

    async def _step(self, slices: list[Slice], forward: ThreadPoolExecutor) -> None:
        for each in slices:
            if stream := self._streams.get(each.sequence):
                stream.answer.timing.start()
        sampling = [each.sequence for each in slices if each.samples]
        masks = StepMasks(slices, enough=max(self._mask_seconds, self._mask_share * self._step_seconds))
        began = perf_counter()
        loop = asyncio.get_running_loop()
        sampled = await loop.run_in_executor(forward, self._model.step, slices, masks.find)
        self._step_seconds = perf_counter() - began
        self._counters.steps += 1
        self._counters.drafted_tokens += sum(len(each.drafts) for each in slices)
        self._scheduler.settle(slices)
        for sequence in sampling:
            if sequence in masks.late:
                sequence.computed -= 1  # its last token is read again, for its logits
                self._counters.late_masks += 1
            else:
                self._deliver(sequence, sampled[sequence], masks.failures.get(sequence))

    def _deliver(self, sequence: Sequence, sampled: list[Sampled], failure: Exception | None) -> None:
        """Append the tokens and tell the caller. What fails here is this sequence's own and ends only it."""
        stream = self._streams.get(sequence)
        if stream is None:  # its caller has left while the model ran
            return
        try:
            if failure:
                raise failure
            for place, each in enumerate(sampled):
                sequence.append(each.token_id)
                self._counters.accepted_tokens += place > 0
                if sequence.constraint is not None:
                    sequence.constraint.advance(each.token_id)
                event = stream.answer.add(each)
                stream.events.put_nowait(event)
                if event.finish_reason:
                    self._scheduler.remove(sequence)
                    return
            sequence.computed = len(sequence.tokens) - 1  # the drafts among them have been read
            self._draft(sequence)
        except Exception as error:
            logger.exception("one generation fails")
            self._scheduler.remove(sequence)
            stream.events.put_nowait(GenerationError(f"the generation failed: {error}"))

    def _draft(self, sequence: Sequence) -> None:
        if self._drafter is not None:
            sequence.drafts = array("i", self._drafter.propose(sequence))

    def _end(self, error: Exception) -> None:
        self._ended = True
        for stream in self._streams.values():
            stream.events.put_nowait(error)
