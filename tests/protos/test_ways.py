"""Shortest endings on automata where they can be told by eye."""

import numpy as np
import pytest

from grammar_service.automata.distances import with_endings
from protos.automaton import Automaton
from protos.endings import Endings
from protos.errors import InvalidRequestError
from protos.ways import Ways

CLASSES = {"[": 1, "]": 2, "x": 3, "(": 4, ")": 5}
OPEN_ROW, INNER_ROW = 0, 2


def automaton(*, max_depth: int = 10) -> Automaton:
    """`[`, then `]` and `xxx`, or `x]` and nothing; inside, `(` and `)` may nest.

    1: start, 2: after `[`, 3: after `[x`, 4 to 6: three, two, one `x` to come, 7: the end, 8: after `(`.
    """
    states = 9
    first_label, second_label = states, states + 1
    byte_classes = np.zeros(256, dtype=np.uint8)
    for character, number in CLASSES.items():
        byte_classes[ord(character)] = number
    table = np.zeros((states, 6), dtype=np.int32)
    table[1, 1] = -1
    table[2] = [0, 0, first_label, 3, -2, 0]
    table[3, 2] = second_label
    table[4, 3], table[5, 3], table[6, 3] = 5, 6, 7
    table[8] = [0, 0, 0, 0, -2, first_label]
    return with_endings(
        Automaton(
            byte_classes=byte_classes,
            transitions=table,
            accepting=np.arange(states) == 7,
            start=1,
            call_entries=np.array([2, 8], dtype=np.int32),
            call_rows=np.array([OPEN_ROW, INNER_ROW], dtype=np.int32),
            returns=np.array([4, 7, 8, 0], dtype=np.int32),
            max_depth=max_depth,
        )
    )


@pytest.mark.parametrize(
    ("state", "rows", "ending"),
    [
        (1, [], b"[x]"),
        (2, [OPEN_ROW], b"x]"),
        (3, [OPEN_ROW], b"]"),
        (5, [], b"xx"),
        (7, [], b""),
    ],
)
def test_the_ending_is_the_best_of_what_the_labels_lead_to(
    state: int, rows: list[int], ending: bytes
) -> None:
    """Returning at once takes one byte less, but three more after it."""
    ways = Ways(automaton())
    assert ways.ending(state, ways.frame(rows)) == ending


def test_a_configuration_that_cannot_end_has_no_ending() -> None:
    ways = Ways(automaton())
    assert ways.shortest(7, ways.frame([OPEN_ROW])) is None
    assert ways.ending(2, None) is None


def test_no_ending_needs_more_of_the_stack_than_there_is() -> None:
    assert Ways(automaton(max_depth=1)).ending(1, None) == b"[x]"
    assert Ways(automaton(max_depth=0)).ending(1, None) is None


def test_frames_are_shared_by_all_that_push_upon_them() -> None:
    ways = Ways(automaton())
    below = ways.frame([OPEN_ROW])
    deep = ways.shortest(2, below)
    assert deep is not None
    assert below is not None
    assert set(below.ways) == {1, 2}
    remembered = dict(below.ways)
    assert ways.shortest(3, below) is not None
    assert below.ways == remembered


def test_endings_that_lead_nowhere_are_noticed() -> None:
    sound = automaton()
    wrong = Automaton(
        byte_classes=sound.byte_classes,
        transitions=sound.transitions,
        accepting=sound.accepting,
        start=sound.start,
        call_entries=sound.call_entries,
        call_rows=sound.call_rows,
        returns=sound.returns,
        max_depth=sound.max_depth,
        endings=Endings(
            first=sound.endings.first,
            labels=sound.endings.labels,
            lengths=sound.endings.lengths + np.int32(1),
            depths=sound.endings.depths,
            first_bytes=np.full_like(sound.endings.first_bytes, ord("?")),
        ),
    )
    with pytest.raises(InvalidRequestError, match="do not lead to an end"):
        Ways(wrong).ending(1, None)
