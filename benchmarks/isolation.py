"""Runs tasks in a process of their own, so that one that hangs or dies harms nothing else."""

from __future__ import annotations

import math
import multiprocessing
import os
import resource
import signal
import sys
from collections.abc import Callable, Sequence
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Generic, TypeVar

from pebble import ProcessExpired, ProcessPool

Task = TypeVar("Task")
Result = TypeVar("Result")

_GRACE_SECONDS = 5.0
"""What a process gets, after its time is up, before it ends itself because its parent did not."""


class HungError(Exception):
    """The task took longer than it may. Its process has been killed."""


class CrashedError(Exception):
    """The task took its process down, or its memory. The message says how."""


class UnableToStartError(Exception):
    """The process cannot be made ready; it has said why on its standard error."""


class Child(Generic[Task, Result]):
    """A process that does one task at a time; a new one takes its place when it hangs or dies.

    All children are forked from one small server that has imported what is needed, but has no threads.
    """

    def __init__(
        self,
        work: Callable[[Task], Result],
        *,
        prepare: Callable[[], object],
        preload: Sequence[str],
        seconds: float,
        memory_bytes: int,
    ) -> None:
        """Set up a child; it starts with the first task.

        Args:
            work: what to do with a task; like `prepare`, importable by name.
            prepare: runs once in every new process, on nobody's time.
            preload: modules that the fork server imports. It is the same for all children: the first wins.
            seconds: how long a task may take.
            memory_bytes: how much a process may take on top of what it has when it starts (Linux).
        """
        self._work = work
        self._prepare = prepare
        self._seconds = seconds
        self._memory_bytes = memory_bytes
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(list(preload))
        self._pool = self._new_pool()

    def close(self) -> None:
        """End the process."""
        self._pool.stop()
        self._pool.join()

    def run(self, task: Task) -> Result:
        """Do one task.

        Raises:
            HungError: it took too long.
            CrashedError: it ended its process, or ran out of memory.
            UnableToStartError: there is no process to do it.
            Exception: whatever else `work` raises.
        """
        try:
            return self._result(task)
        except BrokenProcessPool:  # an idle process that dies takes its pool along, so give it one more try
            self._replace()
        try:
            return self._result(task)
        except BrokenProcessPool as error:
            raise UnableToStartError(f"a process cannot be made ready: {error}") from error

    def _result(self, task: Task) -> Result:
        arguments = (self._work, task, self._seconds)
        try:
            future = self._pool.schedule(_limited, args=arguments, timeout=self._seconds)
        except RuntimeError as error:  # what pebble raises if it knows of the loss before it is asked
            raise BrokenProcessPool(str(error)) from error
        try:
            result: Result = future.result()
        except TimeoutError:
            raise HungError(f"it took longer than {self._seconds:g} s") from None
        except MemoryError:
            self._replace()  # it might still hold what it took
            raise CrashedError("it ran out of memory") from None
        except ProcessExpired as error:
            raise CrashedError(_description(error.exitcode)) from None
        return result

    def _replace(self) -> None:
        self.close()
        self._pool = self._new_pool()

    def _new_pool(self) -> ProcessPool:
        return ProcessPool(
            max_workers=1,
            initializer=_enter,
            initargs=(self._prepare, self._memory_bytes),
            context=self._context,
        )


def _enter(prepare: Callable[[], object], memory_bytes: int) -> None:
    """Runs once in each new process, before its first task."""
    # Python's own handlers wait for the interpreter, which may be deep in native code for seconds.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    prepare()
    silence = os.open(os.devnull, os.O_WRONLY)  # engines warn, for every schema anew
    for output in (1, 2):
        os.dup2(silence, output)
    if sys.platform == "linux":  # elsewhere address space is no measure of memory
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + memory_bytes
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _limited(work: Callable[[Task], Result], task: Task, seconds: float) -> Result:
    signal.alarm(math.ceil(seconds + _GRACE_SECONDS))  # ends the process if its parent is gone and cannot
    try:
        return work(task)
    except MemoryError:
        raise MemoryError from None  # plain, as the traceback holds on to what took the memory
    finally:
        signal.alarm(0)


def _description(exitcode: int) -> str:
    if -exitcode in set(signal.Signals):
        return f"it ended its process: {signal.Signals(-exitcode).name}"
    return f"it ended its process: exit code {exitcode}"
