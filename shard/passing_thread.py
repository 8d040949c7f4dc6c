"""Computing besides the engine's own thread, without slowing that down for ever."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import TypeVar

T = TypeVar("T")


def in_passing_thread(function: Callable[[], T]) -> T:
    """Call `function` in a thread that ends with it; its result or its exception.

    Each thread that computes with torch keeps a pool of OpenMP workers until it ends. Once all pools together
    are larger than the machine, libgomp's workers sleep between operations instead of spinning a little
    (`gomp_managed_threads` in its team.c), and a step of a small model takes twice as long. So only the
    thread that reads steps may outlive its work.
    """
    outcome: Future[T] = Future()

    def run() -> None:
        try:
            outcome.set_result(function())
        except BaseException as error:  # the caller's to handle, whatever it is
            outcome.set_exception(error)

    thread = Thread(target=run, name="passing", daemon=True)  # a caller who is interrupted leaves it behind
    thread.start()
    try:
        return outcome.result()
    finally:
        if outcome.done():
            thread.join()
