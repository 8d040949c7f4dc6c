"""An answer ends with its stop string, its end token, or its last token."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shard.stopping import FinishReason, StopStrings, finished


def cut(strings: list[str], pieces: list[str]) -> tuple[str, bool]:
    stop = StopStrings(strings)
    text = ""
    for piece in pieces:
        kept, stopped = stop.cut(piece)
        text += kept
        if stopped:
            return text, True
    return text, False


def test_the_text_keeps_the_stop_string_and_nothing_after_it() -> None:
    assert cut(["\n\n"], ["Paris.", "\n\nAnd"]) == ("Paris.\n\n", True)


def test_a_stop_string_may_be_cut_between_pieces() -> None:
    assert cut(["STOP"], ["a S", "T", "", "OP b"]) == ("a STOP", True)


def test_the_stop_string_that_ends_first_counts() -> None:
    assert cut(["abcd", "bc"], ["xabcde"]) == ("xabc", True)


def test_text_without_a_stop_string_is_untouched() -> None:
    assert cut(["STOP"], ["S", "TO", "S", "TO"]) == ("STOSTO", False)


def test_without_stop_strings_nothing_stops() -> None:
    assert cut([], ["a", "", "b"]) == ("ab", False)


@given(
    st.lists(st.text("ab", min_size=1, max_size=3), max_size=3),
    st.lists(st.text("ab", max_size=4), max_size=8),
)
def test_it_stops_where_the_whole_text_first_contains_a_stop_string(
    strings: list[str], pieces: list[str]
) -> None:
    whole = "".join(pieces)
    ends = [whole.index(string) + len(string) for string in strings if string in whole]
    assert cut(strings, pieces) == (whole[: min(ends)] if ends else whole, bool(ends))


@given(
    st.lists(st.text("ab", min_size=1, max_size=4), max_size=3),
    st.lists(st.text("ab", max_size=4), max_size=8),
)
def test_of_an_excluded_stop_string_nothing_is_ever_given_out(strings: list[str], pieces: list[str]) -> None:
    whole = "".join(pieces)
    ends = [(whole.index(each) + len(each), whole.index(each)) for each in strings if each in whole]
    expected = whole[: min(ends)[1]] if ends else whole
    stop, given_out, stopped = StopStrings(strings, exclude=True), "", False
    for piece in pieces:
        kept, stopped = stop.cut(piece)
        given_out += kept
        assert expected.startswith(given_out)
        if stopped:
            break
    assert stopped == bool(ends)
    assert given_out + stop.flush() == expected


def test_text_that_can_be_no_stop_string_any_more_is_given_out_at_once() -> None:
    stop = StopStrings(["</end>"], exclude=True)
    assert [stop.cut(piece)[0] for piece in ("a </", "en", "ough", "<", "b")] == [
        "a ",
        "",
        "</enough",
        "",
        "<b",
    ]


@given(st.lists(st.text("ab", max_size=3), max_size=8), st.integers(0, 8), st.booleans())
def test_stop_strings_completed_before_they_count_are_text(
    pieces: list[str], early: int, exclude: bool
) -> None:
    stop, text = StopStrings(["ab", "b"], exclude=exclude), ""
    for index, piece in enumerate(pieces):
        kept, stopped = stop.cut(piece, stopping=index >= early)
        text += kept
        if stopped:
            assert index >= early
            assert "b" in piece
            break
        assert index < early or "b" not in piece
    assert "".join(pieces).startswith(text + stop.flush())


def test_a_stop_token_ends_the_answer_as_a_stop_string_does() -> None:
    assert finished(7, generated=1, max_new_tokens=5, eos_ids={2}, stop_ids={7}) is FinishReason.STOP_SEQUENCE
    assert finished(2, generated=1, max_new_tokens=5, eos_ids={2}, stop_ids={2}) is FinishReason.EOS_TOKEN


def test_the_end_token_ends_the_answer_even_if_it_is_the_last_allowed() -> None:
    assert finished(2, generated=5, max_new_tokens=5, eos_ids={2}) is FinishReason.EOS_TOKEN


def test_the_last_allowed_token_ends_the_answer() -> None:
    assert finished(7, generated=4, max_new_tokens=5, eos_ids={2}) is None
    assert finished(7, generated=5, max_new_tokens=5, eos_ids={2}) is FinishReason.LENGTH
