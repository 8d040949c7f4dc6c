"""`python -m launcher.tether PARENT COMMAND...`: becomes COMMAND, which is told to end when PARENT ends.

A launcher that is killed with SIGKILL cannot stop its services. On Linux the kernel does: it sends them
SIGTERM, on which they drain. The request survives exec, and made here rather than in a `preexec_fn` it keeps
Python code out of the moment between fork and exec. Other systems know no such request: services outlive a
launcher that is killed there.
"""

from __future__ import annotations

import os
import sys

from launcher.kinship import end_with_parent


def main(arguments: list[str]) -> None:
    """Tie this process to the one numbered `arguments[0]` and execute `arguments[1:]`; does not return."""
    parent, command = int(arguments[0]), arguments[1:]
    end_with_parent()
    if os.getppid() != parent:  # it ended before the request was made
        sys.exit(1)
    os.execv(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1:])
