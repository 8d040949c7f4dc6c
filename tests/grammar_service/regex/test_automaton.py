"""Expressions against Python's `re`, and every trap of outlines-core that the design lists."""

import re
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from outlines_core import Index, Vocabulary

from grammar_service.automata.dfa import TooManyStatesError
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


def single_letters(pattern: str) -> Index:
    return Index(pattern, Vocabulary(256, {bytes([byte]): [byte] for byte in range(256)}))


def test_outlines_alone_loses_the_longer_alternative() -> None:
    """The reason for the sentinel: should this begin to fail, outlines-core has changed."""
    index = single_letters("a|ab")
    after_a = index.get_next_state(index.get_initial_state(), ord("a"))
    assert index.get_next_state(after_a, ord("b")) is None


def test_outlines_alone_refuses_look_around() -> None:
    with pytest.raises(ValueError, match="Failed to build DFA"):
        single_letters("a(?=b)")


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
        (r"\D", "٣", True),
        (r"\W", "é", True),
        (r"[\d_]", "7", True),
        (r"[^\d]", "٣", True),
        (r"\s", "\v", True),
        (r"\S", "\u200b", True),
    ],
)
def test_classes_are_ascii(pattern: str, text: str, accepted: bool) -> None:
    assert fullmatch(pattern).accepts(text) is accepted
    assert search(f"^{pattern}$").accepts(text) is accepted


@pytest.mark.parametrize("space", ["\u00a0", "\ufeff", "\u2029", "\u2003", "\u3000", "\u202f"])
def test_white_space_is_ascii_in_python_and_all_of_ecma262s_in_schemas(space: str) -> None:
    assert not fullmatch(r"\s").accepts(space)
    assert fullmatch(r"[\S]").accepts(space)
    assert search(r"^[\s]$").accepts(space)
    assert not search(r"^\S$").accepts(space)


@pytest.mark.parametrize("text", ["\ufdd0", "\ufdd1", "\U0010fffe", "a\ufdd0b", "\x00\x01\x02"])
def test_no_character_is_reserved(text: str) -> None:
    assert fullmatch("(?:.|\n)*").accepts(text)
    assert search("^[^x]+$").accepts(text)
    assert not search("^[a-z]+$").accepts(text)
    assert search("^[\ufdd0-\ufdef]$").accepts("\ufdd0")
    assert not search("^[\ufdd1-\ufdef]$").accepts("\ufdd0")
    assert not fullmatch("a^b").accepts("a\ufdd0b")


