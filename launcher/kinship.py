"""What a process asks of Linux about its parent and its descendants; other systems know no such requests."""

from __future__ import annotations

import ctypes
import signal
import sys

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
"""From linux/prctl.h."""


def end_with_parent() -> None:
    """This process gets SIGTERM when the thread that created it ends. That survives exec."""
    _request(PR_SET_PDEATHSIG, signal.SIGTERM)


def adopt_orphans() -> None:
    """Descendants of this process whose parents end become its own children, so that it can wait for them."""
    _request(PR_SET_CHILD_SUBREAPER, 1)


def _request(option: int, value: int) -> None:
    """Raises OSError if the kernel refuses."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(option, value, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), f"prctl({option}) failed")
