"""Compilation in processes that can be killed: the one file that knows pebble."""

from __future__ import annotations

import asyncio
import logging
import math
import multiprocessing
import os
import resource
import signal
import sys
import traceback
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from types import TracebackType
from typing import Self, TypeAlias

from pebble import ProcessExpired, ProcessPool

from grammar_service.grammar import CanonicalGrammar
from grammar_service.limits import Limits
from grammar_service.outcome import Compiled, Outcome, Refused, decode, encode
from protos import grammar_pb2
from protos.channel import MAX_MESSAGE_BYTES
from protos.errors import InvalidRequestError, OverloadedError

logger = logging.getLogger(__name__)

Compile: TypeAlias = Callable[[grammar_pb2.Grammar, Limits], Compiled]
Prepare: TypeAlias = Callable[[], None]

_TASKS_PER_WORKER = 1000
"""After which a worker makes way for a new one, so that nothing it leaks adds up."""
_GRACE_SECONDS = 3.0
"""How long after its time limit a task may go unanswered before its pool counts as broken."""
_SLOW_NICENESS = 10
_MAX_AUTOMATON_BYTES = MAX_MESSAGE_BYTES - 1024 * 1024
"""What fits into a message, with the prompt and all else that travels to the shard with it."""


class Workers:
    """Compiles grammars side by side; one that takes too much time or memory ends alone.

    Every grammar gets a short try in the quick lane, whose processes are thereby never held up for long. One
    that needs more time starts over in the slow lane, where only others of its kind wait for it.
    """

    def __init__(
        self,
        compile_grammar: Compile,
        *,
        prepare: Prepare,
        limits: Limits,
        workers: int,
        slow_workers: int,
        seconds: float,
        quick_seconds: float,
        queue_seconds: float,
        queue_length: int,
        memory_bytes: int,
    ) -> None:
        """`compile_grammar` must be a function of a module, and raise `InvalidRequestError` to refuse; so
        must `prepare`, which every worker does once before its first grammar.

        `seconds` and `memory_bytes` bound one compilation, `quick_seconds` its first try. A grammar waits up
        to `queue_seconds` in all for a free worker, and not at all if `queue_length` others wait already. So
        the answer comes within `queue_seconds` + `quick_seconds` + `seconds`, and what ending a worker takes.
        """
        self._compile_grammar = compile_grammar
        self._limits = limits
        self._seconds = seconds
        self._megabytes = memory_bytes >> 20
        self._queue_seconds = queue_seconds
        self._capacity = workers + slow_workers + queue_length
        self._under_way = 0
        # Not fork: this process has gRPC's threads. The fork server is a small process of its own that has
        # imported the compiler, so a new worker is ready within milliseconds.
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([compile_grammar.__module__, __name__])
        self._quick = _Lane(
            context, prepare, size=workers, seconds=quick_seconds, memory_bytes=memory_bytes, niceness=0
        )
        self._slow = _Lane(
            context,
            prepare,
            size=slow_workers,
            seconds=seconds,
            memory_bytes=memory_bytes,
            niceness=_SLOW_NICENESS,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.gather(self._quick.close(), self._slow.close())

    async def compile(self, grammar: CanonicalGrammar) -> Outcome:
        """What compiling `grammar` comes to; exceeding a limit is a refusal that is not lasting.

        Raises:
            OverloadedError: too many grammars are being compiled.
            RuntimeError: the compiler has a bug; the message has its traceback.
        """
        if self._under_way >= self._capacity:
            raise OverloadedError("too many grammars are being compiled")
        self._under_way += 1
        try:
            return decode(await self._compile(grammar.message))
        except TimeoutError:
            return Refused(f"grammar: compiling it takes longer than {self._seconds:g} s", lasting=False)
        except MemoryError:
            return Refused(f"grammar: compiling it takes more than {self._megabytes} MB", lasting=False)
        except ProcessExpired as error:
            logger.warning("a worker died of a grammar, exit code %d", error.exitcode)
            why = f"the compiler died of it, mostly a sign of taking more than {self._megabytes} MB"
            return Refused(f"grammar: {why}", lasting=False)
        finally:
            self._under_way -= 1

    async def _compile(self, message: bytes) -> bytes:
        task = (self._compile_grammar, message, self._limits)
        start_by = asyncio.get_running_loop().time() + self._queue_seconds
        try:
            return await self._quick.run(*task, start_by=start_by)
        except (TimeoutError, ProcessExpired):  # a worker may also die of something other than its task
            return await self._slow.run(*task, start_by=start_by)


class _Lane:
    """A pool of worker processes, never given more tasks than it has workers.

    pebble puts tasks into a pipe that nothing can be taken out of again, so waiting is done here.
    """

    def __init__(
        self,
        context: multiprocessing.context.ForkServerContext,
        prepare: Prepare,
        *,
        size: int,
        seconds: float,
        memory_bytes: int,
        niceness: int,
    ) -> None:
        self._context = context
        self._size = size
        self._seconds = seconds
        self._initargs = (prepare, memory_bytes, niceness)
        self._free = asyncio.Semaphore(size)
        self._pool = self._new_pool()

    def _new_pool(self) -> ProcessPool:
        return ProcessPool(
            max_workers=self._size,
            max_tasks=_TASKS_PER_WORKER,
            initializer=_enter_worker,
            initargs=self._initargs,
            context=self._context,
        )

    async def run(
        self, compile_grammar: Compile, message: bytes, limits: Limits, *, start_by: float
    ) -> bytes:
        """The encoded outcome, from a worker.

        Raises:
            OverloadedError: no worker was free by `start_by`, in seconds of the loop's clock.
            TimeoutError: the compilation took longer than this lane allows.
            MemoryError, ProcessExpired: it ran out of memory, or took its worker down.
        """
        try:
            async with asyncio.timeout_at(start_by):
                await self._free.acquire()
        except TimeoutError:
            raise OverloadedError("too many grammars are being compiled") from None
        try:
            return await self._run((compile_grammar, message, limits, self._seconds))
        finally:
            self._free.release()

    async def _run(self, task: tuple[Compile, bytes, Limits, float]) -> bytes:
        pool = self._pool
        try:
            return await _result(pool, task)
        except BrokenProcessPool as error:
            # One idle worker that is killed from outside is enough for pebble to give up all of them.
            logger.warning("the workers are lost, going on with new ones: %s", error)
            if self._pool is pool:  # whoever finds out first replaces it
                self._pool = self._new_pool()
                await _end(pool)
            return await _result(self._pool, task)

    async def close(self) -> None:
        await _end(self._pool)


async def _result(pool: ProcessPool, task: tuple[Compile, bytes, Limits, float]) -> bytes:
    seconds = task[-1]
    try:
        future = asyncio.wrap_future(pool.schedule(_compile_in_worker, args=task, timeout=seconds))
    except RuntimeError as error:
        raise BrokenProcessPool(str(error)) from error
    done, _ = await asyncio.wait({future}, timeout=seconds + _GRACE_SECONDS)
    if not done:
        future.cancel()
        raise BrokenProcessPool("a task was never answered")
    result: bytes = future.result()
    return result


async def _end(pool: ProcessPool) -> None:
    pool.stop()
    await asyncio.to_thread(pool.join)


def _enter_worker(prepare: Prepare, memory_bytes: int, niceness: int) -> None:
    """Runs once in each worker process, before its first task."""
    prepare()
    # Python's own handlers wait for the interpreter, which may be deep in native code for seconds.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    os.nice(niceness)
    if sys.platform == "linux":  # elsewhere address space is no measure of memory
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + memory_bytes
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _compile_in_worker(compile_grammar: Compile, message: bytes, limits: Limits, seconds: float) -> bytes:
    """A worker's task. Only plain exceptions leave it: pebble gives up a pool over one it cannot unpickle."""
    signal.alarm(math.ceil(seconds + _GRACE_SECONDS))  # ends the worker if the service was killed and cannot
    try:
        compiled = compile_grammar(grammar_pb2.Grammar.FromString(message), limits)
        if compiled.automaton.ByteSize() > _MAX_AUTOMATON_BYTES:
            return encode(Refused("grammar: the automaton is too large to send"))
        return encode(compiled)
    except InvalidRequestError as error:
        return encode(Refused(str(error)))
    except RecursionError:
        return encode(Refused("grammar: it is nested too deeply"))
    except MemoryError:
        raise MemoryError from None
    except Exception:
        raise RuntimeError(traceback.format_exc()) from None
    finally:
        signal.alarm(0)
