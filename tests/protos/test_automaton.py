"""The automaton as it is read, sent and checked."""

import zlib
from dataclasses import replace

import numpy as np
import pytest

from protos import automaton_pb2
from protos.automaton import Automaton, Configuration
from protos.endings import ACCEPTED, Endings
from protos.errors import InvalidRequestError


def brackets(*, max_depth: int = 3) -> Automaton:
    """Balanced [ and ], at least one pair. Class 0 is every other byte, 1 is [, 2 is ]."""
    byte_classes = np.zeros(256, dtype=np.uint8)
    byte_classes[ord("[")], byte_classes[ord("]")] = 1, 2
    states = 4  # 1: start, 2: inside a pair, 3: after a pair
    call, back = -1, states
    return Automaton(
        byte_classes=byte_classes,
        transitions=np.array([[0, 0, 0], [0, call, 0], [0, call - 1, back], [0, 0, 0]], dtype=np.int32),
        accepting=np.array([False, False, False, True]),
        start=1,
        call_entries=np.array([2, 2], dtype=np.int32),
        call_rows=np.array([0, 1], dtype=np.int32),
        returns=np.array([3, 2], dtype=np.int32),
        max_depth=max_depth,
        endings=Endings(
            first=np.array([0, 0, 1, 2, 3], dtype=np.int32),
            labels=np.array([ACCEPTED, 1, ACCEPTED], dtype=np.int32),
            lengths=np.array([2, 1, 0], dtype=np.int32),
            depths=np.array([1, 0, 0], dtype=np.int32),
            first_bytes=np.frombuffer(b"[]\0", dtype=np.uint8),
        ),
    )


@pytest.mark.parametrize(
    ("answer", "accepted"),
    [("[]", True), ("[[]]", True), ("[[][]]", True), ("", False), ("[", False), ("]", False), ("[]]", False)],
)
def test_calls_and_returns_follow_the_brackets(answer: str, accepted: bool) -> None:
    assert brackets().accepts(answer.encode()) is accepted


def test_no_call_goes_deeper_than_the_stack_may_hold() -> None:
    assert brackets(max_depth=3).accepts(b"[[[]]]")
    assert not brackets(max_depth=3).accepts(b"[[[[]]]]")


def test_a_configuration_inside_a_call_is_no_end() -> None:
    automaton = brackets()
    inside = automaton.step(Configuration(1), ord("["))
    assert inside == Configuration(2, (0,))
    assert not automaton.ends(inside)


def test_an_automaton_survives_its_message() -> None:
    sent = brackets()
    received = Automaton.from_message(
        automaton_pb2.Automaton.FromString(sent.to_message().SerializeToString())
    )
    for name in ("byte_classes", "transitions", "accepting", "call_entries", "call_rows", "returns"):
        np.testing.assert_array_equal(getattr(received, name), getattr(sent, name))
    assert (received.start, received.max_depth) == (sent.start, sent.max_depth)
    for name in ("first", "labels", "lengths", "depths", "first_bytes"):
        np.testing.assert_array_equal(getattr(received.endings, name), getattr(sent.endings, name))


def endings_of(counts: list[int], labels: list[int], lengths: list[int]) -> bytes:
    """The three endings that these counts and columns say, as a message has them."""
    columns = np.array([*counts, *labels, *lengths, 1, 0, 0], dtype="<i4")
    return zlib.compress(np.diff(columns, prepend=columns.dtype.type(0)).astype("<i4").tobytes() + b"[]\0")


def damaged(**fields: object) -> automaton_pb2.Automaton:
    message = brackets().to_message()
    for name, value in fields.items():
        setattr(message, name, value)
    return message


@pytest.mark.parametrize(
    "message",
    [
        damaged(format_version=1),
        damaged(transition_bytes=4),
        damaged(byte_classes=b"\0" * 255),
        damaged(byte_classes=b"\xff" * 256),
        damaged(num_states=5),
        damaged(num_states=1 << 31),
        damaged(num_classes=0),
        damaged(transitions=b"not zlib"),
        damaged(transitions=brackets().to_message().transitions[:-3]),
        damaged(accepting=b""),
        damaged(start=4),
        damaged(start=0),
        damaged(call_entries=b"\x02\0\0\0"),
        damaged(call_entries=b"\x02\0\0"),
        damaged(call_entries=b"\x02\0\0\0\0\0\0\0"),
        damaged(call_rows=b"\x00\0\0\0\x02\0\0\0"),
        damaged(returns=b"\x03\0\0\0\x04\0\0\0"),
        damaged(num_endings=2),
        damaged(num_endings=1 << 31),
        damaged(endings=b"not zlib"),
        damaged(endings=brackets().to_message().endings[:-3]),
        damaged(endings=endings_of([0, 1, 1, 2], [0, 1, 0], [2, 1, 0])),
        damaged(endings=endings_of([0, -1, 1, 3], [0, 1, 0], [2, 1, 0])),
        damaged(endings=endings_of([0, 1, 1, 1], [0, 2, 0], [2, 1, 0])),
        damaged(endings=endings_of([0, 1, 1, 1], [0, -1, 0], [2, 1, 0])),
        damaged(endings=endings_of([0, 1, 1, 1], [0, 1, 0], [2, -1, 0])),
        automaton_pb2.Automaton(),
    ],
)
def test_a_damaged_message_is_refused(message: automaton_pb2.Automaton) -> None:
    with pytest.raises(InvalidRequestError, match="automaton"):
        Automaton.from_message(message)


def test_a_small_message_cannot_claim_a_huge_table() -> None:
    bomb = damaged(num_states=1000, num_classes=256, transitions=zlib.compress(b"\0" * (1 << 24)))
    with pytest.raises(InvalidRequestError, match="wrong length"):
        Automaton.from_message(bomb)


@pytest.mark.parametrize(("states", "width"), [(1 << 15, 2), ((1 << 15) + 1, 4)])
def test_transitions_are_stored_in_two_bytes_where_they_fit_and_in_four_else(states: int, width: int) -> None:
    table = np.zeros((states, 1), dtype=np.int32)
    table[1] = states - 1
    nothing = np.zeros(0, dtype=np.int32)
    automaton = Automaton(
        byte_classes=np.zeros(256, dtype=np.uint8),
        transitions=table,
        accepting=np.arange(states) == states - 1,
        start=1,
        call_entries=nothing,
        call_rows=nothing,
        returns=nothing,
        max_depth=1,
        endings=replace(Endings.none(), first=np.zeros(states + 1, dtype=np.int32)),
    )
    message = automaton.to_message()
    assert message.transition_bytes == width
    assert np.array_equal(Automaton.from_message(message).transitions, table)


@pytest.mark.parametrize("width", [0, 1, 3, 8])
def test_another_width_of_transitions_is_refused_by_name(width: int) -> None:
    with pytest.raises(InvalidRequestError, match=f"{width} bytes per transition"):
        Automaton.from_message(damaged(transition_bytes=width))
