"""Events of an answer: what each token adds, and how it ends."""

from __future__ import annotations

import math

import pytest

from shard.answer import Answer, Event, Sampled
from shard.detokenizer import Detokenizer
from shard.stopping import FinishReason, StopStrings

EOS = 256


def answer(*, max_new_tokens: int = 100, stop: tuple[str, ...] = ()) -> Answer:
    return Answer(
        max_new_tokens=max_new_tokens,
        detokenizer=Detokenizer([*(bytes([value]) for value in range(256)), None]),
        stop_strings=StopStrings(stop),
        eos_ids={EOS},
        special_tokens={EOS: "<end>"},
    )


def add(subject: Answer, data: bytes) -> list[Event]:
    return [subject.add(Sampled(value, -0.5)) for value in data]


def test_texts_of_events_make_up_the_answer() -> None:
    subject = answer(max_new_tokens=5)
    events = add(subject, "a🤖".encode())
    assert [event.text for event in events] == ["a", "", "", "", "🤖"]
    assert subject.text == "a🤖"
    assert events[-1].finish_reason is FinishReason.LENGTH


def test_the_end_token_is_named_but_not_part_of_the_text() -> None:
    subject = answer()
    add(subject, b"hi")
    event = subject.add(Sampled(EOS, -0.1))
    assert (event.text, event.special, event.finish_reason) == ("<end>", True, FinishReason.EOS_TOKEN)
    assert subject.text == "hi"
    assert subject.generated == 3


def test_an_answer_cut_off_in_a_character_shows_that_something_was_there() -> None:
    subject = answer(max_new_tokens=2)
    events = add(subject, "é".encode()[:1] + "🤖".encode()[:1])
    assert "".join(event.text for event in events) == subject.text == "\ufffd\ufffd"


def test_a_stop_string_ends_the_answer_right_after_it() -> None:
    subject = answer(stop=("lo",))
    events = add(subject, b"hello")
    assert events[-1].finish_reason is FinishReason.STOP_SEQUENCE
    assert subject.text == "hello"


def test_a_stop_string_in_the_last_allowed_token_counts() -> None:
    subject = answer(stop=("lo",), max_new_tokens=5)
    assert add(subject, b"hello")[-1].finish_reason is FinishReason.STOP_SEQUENCE


def test_an_output_that_is_not_a_number_is_an_error() -> None:
    with pytest.raises(ArithmeticError):
        answer().add(Sampled(1, math.nan))
