"""Columns of a table over characters, and the characters that each stands for."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

SURROGATES = (0xD800, 0xE000)
"""Code points that are no characters: first, and one after the last."""
END_OF_UNICODE = 0x110000

Classes = list[tuple[int, tuple[tuple[int, int], ...]]]
"""Columns of a table, and the code points that each stands for, as ranges."""


def columns_of(points: Collection[int]) -> dict[int, int]:
    """The columns of a table with one for each of some code points, by where they begin, ascending."""
    cuts = {0, *SURROGATES, *points, *(point + 1 for point in points)} - {END_OF_UNICODE}
    return {cut: column for column, cut in enumerate(sorted(cuts))}


def character_classes(cuts: NDArray[np.int64], table: NDArray[np.int64]) -> Classes:
    """The characters of each column of a table that leads anywhere, equal columns as one."""
    bounds = [*cuts.tolist(), END_OF_UNICODE]
    alike: dict[bytes, list[int]] = {}
    for column, targets in enumerate(np.ascontiguousarray(table.T)):
        alike.setdefault(targets.tobytes(), []).append(column)
    alike.pop(bytes(table.itemsize * len(table)), None)  # what leads nowhere
    return [
        (columns[0], tuple([(bounds[column], bounds[column + 1] - 1) for column in columns]))
        for columns in alike.values()
    ]
