"""Well-formed UTF-8, compared with Python's decoder."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from shard.utf8 import MALFORMED, UTF8, WHOLE


def left_after(text: bytes) -> int:
    left = WHOLE
    for byte in text:
        left = int(UTF8[left, byte])
    return left


def decodes(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


@settings(deadline=None)
@given(st.text())
def test_every_text_ends_between_two_characters(text: str) -> None:
    assert left_after(text.encode()) == WHOLE


@settings(deadline=None)
@given(
    st.binary(max_size=5)
    | st.lists(st.sampled_from(b"a\x80\x90\x9f\xa0\xbf\xc2\xe0\xed\xf0\xf4"), max_size=5).map(bytes)
)
def test_whole_characters_are_what_python_decodes(text: bytes) -> None:
    assert (left_after(text) == WHOLE) == decodes(text)


def test_a_malformed_sequence_is_never_mended() -> None:
    assert (UTF8[MALFORMED] == MALFORMED).all()
