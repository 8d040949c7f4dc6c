"""However characters are cut between tokens, the text comes out whole."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shard.detokenizer import Detokenizer

BYTES: list[bytes | None] = [bytes([value]) for value in range(256)] + [None]
SPECIAL = 256


def pieces(tokens: list[bytes]) -> list[str]:
    detokenizer = Detokenizer(tokens)
    return [*(detokenizer.add(index) for index in range(len(tokens))), detokenizer.flush()]


@pytest.mark.parametrize("text", ["🤖", "👩‍👩‍👧", "日本語", "é = e\u0301", "naïve 🇫🇷!"])
def test_text_cut_anywhere_comes_out_whole(text: str) -> None:
    data = text.encode()
    for first in range(len(data) + 1):
        for second in range(first, len(data) + 1):
            parts = pieces([data[:first], data[first:second], data[second:]])
            assert "".join(parts) == text
            assert not any("\ufffd" in part for part in parts)


def test_half_a_character_is_held_back() -> None:
    robot = "🤖".encode()
    assert pieces([b"a" + robot[:2], robot[2:3], robot[3:] + b"b"]) == ["a", "", "🤖b", ""]


def test_what_is_left_of_a_character_at_the_end_is_replaced() -> None:
    assert pieces([b"a", "é".encode()[:1]]) == ["a", "", "\ufffd"]


def test_bytes_that_begin_no_character_are_replaced() -> None:
    assert pieces([b"a\x80b"]) == ["a\ufffdb", ""]


def test_a_special_token_has_no_text() -> None:
    detokenizer = Detokenizer(BYTES)
    assert detokenizer.add(ord("a")) == "a"
    assert detokenizer.add(SPECIAL) == ""


@given(st.lists(st.binary(max_size=5)))
def test_pieces_put_together_are_the_bytes_decoded_at_once(tokens: list[bytes]) -> None:
    assert "".join(pieces(tokens)) == b"".join(tokens).decode("utf-8", "replace")


written = st.lists(
    st.one_of(
        st.sampled_from(
            ["👩‍👩‍👧", "🇫🇷", "👍🏽", "日本", "한국어", "e\u0301", "ก็", "नि", "\u200d", "\ufffd", "\r\n", " "]
        ),
        st.characters(exclude_categories=["Cs"]),
    ),
    max_size=12,
).map("".join)


@given(written, st.data())
def test_each_token_gives_the_characters_that_it_completes_and_no_other(
    text: str, data: st.DataObject
) -> None:
    encoded = text.encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(encoded)), max_size=len(encoded) + 2)))
    ends = [*cuts, len(encoded)]
    tokens = [encoded[start:end] for start, end in zip([0, *cuts], ends, strict=True)]
    told = ""
    for end, piece in zip(ends, pieces(tokens), strict=False):
        told += piece
        assert told == encoded[:end].decode("utf-8", "ignore"), "whole characters, as soon as they are whole"
    assert told == text
