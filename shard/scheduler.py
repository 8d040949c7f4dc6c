"""Which tokens of which sequences the model reads next."""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Iterable
from itertools import accumulate

from shard.blocks import Blocks
from shard.sequence import Sequence, Slice


class Scheduler:
    """Continuous batching without phases: each step, every running sequence gets min(pending, budget) tokens.

    Running sequences are in order of arrival and own blocks; waiting ones own none. Between `plan` and
    `settle` the model writes to the blocks of the planned sequences, so they are never handed out meanwhile.
    """

    def __init__(self, blocks: Blocks, *, max_running: int, max_waiting: int, token_budget: int) -> None:
        """At most `token_budget` tokens are read in a step, by at most `max_running` sequences."""
        self.blocks = blocks
        self._max_running = max_running
        self._max_waiting = max_waiting
        self._token_budget = token_budget
        self._running: list[Sequence] = []
        self._waiting: deque[Sequence] = deque()
        self._in_flight: set[Sequence] = set()
        self._departed: set[Sequence] = set()

    @property
    def full(self) -> bool:
        """Whether too many sequences wait for one more to be added."""
        return len(self._waiting) >= self._max_waiting

    @property
    def running(self) -> int:
        """How many sequences the model reads."""
        return len(self._running)

    @property
    def waiting(self) -> int:
        """How many sequences wait for blocks or for their turn."""
        return len(self._waiting)

    def fits(self, sequence: Sequence) -> bool:
        """Whether the sequence could run to its end if it had the cache for itself."""
        return self.blocks.fits(sequence.longest)

    def add(self, sequence: Sequence) -> None:
        """Queue a sequence that `fits`."""
        self._waiting.append(sequence)

    def remove(self, sequence: Sequence) -> None:
        """Forget a sequence, whatever it is doing; its blocks are free once no step writes to them."""
        if sequence in self._running:
            self._running.remove(sequence)
        elif sequence in self._waiting:
            self._waiting.remove(sequence)
        if sequence in self._in_flight:
            self._departed.add(sequence)
        else:
            self.blocks.release(sequence)

    def plan(self) -> list[Slice]:
        """The next step. `settle` must follow, once the model has read it, before the next plan."""
        slices: list[Slice] = []
        budget = self._token_budget
        for sequence in self._running:  # its tail may be preempted as we go, never what we passed
            if not budget:
                break
            if self._make_room(sequence):
                slices.append(Slice(sequence, min(sequence.pending, budget)))
                budget -= slices[-1].count
        while budget and self._waiting and len(self._running) < self._max_running:
            sequence = self._waiting[0]
            if not self.blocks.enter(sequence):
                break
            self._running.append(self._waiting.popleft())
            slices.append(Slice(sequence, min(sequence.pending, budget)))
            budget -= slices[-1].count
        slices = self._with_drafts(slices, budget)
        self._in_flight.update(each.sequence for each in slices)
        return slices

    def settle(self, slices: Iterable[Slice]) -> None:
        """Record that the model has read the planned step; that it has read drafts counts for nothing yet."""
        for each in slices:
            sequence = each.sequence
            self._in_flight.remove(sequence)
            if sequence in self._departed:
                self._departed.remove(sequence)
                self.blocks.release(sequence)
            else:
                sequence.computed += each.count - len(each.drafts)
                self.blocks.commit(sequence)

    def _with_drafts(self, slices: list[Slice], budget: int) -> list[Slice]:
        """The slices with as many drafts as budget and free blocks allow: they take nothing from others."""
        drafted = []
        for each in slices:
            sequence = each.sequence
            tokens = sequence.drafts[:budget] if each.samples else array("i")
            if tokens and self.blocks.extend(sequence, drafts=len(tokens)):
                _, *ahead = accumulate(tokens, Sequence.ahead, initial=sequence)
                each = Slice(sequence, each.count + len(tokens), tuple(ahead))
                budget -= len(tokens)
            drafted.append(each)
        return drafted

    def _make_room(self, sequence: Sequence) -> bool:
        """Preempt the youngest until the sequence has its blocks; False if it was itself the youngest."""
        while not self.blocks.extend(sequence):
            youngest = self._running.pop()
            self.blocks.release(youngest)
            self._waiting.appendleft(youngest)
            if youngest is sequence:
                return False
        return True
