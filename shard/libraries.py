"""The folder of compiled steps, each as large as its model: what is used stays, what is not goes."""

from __future__ import annotations

import logging
import os
import shutil
import time
from pathlib import Path

MOST_KEPT = 8
"""Libraries that are kept: more than one machine has models, number formats and counts of threads in turn, so
that none is compiled again and again; few enough that those of older versions do not fill a disk."""

PART = ".part"
"""How the folders end in which compilers work."""

LONGEST_WORK = 24 * 3600.0
"""Seconds after which such a folder has been left behind, as by a compiler that was killed."""

logger = logging.getLogger(__name__)


def keep(library: Path, *, most: int = MOST_KEPT) -> None:
    """Note that `library` is used now, and remove all but the `most` of its folder that were used last.

    Another server that has loaded one of them keeps it: a file's contents outlive its name for as long as
    they are mapped. A folder that may not be written to stays as it is.
    """
    try:
        os.utime(library)
        for each in sorted(library.parent.glob("*.so"), key=_used, reverse=True)[most:]:
            each.unlink(missing_ok=True)
            logger.info("removed %s, which has not been used for longest", each.name)
        for each in library.parent.glob(f"*{PART}"):
            if time.time() - _used(each) > LONGEST_WORK:
                shutil.rmtree(each)
    except OSError as error:  # others may be at it, too
        logger.info("older compiled steps are kept: %s", error)


def _used(path: Path) -> float:
    return path.stat().st_mtime
