"""A process that ends with the one that started it, however that one ends."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import psutil

PARENT = """
import os, signal, subprocess, sys
child = "import signal; print('up', flush=True); signal.pause()"
subprocess.Popen([sys.executable, "-m", "launcher.tether", str(os.getpid()), sys.executable, "-c", child])
signal.pause()
"""


def test_a_tethered_process_ends_when_its_parent_is_killed(ends: Callable[[psutil.Process], bool]) -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "up\n"
        (child,) = psutil.Process(parent.pid).children()
        parent.kill()
        assert ends(child)


def test_a_process_whose_parent_is_gone_already_does_not_start() -> None:
    command = [
        sys.executable,
        "-m",
        "launcher.tether",
        str(os.getppid()),
        sys.executable,
        "-c",
        "print('up')",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout) == (1, "")
