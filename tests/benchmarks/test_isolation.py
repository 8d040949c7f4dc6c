"""Children with tasks that hang, die, or cannot even begin."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from typing import Any

import pytest

from benchmarks.isolation import Child, CrashedError, HungError, UnableToStartError

MEMORY = 256 << 20


def child(
    work: Callable[[Any], Any], *, prepare: Callable[[], object] = gc.collect, seconds: float = 30
) -> Child[Any, Any]:
    return Child(work, prepare=prepare, preload=(), seconds=seconds, memory_bytes=MEMORY)


def test_the_result_of_a_task_comes_back() -> None:
    with closing(child(abs)) as worker:
        assert worker.run(-3) == 3


def test_what_a_task_raises_comes_back() -> None:
    with closing(child(int)) as worker, pytest.raises(ValueError, match="invalid literal"):
        worker.run("x")


def test_a_task_that_takes_too_long_is_ended_and_the_next_one_runs() -> None:
    with closing(child(time.sleep, seconds=1)) as worker:
        with pytest.raises(HungError, match="longer than 1 s"):
            worker.run(60)
        assert worker.run(0) is None


def test_a_task_that_ends_its_process_is_told_and_the_next_one_runs() -> None:
    with closing(child(eval)) as worker:
        with pytest.raises(CrashedError, match="exit code 3"):
            worker.run("__import__('os')._exit(3)")
        with pytest.raises(CrashedError, match="SIGSEGV"):
            worker.run("__import__('os').kill(__import__('os').getpid(), 11)")
        assert worker.run("1 + 1") == 2


def test_a_task_may_not_take_all_memory() -> None:
    with closing(child(bytearray)) as worker:
        with pytest.raises(CrashedError, match="out of memory"):
            worker.run(2 * MEMORY)
        assert worker.run(1) == bytearray(1)


def test_a_process_that_cannot_be_made_ready_is_no_fault_of_its_task() -> None:
    with closing(child(abs, prepare=partial(os._exit, 1))) as worker, pytest.raises(UnableToStartError):
        worker.run(1)
