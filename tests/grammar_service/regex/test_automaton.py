"""Expressions against Python's `re`, and every trap of outlines-core that the design lists."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from outlines_core import Index, Vocabulary

from grammar_service.regex.automaton import fullmatch, search
from protos.errors import InvalidRequestError

TEXTS = [
    "",
    "a",
    "ab",
    "abc",
    "b",
    "1",
    "1.5",
    "15",
    "yes",
    "yes, please",
    "ab cd",
    "a\n",
    "é",
    "xaby",
    "\n",
    "_",
]
texts = st.one_of(st.sampled_from(TEXTS), st.text("ab1. é\n-", max_size=6))


def test_outlines_alone_loses_the_longer_alternative() -> None:
    """The reason for the sentinel: should this begin to fail, outlines-core has changed."""
    index = Index("a|ab", Vocabulary(256, {bytes([byte]): [byte] for byte in range(256)}))
    after_a = index.get_next_state(index.get_initial_state(), ord("a"))
    assert index.get_next_state(after_a, ord("b")) is None


@given(
    st.sampled_from(
        [
            "a|ab",
            r"\d+(\.\d+)?",
            "[a-z]+( [a-z]+)*",
            "yes|yes, please",
            "",
            "a?",
            "(|a)(|ab)",
            "(a|b)*?b",
            "x*",
        ]
    ),
    texts,
)
def test_leftmost_first_loses_nothing(pattern: str, text: str) -> None:
    assert fullmatch(pattern).accepts(text) is bool(re.fullmatch(pattern, text))


@given(
    st.sampled_from(["^a", "b$", "^$", "^", "$", "^a|b$", "(^|x)a", "^(a|^b)", "a^b", "()*^a", "(^a)?b"]),
    texts,
)
def test_anchors_hold_wherever_they_stand_in_a_search(pattern: str, text: str) -> None:
    python = pattern.replace("$", r"\Z")  # in Python alone, $ also matches before a last newline
    assert search(pattern).accepts(text) is bool(re.search(python, text))


@given(st.sampled_from(["^abc$", "^(a|ab)$", r"\Aab\Z", "(^a|b)b?$", "a^b"]), texts)
def test_anchors_change_nothing_about_a_whole_match(pattern: str, text: str) -> None:
    assert fullmatch(pattern).accepts(text) is bool(re.fullmatch(pattern.replace("$", r"\Z"), text))


@given(st.sampled_from(["a", "a|b", "ab?", "[^a]", r"\d", "é", "a{2}", ""]), texts)
def test_a_schema_pattern_is_a_search(pattern: str, text: str) -> None:
    assert search(pattern).accepts(text) is bool(re.search(pattern, text))


@pytest.mark.parametrize(
    ("pattern", "text", "accepted"),
    [
        (r"\d", "٣", False),
        (r"\w", "é", False),
        (r"\s", "\u00a0", False),
        (r"\D", "٣", True),
        (r"\W", "é", True),
        (r"\S", "\u00a0", True),
        (r"[\d_]", "7", True),
        (r"[^\d]", "٣", True),
    ],
)
def test_classes_are_ascii(pattern: str, text: str, accepted: bool) -> None:
    assert fullmatch(pattern).accepts(text) is accepted
    assert search(f"^{pattern}$").accepts(text) is accepted


@pytest.mark.parametrize("text", ["\ufdd0", "\ufdd1", "\U0010fffe", "a\ufdd0b"])
def test_the_markers_are_text_like_any_other(text: str) -> None:
    assert fullmatch("(?:.|\n)*").accepts(text)
    assert search("^[^x]+$").accepts(text)
    assert not search("^[a-z]+$").accepts(text)
    assert not fullmatch("a^b").accepts("a\ufdd0b")


@pytest.mark.parametrize(
    ("pattern", "why", "position"),
    [
        ("a(?=b)", "look-around is not supported", 1),
        ("(?<!b)a", "look-around is not supported", 0),
        (r"(a)\1", "back-references are not supported", 3),
        (r"(?P<x>a)(?P=x)", "back-references are not supported", 8),
        (r"a\b", r"the word boundary \b is not supported", 1),
        ("ab(?i)c", "inline flags", 2),
        (r"\p{L}", r"the Unicode property \p is not supported", 0),
        ("(a", "missing ) for the group", 0),
        ("a)b", "unmatched )", 1),
        ("[ab", "missing ] for the set", 0),
        ("x*+", "possessive repetition is not supported", 2),
        ("a**", "multiple repeat", 1),
        ("|*", "nothing to repeat", 1),
        ("a{3,2}", "out of order", 1),
        ("a{1,1000000}", "repetition of more than", 1),
        ("[z-a]", "out of order", 2),
        (r"[a-\d]", "a range needs a character on both sides", 2),
        (r"\xg0", "bad hexadecimal escape", 0),
        ("a\\", "the pattern ends in a backslash", 1),
        (r"\q", "unknown escape", 0),
        ("(" * 5000, "nested deeper", 201),
    ],
)
def test_what_cannot_be_done_is_refused_with_its_position(pattern: str, why: str, position: int) -> None:
    for compile_pattern in (fullmatch, search):
        with pytest.raises(InvalidRequestError, match=re.escape(why)) as refusal:
            compile_pattern(pattern)
        assert f"at position {position} of the pattern" in str(refusal.value)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"A", "A"),
        (r"\u{1F600}", "\U0001f600"),
        (r"\ud83d\ude00", "\U0001f600"),
        (r"\cJ", "\n"),
        (r"a{,2}", "a{,2}"),
        (r"[]|x", "x"),
        (r"[^]", "\n"),
        (r"[\b]", "\b"),
        (r"\/", "/"),
        (r"a{", "a{"),
        (r"(?<year>\d{4})", "2026"),
    ],
)
def test_the_syntax_of_schemas_is_ecma262(pattern: str, text: str) -> None:
    assert search(f"^(?:{pattern})$").accepts(text)


@pytest.mark.parametrize(("pattern", "text"), [("a{,2}", "aa"), ("[]a]", "]"), (r"\Aa\Z", "a"), ("a{", "a{")])
def test_the_syntax_of_regex_grammars_is_pythons(pattern: str, text: str) -> None:
    assert re.fullmatch(pattern, text)
    assert fullmatch(pattern).accepts(text)


def test_the_dot_stops_at_the_line_ends_of_its_dialect() -> None:
    assert not fullmatch(".").accepts("\n")
    assert fullmatch(".").accepts("\r")
    assert not search("^.$").accepts("\u2028")
