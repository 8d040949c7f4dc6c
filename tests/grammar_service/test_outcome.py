"""The bytes of an outcome: written, read, and damaged."""

from __future__ import annotations

import pytest

from grammar_service.outcome import Compiled, DamagedError, Outcome, Refused, decode, encode
from protos import automaton_pb2, grammar_pb2

AUTOMATON = automaton_pb2.Automaton(format_version=2, byte_classes=bytes(256), num_states=3, start=1)
COMPILED = Compiled(AUTOMATON, grammar_pb2.Summary(num_states=3, compile_seconds=0.25, shortest_answer="{}"))


@pytest.mark.parametrize("outcome", [COMPILED, Refused("/a: not this keyword — ✗")])
def test_an_outcome_reads_back_as_it_was(outcome: Outcome) -> None:
    assert decode(encode(outcome)) == outcome


def test_a_refusal_that_quotes_half_a_surrogate_pair_can_be_sent() -> None:
    assert decode(encode(Refused("not \ud800"))) == Refused("not \\ud800")


@pytest.mark.parametrize("position", [0, 4, 5, 20, -1])
def test_any_changed_byte_is_noticed(position: int) -> None:
    data = bytearray(encode(COMPILED))
    data[position] ^= 0x40
    with pytest.raises(DamagedError):
        decode(bytes(data))


@pytest.mark.parametrize("data", [b"", b"GRL2", b"nonsense and more nonsense"])
def test_bytes_that_are_none_of_ours_are_noticed(data: bytes) -> None:
    with pytest.raises(DamagedError):
        decode(data)


def test_a_value_cut_short_is_noticed() -> None:
    with pytest.raises(DamagedError):
        decode(encode(COMPILED)[:-1])
