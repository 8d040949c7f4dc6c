"""Masks on the device and on the CPU: what they do is the same, however many there are."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from shard.mask_table import FIRST_ROWS, MaskTable, Unpacked

CPU = torch.device("cpu")


def masks(count: int) -> list[NDArray[np.int32]]:
    made = list(np.arange(3 * count, dtype=np.int32).reshape(count, 3))
    for mask in made:
        mask.setflags(write=False)
    return made


def flags(chosen: list[NDArray[np.int32]]) -> list[list[bool]]:
    """Bit by bit what the masks say."""
    return [[bool(word >> bit & 1) for word in mask.tolist() for bit in range(32)] for mask in chosen]


@given(st.lists(st.lists(st.integers(0, 19), min_size=1, max_size=12), max_size=12))
def test_any_steps_gather_their_masks(steps: list[list[int]]) -> None:
    table, all_masks = MaskTable(CPU, most_rows=5), masks(20)
    for step in steps:
        chosen = [all_masks[number] for number in step]
        assert table.gather(chosen).tolist() == flags(chosen)


def test_a_mask_is_brought_to_the_device_once() -> None:
    table, (mask,) = MaskTable(CPU), masks(1)
    before = table.gather([mask]).tolist()
    mask.setflags(write=True)
    mask += 1
    assert table.gather([mask, mask]).tolist() == before * 2


def test_a_full_table_gives_up_the_masks_that_were_not_used_for_longest() -> None:
    table, all_masks = MaskTable(CPU, most_rows=FIRST_ROWS), masks(FIRST_ROWS + 1)
    table.gather(all_masks[:FIRST_ROWS])
    table.gather(all_masks[:1])
    table.gather(all_masks[-1:])
    assert len(table._table) == FIRST_ROWS
    assert id(all_masks[0]) in table._rows
    assert id(all_masks[1]) not in table._rows


def test_a_step_of_more_masks_than_the_table_may_have_rows_makes_it_grow() -> None:
    table, all_masks = MaskTable(CPU, most_rows=4), masks(3 * FIRST_ROWS)
    assert table.gather(all_masks).tolist() == flags(all_masks)


@given(st.lists(st.lists(st.integers(0, 19), min_size=1, max_size=12), max_size=5), st.integers(1, 96))
def test_masks_on_the_cpu_do_what_those_in_a_table_do(steps: list[list[int]], width: int) -> None:
    table, unpacked, all_masks = MaskTable(CPU), Unpacked(), masks(20)
    for step in steps:
        chosen = [all_masks[number] for number in step]
        scores = torch.arange(len(step) * width, dtype=torch.float32).reshape(-1, width)
        applied = unpacked.apply(scores, chosen)
        assert applied.isfinite().tolist() == [row[:width] for row in flags(chosen)]
        assert applied.tolist() == table.apply(scores, chosen).tolist()
