"""Paths of alike characters, on automata where they can be told by eye."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from protos.automaton import Automaton
from shard.runs import Path, Runs
from shard.trie import WORDS

LONGEST = 30
LETTERS = frozenset(b"abcdefghijklmnopqrstuvwxyz")
TWO_BYTES = frozenset(range(0xC2, 0xE0))


def runs(
    table: NDArray[np.int32],
    *,
    entries: Sequence[int] = (),
    rows: Sequence[int] = (),
    returns: Sequence[int] = (),
) -> Runs:
    automaton = Automaton(
        byte_classes=np.arange(256, dtype=np.uint8),
        transitions=table,
        accepting=np.zeros(len(table), dtype=np.bool_),
        start=1,
        call_entries=np.array(entries, dtype=np.int32),
        call_rows=np.array(rows, dtype=np.int32),
        returns=np.array(returns, dtype=np.int32),
        max_depth=1,
    )
    return Runs(automaton, guide=ord("e"), longest=LONGEST)


def empty(states: int) -> NDArray[np.int32]:
    return np.zeros((states, 256), dtype=np.int32)


def staying(path: Path | None, position: int, length: int) -> set[int]:
    """The bytes that may begin any of the next `length` characters."""
    assert path
    leaving = path.leaving_within(np.array([position]), np.array([length]))[0]
    return {byte for byte in range(WORDS * 64) if not int(leaving[byte // 64]) >> byte % 64 & 1}


def chain(length: int) -> Runs:
    """Letters, at most `length` of them; the third must not be `z`."""
    table = empty(length + 2)
    for state in range(1, length + 1):
        table[state, sorted(LETTERS)] = state + 1
    table[3, ord("z")] = 0
    return runs(table)


def test_a_loop_is_a_path_of_one_state_for_any_length() -> None:
    table = empty(2)
    table[1, sorted(LETTERS)] = 1

    path = runs(table).path(1, may_call=True)

    assert path
    assert path.states.tolist() == [1]
    assert staying(path, 0, 1) == staying(path, 0, 1000) == LETTERS


def test_counted_characters_are_a_path_that_ends() -> None:
    path = chain(6).path(1, may_call=True)

    assert path
    assert path.states.tolist() == [1, 2, 3, 4, 5, 6, 7]
    assert staying(path, 0, 2) == LETTERS
    assert [staying(path, 0, length) for length in (3, 4, 5, 6)] == [LETTERS - {ord("z")}] * 4
    assert staying(path, 0, 7) == staying(path, 6, 1) == set()
    assert staying(path, 3, 3) == LETTERS


def test_a_path_is_followed_no_further_than_its_limit() -> None:
    path = chain(2 * LONGEST).path(4, may_call=True)

    assert path
    assert len(path.states) == LONGEST
    assert staying(path, 0, LONGEST - 1) == LETTERS
    assert staying(path, 0, LONGEST) == set()


def test_there_is_no_path_where_the_guide_is_not_read() -> None:
    table = empty(3)
    table[1, sorted(b"0123456789")] = 1
    table[2, ord("e")] = len(table) + 1

    assert runs(table, entries=[2], rows=[0], returns=[1, 1]).path(1, may_call=True) is None
    assert runs(table, entries=[2], rows=[0], returns=[1, 1]).path(2, may_call=True) is None


def test_characters_of_several_bytes_may_be_plain_transitions() -> None:
    table = empty(3)
    table[1, sorted(LETTERS)] = 1
    table[1, 0xC2:0xE0] = 2
    table[2, 0x80:0xC0] = 1

    assert staying(runs(table).path(1, may_call=True), 0, 9) == LETTERS | TWO_BYTES


def test_characters_of_several_bytes_may_be_calls_unless_the_stack_is_full() -> None:
    table = empty(3)
    table[1, sorted(LETTERS)] = 1
    table[1, 0xC2:0xE0] = -1
    table[2, 0x80:0xC0] = len(table)
    called = runs(table, entries=[2], rows=[0], returns=[1])

    assert staying(called.path(1, may_call=True), 0, 9) == LETTERS | TWO_BYTES
    assert staying(called.path(1, may_call=False), 0, 9) == LETTERS


def test_a_lead_byte_counts_only_if_all_its_characters_are_alike() -> None:
    table = empty(4)
    table[1, sorted(LETTERS)] = 1
    table[1, 0xC2:0xE0] = 2
    table[1, 0xC3] = 3
    table[2, 0x80:0xC0] = 1
    table[3, 0x80:0xBF] = 1

    assert staying(runs(table).path(1, may_call=True), 0, 1) == LETTERS | TWO_BYTES - {0xC3}


def test_a_call_that_comes_back_elsewhere_leaves_the_path() -> None:
    table = empty(4)
    table[1, sorted(LETTERS)] = 1
    table[1, 0xC2:0xE0] = -1
    table[2, 0x80:0xC0] = len(table)

    assert staying(runs(table, entries=[2], rows=[0], returns=[3]).path(1, may_call=True), 0, 1) == LETTERS
