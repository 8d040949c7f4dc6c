"""Events of an answer: what each token adds, and how it ends."""

from __future__ import annotations

import math

import pytest

from shard.answer import Answer, Event, Sampled
from shard.detokenizer import Detokenizer
from shard.stopping import FinishReason, StopStrings

EOS = 256


def answer(
    *,
    max_new_tokens: int = 100,
    min_new_tokens: int = 0,
    stop: tuple[str, ...] = (),
    exclude: bool = False,
    eos_ids: tuple[int, ...] = (EOS,),
    stop_ids: tuple[int, ...] = (),
) -> Answer:
    return Answer(
        max_new_tokens=max_new_tokens,
        min_new_tokens=min_new_tokens,
        detokenizer=Detokenizer([*(bytes([value]) for value in range(256)), None]),
        stop_strings=StopStrings(stop, exclude=exclude),
        eos_ids=eos_ids,
        stop_ids=stop_ids,
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


def test_a_stop_string_is_found_though_its_characters_are_cut_between_tokens() -> None:
    subject = answer(stop=("é🤖",))
    events = add(subject, "aé🤖".encode())
    assert [event.text for event in events] == ["a", "", "é", "", "", "", "🤖"]
    assert events[-1].finish_reason is FinishReason.STOP_SEQUENCE


def test_an_excluded_stop_string_is_in_no_event() -> None:
    subject = answer(stop=("é🤖",), exclude=True)
    events = add(subject, "aé🤖".encode())
    assert "".join(event.text for event in events) == subject.text == "a"
    assert events[-1].finish_reason is FinishReason.STOP_SEQUENCE


def test_what_was_held_back_for_a_stop_string_comes_when_the_answer_ends_without_it() -> None:
    subject = answer(stop=("END",), exclude=True, max_new_tokens=3)
    events = add(subject, b"aEN")
    assert [event.text for event in events] == ["a", "", "EN"]
    special = answer(stop=("END",), exclude=True)
    add(special, b"aEN")
    assert special.add(Sampled(EOS, -0.1)).text == "<end>"
    assert special.text == "aEN"


def test_a_stop_token_ends_the_answer_and_keeps_its_text() -> None:
    subject = answer(stop_ids=(ord("b"),))
    events = add(subject, b"ab")
    assert events[-1].finish_reason is FinishReason.STOP_SEQUENCE
    assert subject.text == "ab"


def test_an_end_token_that_is_ignored_is_a_token_without_text() -> None:
    subject = answer(eos_ids=(), max_new_tokens=3)
    events = [subject.add(Sampled(each, -0.5)) for each in (97, EOS, 98)]
    assert [event.finish_reason for event in events] == [None, None, FinishReason.LENGTH]
    assert subject.text == "ab"


def test_a_stop_string_before_the_fewest_tokens_is_text() -> None:
    subject = answer(stop=("lo",), min_new_tokens=6)
    events = add(subject, b"hello, lo")
    assert [event.finish_reason for event in events[:-1]] == [None] * 8
    assert events[-1].finish_reason is FinishReason.STOP_SEQUENCE


def test_log_probabilities_of_all_tokens_are_summed() -> None:
    subject = answer()
    add(subject, b"abc")
    assert subject.logprob == -1.5


def test_a_stop_string_in_the_last_allowed_token_counts() -> None:
    subject = answer(stop=("lo",), max_new_tokens=5)
    assert add(subject, b"hello")[-1].finish_reason is FinishReason.STOP_SEQUENCE


def test_an_output_that_is_not_a_number_is_an_error() -> None:
    with pytest.raises(ArithmeticError):
        answer().add(Sampled(1, math.nan))
