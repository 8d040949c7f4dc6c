"""The algebra of automata over characters, against sets of short strings worked out one by one."""

import re
from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grammar_service.automata.dfa import Dfa, TooManyStatesError
from grammar_service.regex.automaton import fullmatch

ALPHABET = "abé"
SHORT = ["".join(letters) for length in range(5) for letters in product(ALPHABET, repeat=length)]
LIMIT = 10_000

atoms = st.sampled_from(["a", "b", "é", "[ab]", "[^a]", "."])
patterns = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda pair: f"(?:{pair[0]}|{pair[1]})"),
        st.tuples(inner, inner).map(lambda pair: pair[0] + pair[1]),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{1,2}", "*?"])).map(
            lambda pair: f"(?:{pair[0]}){pair[1]}"
        ),
    ),
    max_leaves=6,
)


def members(dfa: Dfa) -> set[str]:
    return {text for text in SHORT if dfa.accepts(text)}


def matching(pattern: str) -> set[str]:
    return {text for text in SHORT if re.fullmatch(pattern, text)}


@given(patterns)
def test_an_expression_has_the_language_that_python_gives_it(pattern: str) -> None:
    assert members(fullmatch(pattern)) == matching(pattern)


@given(patterns, patterns)
def test_intersection_union_and_difference_are_those_of_the_languages(first: str, second: str) -> None:
    a, b = fullmatch(first), fullmatch(second)
    assert members(a.intersection(b, max_states=LIMIT)) == matching(first) & matching(second)
    assert members(a.union(b, max_states=LIMIT)) == matching(first) | matching(second)
    assert members(a.difference(b, max_states=LIMIT)) == matching(first) - matching(second)


@given(patterns, patterns)
def test_concatenation_puts_one_after_the_other(first: str, second: str) -> None:
    joined = fullmatch(first).concatenation(fullmatch(second), max_states=LIMIT)
    assert members(joined) == matching(f"(?:{first})(?:{second})")
    assert len(joined.minimised().table) == len(fullmatch(f"(?:{first})(?:{second})").table)


@given(patterns, st.integers(0, 4), st.none() | st.integers(0, 5))
def test_bounds_leave_the_strings_of_those_lengths(pattern: str, least: int, most: int | None) -> None:
    bounded = fullmatch(pattern).bounded(least, most, max_states=LIMIT)
    expected = {text for text in matching(pattern) if least <= len(text) <= (4 if most is None else most)}
    assert members(bounded) == expected
    anew = replace(bounded)  # which is not known to be trimmed
    assert anew.trimmed is anew
    lengths = Dfa.lengths(least, most) if most is None or least <= most else Dfa.words([])
    same = fullmatch(pattern).intersection(lengths, max_states=LIMIT)
    assert len(bounded.minimised().table) == len(same.minimised().table)


def test_bounds_that_make_too_many_states_are_refused() -> None:
    with pytest.raises(TooManyStatesError):
        fullmatch("(?:aa|aaa|b)*").bounded(0, 40, max_states=50)
    with pytest.raises(TooManyStatesError):
        fullmatch("a*").bounded(60, None, max_states=50)


@given(patterns)
def test_the_star_repeats_any_number_of_times(pattern: str) -> None:
    assert members(fullmatch(pattern).star(max_states=LIMIT)) == matching(f"(?:{pattern})*")


@given(patterns)
def test_the_reversal_reads_from_the_end(pattern: str) -> None:
    reverse = fullmatch(pattern).reversal(max_states=LIMIT)
    assert members(reverse) == {text[::-1] for text in matching(pattern)}
    assert members(reverse.reversal(max_states=LIMIT)) == matching(pattern)


@given(patterns)
def test_the_complement_has_everything_else(pattern: str) -> None:
    dfa = fullmatch(pattern)
    assert members(dfa.complement()) == set(SHORT) - matching(pattern)
    assert dfa.intersection(dfa.complement(), max_states=LIMIT).empty
    assert members(dfa.complement().complement()) == matching(pattern)


@given(patterns)
def test_minimising_keeps_the_language_and_never_adds_states(pattern: str) -> None:
    dfa = fullmatch(pattern)
    doubled = dfa.union(dfa, max_states=LIMIT)
    small = doubled.minimised()
    assert members(small) == matching(pattern)
    assert len(small.table) <= len(doubled.table)
    assert len(small.table) == len(dfa.table)  # which is minimal already


@given(st.lists(st.text(ALPHABET, max_size=4)))
def test_words_are_exactly_the_words(words: list[str]) -> None:
    assert members(Dfa.words(words)) == set(words)


@given(st.integers(0, 3), st.one_of(st.none(), st.integers(0, 4)))
def test_lengths_count_characters(least: int, most: int | None) -> None:
    if most is not None and most < least:
        return
    expected = {text for text in SHORT if least <= len(text) and (most is None or len(text) <= most)}
    assert members(Dfa.lengths(least, most)) == expected


def test_the_empty_language_is_empty_and_stays_so() -> None:
    nothing = Dfa.words([])
    assert nothing.empty
    assert nothing.intersection(Dfa.everything(), max_states=LIMIT).empty
    assert members(nothing.union(Dfa.words(["a"]), max_states=LIMIT)) == {"a"}
    assert members(nothing.complement()) == set(SHORT)
    assert members(nothing.star(max_states=LIMIT)) == {""}
    assert members(nothing.concatenation(Dfa.everything(), max_states=LIMIT)) == set()
    assert members(nothing.reversal(max_states=LIMIT)) == set()
    assert len(nothing.minimised().table) == 1


def test_wide_automata_are_multiplied_and_minimised_like_narrow_ones() -> None:
    words = [f"{number:05}" for number in range(0, 30_000, 7)]
    trie = Dfa.words(words)
    short = trie.intersection(Dfa.lengths(0, 5), max_states=LIMIT * 10).minimised()
    assert len(short.table) < len(trie.table)
    assert all(short.accepts(word) for word in words)
    assert not any(short.accepts(str(int(word) + 1).zfill(5)) for word in words)


def test_a_long_chain_is_already_minimal() -> None:
    assert len(Dfa.lengths(0, 20_000).minimised().table) == 20_002


def test_surrogates_are_no_characters() -> None:
    assert not Dfa.everything().complement().accepts("\ud800")
    assert not Dfa.everything().accepts("\ud800")


def test_a_product_stops_at_the_limit_on_states() -> None:
    some = fullmatch("(?:a|b)*a(?:a|b){4}")
    with pytest.raises(TooManyStatesError, match="more than 50 states"):
        some.concatenation(some, max_states=50)
    with pytest.raises(TooManyStatesError, match="more than 20 states"):
        some.star(max_states=20)
    with pytest.raises(TooManyStatesError, match="more than 4 states"):
        fullmatch("(?:a|b){4}a(?:a|b)*").reversal(max_states=4)
    with pytest.raises(TooManyStatesError, match="more than 50 states"):
        Dfa.lengths(0, 40).intersection(fullmatch("(?:aa|aaa|b)*"), max_states=50)