@pytest.mark.parametrize(
    ("pattern", "why", "position"),
    [
        (r"(a)\1", "back-references are not supported", 3),
        (r"(?P<x>a)(?P=x)", "back-references are not supported", 8),
        ("ab(?i)c", "flags for the whole expression must stand at its begin", 2),
        ("a(?x: b)", "the flag x is not supported", 1),
        ("(?L)a", "the flag L is not supported", 0),
        ("(?i-i:a)", "bad flags", 0),
        ("(?>a)b", "atomic groups are not supported", 0),
        ("(?(1)a|b)", "unknown kind of group", 0),
        (r"a\p{Foo}", "unknown Unicode property Foo", 1),
        (r"\p{IsGreek}", "unknown Unicode property IsGreek", 0),
        (r"\pL", "unknown Unicode property", 0),
        (r"(?i)\p{Lu}", "the Unicode property Lu without regard to case", 4),
        (r"\012", "octal escapes are not supported", 0),
        (r"\b+", "nothing to repeat", 2),
        ("a^*", "nothing to repeat", 2),
        ("a(?<=a(?=.*b))c", "a look-behind with a look-ahead beyond its own end", 1),
        ("^(((a{1,100}){1,100}){1,10})$", "the repetition makes an expression of more than 50000", 21),
        ("(a", "missing ) for the group", 0),
        ("a)b", "unmatched )", 1),
        ("[ab", "missing ] for the set", 0),
        ("x*+", "possessive repetition is not supported", 2),
        ("a**", "multiple repeat", 1),
        ("|*", "nothing to repeat", 1),
        ("a{3,2}", "out of order", 1),
        ("a{1,1000000}", "repetition of more than", 1),
        ("[z-a]", "out of order", 2),
        (r"\xg0", "bad hexadecimal escape", 0),
        ("a\\", "the pattern ends in a backslash", 1),
        (r"\q", "unknown escape", 0),
        ("(" * 5000, "nested deeper", 71),
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


def test_a_dash_beside_a_class_is_a_character_in_ecma262_and_an_error_in_python() -> None:
    for text in ("a", "-", "."):
        assert search(r"^[\w-.]$").accepts(text)
    assert not search(r"^[\w-.]$").accepts("!")
    with pytest.raises(InvalidRequestError, match="a range needs a character on both sides at position 3"):
        fullmatch(r"[\w-.]")


@pytest.mark.parametrize(
    ("pattern", "flags"),
    [
        ("(?i)straße", 0),
        ("(?i)[a-f]k[^s]", 0),
        ("(?i:a)b", 0),
        ("(?i:a(?-i:b))c", 0),
        ("(?s).b", 0),
        ("(?s:.).", 0),
        ("(?m)^a$", 0),
        ("(?m)^a$\n^b$", 0),
        ("(?im)^a$\n(?:^B$)?", 0),
        ("(?a)(?i)k", 0),
    ],
)
@given(text=st.text("abkAKBſSsßẞtrekK\n", max_size=4) | st.sampled_from(["straße", "STRAẞE", "Straſe"]))
def test_flags_mean_what_they_mean_in_python(pattern: str, flags: int, text: str) -> None:
    assert fullmatch(pattern).accepts(text) is bool(re.fullmatch(pattern, text, flags))


def test_characters_without_case_are_those_of_python() -> None:
    cased = [chr(p) for p in range(0x20000) if chr(p).lower() != chr(p) or chr(p).upper() != chr(p)]
    for character in cased[::40]:
        pattern = f"(?i){character}"
        mine = {other for other in cased if fullmatch(pattern).accepts(other)}
        assert mine == set(re.findall(pattern, "".join(cased)))


@pytest.mark.parametrize(
    ("prop", "members", "others"),
    [
        ("L", "aÉλ漢", "1_ "),
        ("Lu", "AÉΛ", "aλ1"),
        ("Letter", "aλ", "1"),
        ("Uppercase_Letter", "AΛ", "aλ"),
        ("General_Category=Nd", "1٣", "a"),
        ("gc=P", "!¿", "a+"),
        ("Script=Greek", "λΛ", "aж"),
        ("sc=Cyrillic", "жЖ", "aλ"),
        ("Script=Han", "漢", "あ"),
        ("Script_Extensions=Greek", "λ", "a"),
        ("Alphabetic", "aλ", "1!"),
        ("White_Space", " \u00a0", "a"),
        ("ASCII", "a~", "é"),
        ("Any", "a漢\n", ""),
    ],
)
def test_unicode_properties(prop: str, members: str, others: str) -> None:
    inside, outside = search(rf"^\p{{{prop}}}$"), search(rf"^[\P{{{prop}}}]$")
    assert all(inside.accepts(character) and not outside.accepts(character) for character in members)
    assert all(outside.accepts(character) and not inside.accepts(character) for character in others)


@pytest.mark.parametrize(
    "pattern",
    [
        "(a|b)*a(a|b){20}",
        "(?:.*,){20}.*x.{15}",
        "(a{1,60}){1,60}",
        "(a?){5000}",
        "(?=(a|b)*a(a|b){17}c)[abc]*",
    ],
)
def test_a_hostile_expression_is_refused_for_its_states(pattern: str) -> None:
    with pytest.raises(TooManyStatesError):
        fullmatch(pattern)


@pytest.mark.parametrize("pattern", ["[]", "a[]b", "[^\\s\\S]*a|[^\\d\\D]", "(?!)", "a(?=b)c", r"\ud800"])
def test_what_matches_nothing_is_an_automaton_too(pattern: str) -> None:
    assert search(pattern).empty or search(pattern).accepts("a")


def test_a_set_without_characters_ends_only_its_own_alternative() -> None:
    assert search("^(?:a[]|b)$").accepts("b")
    assert not search("^(?:a[]|b)$").accepts("a")


@pytest.mark.parametrize("pattern", ["(?:^x){0}a", "(?:$){0}a", "(?:(?=b)){0,0}a", "(?:b){0}a"])
def test_what_is_repeated_no_times_is_not_there(pattern: str) -> None:
    for language in (fullmatch(pattern), search(f"^{pattern}$")):
        assert language.accepts("a")
        assert not language.accepts("ba")


def test_long_repetitions_are_compiled() -> None:
    assert fullmatch(".{0,10000}").accepts("é" * 10_000)
    assert not fullmatch(".{0,10000}").accepts("é" * 10_001)
    words = "|".join(f"word{number}" for number in range(0, 30_000, 10))
    assert search(f"^({words})$").accepts("word29990")
    assert not search(f"^({words})$").accepts("word29991")


@settings(deadline=None, max_examples=300)
@given(st.text(r"ab1-^$.*+?{},()[]|\=!<:dwbpuisxP>é", max_size=14))
def test_any_text_is_compiled_or_refused_cleanly(pattern: str) -> None:
    for compile_pattern in (fullmatch, search):
        with suppress(InvalidRequestError):
            compile_pattern(pattern)
