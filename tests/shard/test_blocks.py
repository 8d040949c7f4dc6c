"""Blocks are shared by content, counted, and reused in the right order."""

from __future__ import annotations

from shard.blocks import Blocks
from shard.sequence import Sequence


def sequence(*tokens: int) -> Sequence:
    return Sequence(tokens, max_new_tokens=8)


def compute(blocks: Blocks, owner: Sequence) -> None:
    """As if the model had read all tokens."""
    owner.computed = len(owner.tokens)
    blocks.commit(owner)


def test_a_sequence_gets_as_many_blocks_as_its_tokens_need() -> None:
    blocks = Blocks(count=8, size=4)
    owner = sequence(*range(9))
    assert blocks.enter(owner)
    assert len(owner.blocks) == 3
    assert blocks.available == 7 - 3


def test_block_0_is_never_handed_out() -> None:
    blocks = Blocks(count=4, size=1)
    owner = sequence(1, 2, 3)
    assert blocks.enter(owner)
    assert sorted(owner.blocks) == [1, 2, 3]


def test_without_room_nothing_is_taken() -> None:
    blocks = Blocks(count=3, size=4)
    owner = sequence(*range(9))
    assert not blocks.enter(owner)
    assert blocks.available == 2
    assert not owner.blocks


def test_what_could_never_be_held_does_not_fit() -> None:
    blocks = Blocks(count=3, size=4)
    assert blocks.fits(8)
    assert not blocks.fits(9)


def test_what_was_computed_with_another_adapter_is_not_found() -> None:
    blocks = Blocks(count=32, size=4)
    found: dict[str | None, list[int]] = {}
    for name in (None, "a", "b", "a", None):
        owner = Sequence(range(9), max_new_tokens=8, adapter=name)
        assert blocks.enter(owner)
        found.setdefault(name, []).append(owner.computed)
        compute(blocks, owner)
    assert found == {None: [0, 8], "a": [0, 8], "b": [0]}


def test_a_computed_prefix_is_found_again() -> None:
    blocks = Blocks(count=16, size=4)
    first, second = sequence(*range(10)), sequence(*range(8), 99, 98)
    blocks.enter(first)
    compute(blocks, first)
    blocks.enter(second)
    assert second.computed == 8
    assert second.blocks[:2] == first.blocks[:2]
    assert second.blocks[2] != first.blocks[2]


def test_a_released_prefix_is_still_found() -> None:
    blocks = Blocks(count=16, size=4)
    first, second = sequence(*range(10)), sequence(*range(10))
    blocks.enter(first)
    compute(blocks, first)
    blocks.release(first)
    blocks.enter(second)
    assert second.computed == 8


def test_one_token_is_always_left_to_compute() -> None:
    blocks = Blocks(count=16, size=4)
    first, second = sequence(*range(8)), sequence(*range(8))
    blocks.enter(first)
    compute(blocks, first)
    blocks.enter(second)
    assert second.computed == 4


def test_what_is_not_computed_is_not_found() -> None:
    blocks = Blocks(count=16, size=4)
    first, second = sequence(*range(10)), sequence(*range(10))
    blocks.enter(first)
    first.computed = 7
    blocks.commit(first)
    blocks.enter(second)
    assert second.computed == 4


def test_equal_tokens_after_another_beginning_are_not_found() -> None:
    blocks = Blocks(count=16, size=4)
    first, second = sequence(1, 2, 3, 4, 5, 6, 7, 8, 9), sequence(0, 2, 3, 4, 5, 6, 7, 8, 9)
    blocks.enter(first)
    compute(blocks, first)
    blocks.enter(second)
    assert second.computed == 0


def test_generated_blocks_are_shared_too() -> None:
    blocks = Blocks(count=16, size=4)
    first = sequence(1, 2, 3)
    blocks.enter(first)
    first.tokens.extend([4, 5, 6, 7, 8])
    assert blocks.extend(first)
    compute(blocks, first)
    second = sequence(*range(1, 10))
    blocks.enter(second)
    assert second.computed == 8


def test_the_least_recently_used_content_is_given_up_first() -> None:
    blocks = Blocks(count=5, size=2)
    old, new = sequence(1, 2, 3), sequence(4, 5, 6)
    for owner in (old, new):
        blocks.enter(owner)
        compute(blocks, owner)
    blocks.release(old)
    blocks.release(new)
    other = sequence(7, 8, 9, 10, 11)  # takes the two blocks that nobody can find, and one more
    blocks.enter(other)
    blocks.release(other)
    blocks.enter(again := sequence(4, 5, 6))
    assert again.computed == 2
    blocks.release(again)
    blocks.enter(again := sequence(1, 2, 3))
    assert again.computed == 0


def test_heads_outlive_tails() -> None:
    blocks = Blocks(count=5, size=2)
    owner = sequence(1, 2, 3, 4, 5, 6, 7)
    blocks.enter(owner)
    compute(blocks, owner)
    blocks.release(owner)
    other = sequence(9, 9, 9)
    blocks.enter(other)
    blocks.release(other)
    blocks.enter(again := sequence(1, 2, 3, 4, 5, 6, 7))
    assert again.computed == 4


def test_the_same_tokens_computed_twice_are_kept_once() -> None:
    blocks = Blocks(count=16, size=2)
    first, second = sequence(1, 2, 3), sequence(1, 2, 3)
    blocks.enter(first)
    blocks.enter(second)
    compute(blocks, first)
    compute(blocks, second)
    blocks.enter(third := sequence(1, 2, 3))
    assert third.blocks[0] == first.blocks[0]
    for owner in (first, second, third):
        blocks.release(owner)
    assert blocks.available == 15
