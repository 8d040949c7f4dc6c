"""Copies of states that count."""

import numpy as np

from protos.repetition import Repetition


def test_copies_lead_to_the_next_copy_and_the_last_ones_nowhere() -> None:
    repetition = Repetition(
        states=np.array([1, 2], dtype=np.int32), classes=np.array([1], dtype=np.uint8), times=2
    )
    table = np.array([[0, 0], [2, 3], [1, 4]], dtype=np.int32)
    assert repetition.count == 4
    assert repetition.originals(3).tolist() == [0, 1, 2, 1, 2, 1, 2]
    assert repetition.written_out(table).tolist() == [
        [0, 0],
        [2, 3],
        [1, 4],
        [2, 5],
        [1, 6],
        [2, 0],
        [1, 0],
    ]


def test_nothing_is_copied_where_nothing_is_repeated() -> None:
    table = np.array([[0, 0], [1, 0]], dtype=np.int32)
    assert Repetition.none().written_out(table).tolist() == table.tolist()
