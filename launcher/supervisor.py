"""Starts services in order, watches them, and stops them together."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from enum import IntEnum

from launcher.display import Display
from launcher.interrupts import Interrupts
from launcher.process import Process, running
from launcher.service import Service, Stages

_HEALTH_INTERVAL_SECONDS = 0.1
_QUICK_GRACE_SECONDS = 5.0
"""What services get to end in while no request can be running in them, or none can be finished."""


class Exit(IntEnum):
    """Exit codes of `guiderail serve`."""

    STOPPED = 0
    SERVICE_ENDED = 1
    KILLED = 130


class ServiceEndedError(Exception):
    """A service ended without having been asked to."""

    def __init__(self, process: Process, code: int) -> None:
        super().__init__(f"{process.name} ended with {code}")
        self.process = process
        self.code = code


class Supervisor:
    """Its services live and die together: when `run` returns, no process of theirs is left."""

    def __init__(self, stages: Stages, *, display: Display, interrupts: Interrupts, grace: float) -> None:
        """`grace` is how many seconds running requests get to finish in after the first interrupt."""
        self._stages = stages
        self._display = display
        self._interrupts = interrupts
        self._grace = grace
        self._processes: list[Process] = []
        self._ready = False

    async def run(self) -> Exit:
        """Serve until interrupted, or until a service ends by itself."""
        async with AsyncExitStack() as stack:
            failure = await self._until_over(stack)
            if failure is not None:
                process = failure.process
                self._display.ended(process.name, code=failure.code, last_lines=process.last_lines)
                await self._stop_at_once()
                return Exit.SERVICE_ENDED
            return Exit.STOPPED if await self._stop_in_order() else Exit.KILLED

    async def _until_over(self, stack: AsyncExitStack) -> ServiceEndedError | None:
        """Start and watch the services, which belong to `stack`; which one ended, or None on an interrupt."""
        serving = asyncio.create_task(self._serve(stack))
        interrupted = asyncio.create_task(self._interrupts.drain.wait())
        await asyncio.wait({serving, interrupted}, return_when=asyncio.FIRST_COMPLETED)
        interrupted.cancel()
        serving.cancel()
        (outcome,) = await asyncio.gather(serving, return_exceptions=True)
        if not isinstance(outcome, BaseExceptionGroup):
            return None  # cancelled
        ends, rest = outcome.split(ServiceEndedError)
        if ends is None:
            raise outcome
        if rest is not None:
            raise rest
        first = ends.exceptions[0]
        assert isinstance(first, ServiceEndedError)
        return first

    async def _serve(self, stack: AsyncExitStack) -> None:
        """Start the services stage by stage and watch them until one ends: a group of `ServiceEndedError`."""
        async with asyncio.TaskGroup() as group:
            with self._display.starting():
                for stage in self._stages:
                    for service in stage:
                        process = await self._start(service, stack)
                        group.create_task(self._watch(process))
                    await asyncio.gather(*(self._until_healthy(service) for service in stage))
            self._ready = True
            self._display.ready()

    async def _start(self, service: Service, stack: AsyncExitStack) -> Process:
        relay = self._display.relay(service.name)
        process = await stack.enter_async_context(
            running(service.name, service.command, service.environment, relay=relay)
        )
        self._processes.append(process)
        return process

    async def _watch(self, process: Process) -> None:
        raise ServiceEndedError(process, await process.wait())

    async def _until_healthy(self, service: Service) -> None:
        while not await asyncio.to_thread(service.healthy):  # noqa: ASYNC110 - health has to be polled
            await asyncio.sleep(_HEALTH_INTERVAL_SECONDS)
        self._display.healthy(service.name)

    async def _stop_in_order(self) -> bool:
        """Stop the latest first, each when the one before has ended; False if the user had them killed.

        The router takes no more requests and finishes the running ones, for which it needs the others.
        """
        grace = self._grace if self._ready else _QUICK_GRACE_SECONDS
        self._display.draining()
        killed = asyncio.create_task(self._interrupts.kill.wait())
        draining = asyncio.create_task(self._drain())
        done, _ = await asyncio.wait({draining, killed}, return_when=asyncio.FIRST_COMPLETED, timeout=grace)
        draining.cancel()
        killed.cancel()
        if not done:
            self._display.overdue(process.name for process in self._processes if process.running)
        return killed not in done

    async def _drain(self) -> None:
        for process in reversed(self._processes):
            process.terminate()
            await process.wait()

    async def _stop_at_once(self) -> None:
        """Stop all together: without one of them the others cannot finish anything."""
        for process in self._processes:
            process.terminate()
        ended = asyncio.create_task(self._all_ended())
        killed = asyncio.create_task(self._interrupts.kill.wait())
        await asyncio.wait({ended, killed}, return_when=asyncio.FIRST_COMPLETED, timeout=_QUICK_GRACE_SECONDS)
        ended.cancel()
        killed.cancel()

    async def _all_ended(self) -> None:
        for process in self._processes:
            await process.wait()
