"""Constraints of answers in progress: what they allow, what they keep, what they refuse."""

from __future__ import annotations

import re

import numpy as np
import pytest

from grammar_service.automata.distances import with_endings
from protos import automaton_pb2
from protos.automaton import Automaton
from protos.errors import GenerationError, InvalidRequestError
from shard.counters import Counters
from shard.grammar import Mask
from shard.masks import GrammarMasks
from shard.vocabulary import Vocabulary

EOS, OTHER_EOS = 40, 2
TOKENS: list[bytes | None] = [b"a", b"b", None, b"ab", b"ba", b"aa", b"c", b"aaa", b"\x04", *[None] * 41]


@pytest.fixture
def counters() -> Counters:
    return Counters()


@pytest.fixture
def masks(counters: Counters) -> GrammarMasks:
    vocabulary = Vocabulary(TOKENS, eos_ids=[EOS, OTHER_EOS])
    return GrammarMasks(vocabulary, max_automata=2, max_rows=3, counters=counters)


def regular(edges: dict[tuple[int, str], int], *, accepting: set[int]) -> automaton_pb2.Automaton:
    """Starts in state 1."""
    states = 1 + max([*edges.values(), *accepting])
    table = np.zeros((states, 256), dtype=np.int32)
    for (state, character), target in edges.items():
        table[state, ord(character)] = target
    return with_endings(
        Automaton(
            byte_classes=np.arange(256, dtype=np.uint8),
            transitions=table,
            accepting=np.isin(np.arange(states), sorted(accepting)),
            start=1,
            call_entries=np.zeros(0, dtype=np.int32),
            call_rows=np.zeros(0, dtype=np.int32),
            returns=np.zeros(0, dtype=np.int32),
            max_depth=0,
        )
    ).to_message()


AB = regular({(1, "a"): 2, (2, "b"): 3}, accepting={3})
"""Exactly `ab`."""
AS = regular({(1, "a"): 1}, accepting={1})
"""Any number of `a`."""


def nested() -> automaton_pb2.Automaton:
    """`a`, then as many `b` as there were `a`."""
    table = np.zeros((4, 3), dtype=np.int32)
    table[1, 1] = -1
    table[2] = [0, -2, 4]
    table[3, 2] = 4
    byte_classes = np.zeros(256, dtype=np.uint8)
    byte_classes[ord("a")], byte_classes[ord("b")] = 1, 2
    return with_endings(
        Automaton(
            byte_classes=byte_classes,
            transitions=table,
            accepting=np.array([False, False, False, True]),
            start=1,
            call_entries=np.array([2, 2], dtype=np.int32),
            call_rows=np.array([0, 0], dtype=np.int32),
            returns=np.array([3], dtype=np.int32),
            max_depth=5,
        )
    ).to_message()


def allowed(mask: Mask) -> set[int]:
    """The definition: bit i of word w is token 32 * w + i."""
    return {32 * w + i for w, word in enumerate(mask.tolist()) for i in range(32) if word >> i & 1}


def test_a_mask_has_a_bit_for_every_logit(masks: GrammarMasks) -> None:
    mask = masks.constraint(AB, "").mask()

    assert mask.dtype == np.dtype(np.int32)
    assert mask.shape == (2,)
    assert allowed(mask) == {0, 3}


def test_a_mask_may_not_be_written_to(masks: GrammarMasks) -> None:
    with pytest.raises(ValueError, match="read-only"):
        masks.constraint(AB, "").mask()[0] = 0


def test_the_answer_may_end_exactly_where_it_matches(masks: GrammarMasks) -> None:
    constraint = masks.constraint(AS, "")

    assert allowed(constraint.mask()) == {0, 5, 7, EOS, OTHER_EOS}


def test_the_end_is_forced_where_nothing_may_follow(masks: GrammarMasks) -> None:
    constraint = masks.constraint(AB, "")
    constraint.advance(0)
    assert allowed(constraint.mask()) == {1}
    constraint.advance(1)

    assert allowed(constraint.mask()) == {EOS, OTHER_EOS}
    assert not constraint.finished


def test_an_accepting_state_is_no_end_while_the_stack_holds_rows(masks: GrammarMasks) -> None:
    constraint = masks.constraint(nested(), "")
    constraint.advance(5)
    constraint.advance(1)
    assert allowed(constraint.mask()) == {1}
    constraint.advance(1)

    assert allowed(constraint.mask()) == {EOS, OTHER_EOS}


