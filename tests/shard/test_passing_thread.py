"""What computes besides the engine's thread leaves no workers behind."""

from __future__ import annotations

import subprocess
import sys

import pytest

from shard.passing_thread import in_passing_thread

CODE = """
import os, sys, time, psutil, torch
from shard.passing_thread import in_passing_thread

torch.set_num_threads(3)
threads = psutil.Process().num_threads

def computed():
    torch.ones(1 << 20).exp().sum()
    return threads()

before = threads()
if sys.argv[1] == "aside":
    during, deadline = in_passing_thread(computed), time.monotonic() + 20
    while threads() > before and time.monotonic() < deadline:  # they are not joined
        os.sched_yield()
else:
    during = computed()
print(before, during, threads())
"""


def counted(where: str) -> list[int]:
    """Threads of a process before, while and after it computes."""
    done = subprocess.run(
        [sys.executable, "-c", CODE, where], capture_output=True, text=True, check=True, timeout=120
    )
    return [int(number) for number in done.stdout.split()]


def test_workers_end_with_the_thread_that_they_worked_for() -> None:
    before, during, after = counted("aside")
    assert during > before
    assert after == before


def test_workers_of_a_thread_that_goes_on_stay() -> None:
    before, _, after = counted("here")
    assert after > before


def test_results_and_errors_are_the_functions_own() -> None:
    def fails() -> int:
        raise ArithmeticError("it differs")

    assert in_passing_thread(lambda: 3) == 3
    with pytest.raises(ArithmeticError, match="it differs"):
        in_passing_thread(fails)
