"""Judges one engine by one case: does it tell the valid instances from the others, and how fast?"""

from __future__ import annotations

import gc
import json
from functools import cache
from pathlib import Path
from time import perf_counter_ns, process_time_ns
from typing import NamedTuple

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase

from benchmarks.case import Case, Clock, Instance, Judgement, Microseconds, Outcome, Times, Verdict
from benchmarks.engines.catalogue import EngineName
from benchmarks.engines.engine import CompiledSchema, ContradictionError, Engine, Mask, Matcher, RefusedError
from benchmarks.key_order import KeyOrder
from benchmarks.vocabulary import encode, load_tokenizer


class Replay(NamedTuple):
    """An answer given token by token, up to its end or to the first token that is not allowed."""

    accepted: bool
    masks: list[int]
    """Nanoseconds for each mask."""
    advances: list[int]
    """Nanoseconds for taking each allowed token."""


class Judge:
    """One engine that is ready, with the tokenizer that makes the instances' tokens."""

    def __init__(
        self, name: EngineName, engine: Engine, tokenizer: PreTrainedTokenizerBase, *, clock: Clock
    ) -> None:
        self._name = name
        self._engine = engine
        self._tokenizer = tokenizer
        self._now = perf_counter_ns if clock is Clock.WALL else process_time_ns
        self._eos_id: int = tokenizer.eos_token_id

    @classmethod
    @cache
    def of(cls, name: EngineName, tokenizer_folder: Path, clock: Clock) -> Judge:
        """The judge that a process keeps. The first call takes seconds."""
        torch.set_num_threads(1)
        tokenizer = load_tokenizer(tokenizer_folder)
        judge = cls(name, name.prepare(tokenizer), tokenizer, clock=clock)
        # What the imports left is nobody's garbage: it is not to be searched on the time of an engine that is
        # written in Python.
        gc.collect()
        gc.freeze()
        return judge

    def judge(self, case: Case) -> Verdict:
        """Compile the case's schema and give each instance as an answer, twice."""
        started = self._now()
        try:
            compiled = self._engine.compile(case.schema)
        except RefusedError as error:
            valid = any(instance.valid for instance in case.instances)
            contradiction = isinstance(error, ContradictionError) and not valid
            outcome = Outcome.CONTRADICTION if contradiction else Outcome.REFUSED
            return Verdict(case=case, engine=self._name, outcome=outcome, reason=str(error))
        compile_ns = self._now() - started
        tokens = [encode(self._tokenizer, instance.text) for instance in case.instances]
        accepted, first = self._first_answers(compiled, tokens)
        again = [self._replay(compiled.matcher(), token_ids) for token_ids in tokens]
        judgements = [
            self._judgement(compiled, case, instance, taken)
            for instance, taken in zip(case.instances, accepted, strict=True)
        ]
        return Verdict(
            case=case,
            engine=self._name,
            outcome=Outcome.COMPILED,
            judgements=tuple(judgements),
            times=Times(
                compile=compile_ns / 1000,
                first=_microseconds(first),
                warm=_microseconds([time for replay in again for time in replay.masks]),
                advance=_microseconds([time for replay in again for time in replay.advances]),
            ),
        )

    def _first_answers(
        self, compiled: CompiledSchema, answers: list[list[int]]
    ) -> tuple[list[bool], list[int]]:
        """Which answers are accepted, and the times of the masks after beginnings not met before."""
        met: set[tuple[int, ...] | int] = set()
        accepted, first = [], []
        for token_ids in answers:
            started = self._now()
            matcher = compiled.matcher()
            opening = self._now() - started
            replay = self._replay(matcher, token_ids)
            accepted.append(replay.accepted)
            beginning = 0
            for time, following in zip(replay.masks, [*token_ids, self._eos_id], strict=False):
                if beginning not in met:
                    first.append(time if met else time + opening)
                    met.add(beginning)
                beginning = hash((beginning, following))
        return accepted, first

    def _replay(self, matcher: Matcher, token_ids: list[int]) -> Replay:
        masks: list[int] = []
        advances: list[int] = []
        for token_id in token_ids:
            asked = self._now()
            mask = matcher.mask()
            masks.append(self._now() - asked)
            if not _allows(mask, token_id):
                return Replay(False, masks, advances)
            told = self._now()
            matcher.advance(token_id)
            advances.append(self._now() - told)
        asked = self._now()
        mask = matcher.mask()
        masks.append(self._now() - asked)
        return Replay(_allows(mask, self._eos_id), masks, advances)

    def _judgement(
        self, compiled: CompiledSchema, case: Case, instance: Instance, accepted: bool
    ) -> Judgement:
        if accepted == instance.valid:
            return Judgement.RIGHT
        if accepted:
            return Judgement.INVALID_ACCEPTED
        if self._name is EngineName.GUIDERAIL and self._accepts_reordered(compiled, case, instance):
            return Judgement.KEY_ORDER
        return Judgement.VALID_REFUSED

    def _accepts_reordered(self, compiled: CompiledSchema, case: Case, instance: Instance) -> bool:
        reordered = json.dumps(KeyOrder(json.loads(case.schema)).reordered(json.loads(instance.text)))
        return self._replay(compiled.matcher(), encode(self._tokenizer, reordered)).accepted


def _allows(mask: Mask, token_id: int) -> bool:
    return bool(mask[token_id >> 5] >> (token_id & 31) & 1)


def _microseconds(nanoseconds: list[int]) -> Microseconds:
    return np.array(nanoseconds, dtype=np.float32) / np.float32(1000)
