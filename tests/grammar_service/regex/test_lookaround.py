"""Look-around against Python's `re`, and, where that has none, against matching by hand."""

import re
from contextlib import suppress
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grammar_service.regex.automaton import fullmatch, search
from grammar_service.regex.cursor import Dialect, RegexError
from grammar_service.regex.syntax import parse
from grammar_service.regex.tree import Alternation, CharacterSet, Concatenation, LookAround, Node

SHORT = ["".join(letters) for length in range(5) for letters in product("ab-", repeat=length)]

patterns = st.recursive(
    st.sampled_from(["a", "b", "-", "[ab]", "[^a]", ".", r"\w", "^", "$", r"\b", r"\B"]),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda pair: f"(?:{pair[0]}|{pair[1]})"),
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{1,2}", "{2}"])).map(
            lambda pair: f"(?:{pair[0]}){pair[1]}"
        ),
        st.tuples(st.sampled_from(["=", "!", "<=", "<!"]), inner).map(lambda pair: f"(?{pair[0]}{pair[1]})"),
    ),
    max_leaves=7,
)


def ends(node: Node, text: str, begin: int) -> set[int]:
    """Where the matches of a node end that begin at `begin`: the definition, word for word."""
    if isinstance(node, CharacterSet):
        fits = begin < len(text) and any(low <= ord(text[begin]) <= high for low, high in node.ranges)
        return {begin + 1} if fits else set()
    if isinstance(node, Alternation):
        return {end for option in node.options for end in ends(option, text, begin)}
    if isinstance(node, LookAround):
        if node.ahead:
            found = bool(ends(node.node, text, begin))
        else:
            found = any(begin in ends(node.node, text, earlier) for earlier in range(begin + 1))
        return {begin} if found is not node.negative else set()
    if isinstance(node, Concatenation):
        reached = {begin}
        for part in node.parts:
            reached = {end for middle in reached for end in ends(part, text, middle)}
        return reached
    reached, found_ends = {begin}, set()
    # More turns than the text has characters can only be empty ones.
    for turn in range((node.least + len(text) + 1 if node.most is None else node.most) + 1):
        found_ends |= reached if turn >= node.least else set()
        reached = {end for middle in reached for end in ends(node.node, text, middle)}
    return found_ends


@settings(deadline=None, max_examples=200)
@given(patterns)
def test_look_around_means_what_it_says_wherever_it_stands(pattern: str) -> None:
    with suppress(RegexError):  # a look-behind with a look-ahead beyond its own end
        check_look_around(pattern)


def check_look_around(pattern: str) -> None:
    whole, anywhere = fullmatch(pattern), search(pattern)
    python, ecma = parse(pattern, Dialect.PYTHON), parse(pattern, Dialect.ECMA)
    for text in SHORT:
        assert whole.accepts(text) is (len(text) in ends(python, text, 0)), text
        assert anywhere.accepts(text) is any(ends(ecma, text, begin) for begin in range(len(text) + 1)), text


REAL = [
    r"^(?!foo)[a-z]*$",
    r"^(?=.*[A-Z])(?=.*\d).{3,8}$",
    r"^(?!.*--)[a-z-]+$",
    r"^[a-z-]*(?<!-)$",
    r"(?<!-)$",
    r"^(?:(?!x)[a-z])*$",
    r"^((?!foo).)*$",
    r"\bfoo\b",
    r"^(?!.*(foo|-a)).*[aA]$",
    r"(?<=a)b(?=-)",
    r"^(?!a$)(?!.*-$)[\w-]+$",
    r"^(?=[^-]*-[^-]*$)",
    r"(?=a)(?!ab).-",
    r"^(?![ \t\n]*\(foo(.*)\))[\s\S]*",
    r"(?<!\w)a+(?!\w)",
    r"^(?!(?:.*a){3})[ab-]*$",
    r"(?:^|-)a(?:-|$)",
    r"a\B.",
]


@pytest.mark.parametrize("pattern", REAL)
@given(
    text=st.text("abfox-A1 ", max_size=9)
    | st.lists(st.sampled_from(["foo", "a", "-", " ", "(foo)", "A", "1", "ab"]), max_size=5).map("".join)
)
@settings(deadline=None)
def test_forms_that_schemas_really_use(pattern: str, text: str) -> None:
    python = pattern.replace("$", r"\Z")
    assert search(pattern).accepts(text) is bool(re.search(python, text))
    assert fullmatch(pattern).accepts(text) is bool(re.fullmatch(python, text))


def test_a_look_behind_may_be_of_any_width() -> None:
    language = search(r"^[ab-]*(?<=^a+|-b*)-$")
    assert [text for text in SHORT if language.accepts(text)] == [
        text for text in SHORT if re.search(r"^(?:a+|[ab-]*-b*)-\Z", text)
    ]


def test_a_look_ahead_in_a_look_behind_is_exact_where_it_ends_there() -> None:
    language = search(r"(?<=\ba(?=b)b)-")
    assert language.accepts("ab-")
    assert language.accepts("-ab-")
    assert not language.accepts("bab-")


def test_the_empty_text_has_no_word_boundary() -> None:
    """As ECMA-262 has it, and Python from 3.14 on."""
    assert fullmatch(r"\B").accepts("")
    assert not fullmatch(r"\b").accepts("")