def test_any_end_token_finishes(masks: GrammarMasks) -> None:
    for eos_id in (EOS, OTHER_EOS):
        constraint = masks.constraint(AS, "")
        constraint.advance(eos_id)

        assert constraint.finished
        with pytest.raises(ValueError, match="finished"):
            constraint.mask()
        with pytest.raises(ValueError, match="after the end"):
            constraint.advance(0)


@pytest.mark.parametrize(
    ("token_id", "reason"),
    [
        (1, "token 1 (b'b') is not allowed"),
        (4, "token 4 (b'ba') is not allowed"),
        (EOS, "does not match yet"),
        (20, "no text"),
        (1000, "no text"),
        (-1, "no text"),
    ],
)
def test_a_token_that_is_not_allowed_changes_nothing(masks: GrammarMasks, token_id: int, reason: str) -> None:
    constraint = masks.constraint(AB, "")

    with pytest.raises(ValueError, match=re.escape(reason)):
        constraint.advance(token_id)

    assert allowed(constraint.mask()) == {0, 3}


def test_masks_are_computed_once_a_configuration(masks: GrammarMasks, counters: Counters) -> None:
    first, second = masks.constraint(AS, "as"), masks.constraint(AS, "as")
    mask = first.mask()
    first.advance(7)

    assert first.mask() is mask
    assert second.mask() is mask
    assert (counters.mask_first_visits, counters.mask_hits) == (1, 2)
    assert counters.mask_seconds > 0


def test_equal_automata_without_an_id_share_their_masks(masks: GrammarMasks) -> None:
    assert masks.constraint(AS, "").mask() is masks.constraint(AS, "").mask()


def test_equal_ids_do_not_make_different_automata_equal(masks: GrammarMasks) -> None:
    honest = masks.constraint(AB, "same")
    liar = masks.constraint(AS, "same")

    assert allowed(liar.mask()) == {0, 5, 7, EOS, OTHER_EOS}
    assert allowed(honest.mask()) == {0, 3}
    assert allowed(masks.constraint(AB, "same").mask()) == {0, 3}


def test_only_the_most_recently_used_masks_are_kept(masks: GrammarMasks) -> None:
    states = [masks.constraint(AB, "") for _ in range(3)]
    states[1].advance(0)
    states[2].advance(3)
    kept = [constraint.mask() for constraint in states]
    assert states[0].mask() is kept[0]

    masks.constraint(AS, "").mask()

    assert states[0].mask() is kept[0]
    assert states[2].mask() is kept[2]
    assert states[1].mask() is not kept[1]


def test_only_the_most_recently_used_automata_are_kept(masks: GrammarMasks) -> None:
    first = masks.constraint(AB, "1").mask()
    masks.constraint(AS, "2")
    masks.constraint(AB, "1")
    masks.constraint(nested(), "3")

    assert masks.constraint(AB, "1").mask() is first
    masks.constraint(AS, "2")
    masks.constraint(nested(), "3")
    assert masks.constraint(AB, "1").mask() is not first


def test_a_constraint_outlives_its_automatons_place_among_the_kept(masks: GrammarMasks) -> None:
    constraint = masks.constraint(AB, "1")
    masks.constraint(AS, "2")
    masks.constraint(nested(), "3")

    constraint.advance(3)

    assert allowed(constraint.mask()) == {EOS, OTHER_EOS}


def test_automata_are_dropped_before_their_tables_fill_the_memory() -> None:
    vocabulary = Vocabulary(TOKENS, eos_ids=[EOS])
    table_bytes = 2 * 256 * 4
    masks = GrammarMasks(vocabulary, max_automata=100, max_rows=100, max_table_bytes=2 * table_bytes - 1)
    first = masks.constraint(AS, "1").mask()
    assert masks.constraint(AS, "1").mask() is first

    masks.constraint(AS, "2")

    assert masks.constraint(AS, "1").mask() is not first


def test_a_damaged_automaton_is_an_invalid_request(masks: GrammarMasks) -> None:
    damaged = automaton_pb2.Automaton()
    damaged.CopyFrom(AB)
    damaged.transitions = damaged.transitions[:-3]

    with pytest.raises(InvalidRequestError, match="automaton"):
        masks.constraint(damaged, "")


def test_a_grammar_that_the_vocabulary_cannot_spell_fails_by_name(masks: GrammarMasks) -> None:
    constraint = masks.constraint(regular({(1, "a"): 2, (2, "\x05"): 3, (2, "\x06"): 3}, accepting={3}), "")
    constraint.advance(0)

    with pytest.raises(GenerationError, match=r"no token .* the next byte must be 0x05, 0x06$"):
        constraint.mask()
