"""Characters in bytes: UTF-8, and every escape of JSON."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grammar_service.automata.basis import determinise
from grammar_service.automata.dfa import Dfa
from grammar_service.automata.program import Program
from grammar_service.automata.speller import Speller
from grammar_service.automata.spelling import Spelling
from grammar_service.regex.automaton import fullmatch
from protos.automaton import Automaton

characters = st.characters(exclude_categories=["Cs"])
texts = st.text(characters, max_size=6)


def spelled(dfa: Dfa, spelling: Spelling) -> Automaton:
    program = Program(max_states=10_000)
    final = program.state()
    speller = Speller(program)
    start = speller.language(dfa, spelling, final)
    assert program.trimmed(start, final)
    return determinise(speller, start, final, max_depth=4)


ANYTHING = {spelling: spelled(Dfa.everything(), spelling) for spelling in Spelling}


def escaped(text: str, *, upper: bool) -> str:
    """`text` with every character as \\uXXXX."""
    units = text.encode("utf-16-be")
    digits = (units[i : i + 2].hex() for i in range(0, len(units), 2))
    return "".join(f"\\u{four.upper() if upper else four}" for four in digits)


@given(texts, st.booleans())
def test_a_json_string_may_spell_any_text_in_any_way(text: str, upper: bool) -> None:
    automaton = ANYTHING[Spelling.JSON]
    assert automaton.accepts(json.dumps(text)[1:-1].encode())
    assert automaton.accepts(json.dumps(text, ensure_ascii=False)[1:-1].encode())
    assert automaton.accepts(escaped(text, upper=upper).encode())


@given(texts)
def test_canonical_spelling_is_what_json_writers_write(text: str) -> None:
    automaton = ANYTHING[Spelling.JSON_CANONICAL]
    assert automaton.accepts(json.dumps(text)[1:-1].encode())
    assert automaton.accepts(json.dumps(text, ensure_ascii=False)[1:-1].encode())


@given(texts)
def test_raw_spelling_is_utf8(text: str) -> None:
    assert ANYTHING[Spelling.RAW].accepts(text.encode())


@given(st.binary(max_size=5))
def test_raw_spelling_is_nothing_but_utf8(data: bytes) -> None:
    try:
        data.decode()
        valid = True
    except UnicodeDecodeError:
        valid = False
    assert ANYTHING[Spelling.RAW].accepts(data) is valid


@given(st.text(st.sampled_from('"\\u0aAdD8cC9/bn\x1f\n é'), max_size=12))
def test_what_is_accepted_in_quotes_is_a_json_string_of_characters(body: str) -> None:
    try:
        decoded = json.loads(f'"{body}"')
        valid = isinstance(decoded, str) and not any("\ud800" <= c < "\ue000" for c in decoded)
    except ValueError:
        valid = False
    assert ANYTHING[Spelling.JSON].accepts(body.encode()) is valid


@pytest.mark.parametrize("body", [b"\\u0061", b"\\/", b"\\u000A", b"\\u0022"])
def test_canonical_spelling_escapes_only_what_it_must(body: bytes) -> None:
    assert not ANYTHING[Spelling.JSON_CANONICAL].accepts(body)


@given(texts)
def test_a_language_keeps_its_meaning_under_escapes(text: str) -> None:
    dfa = fullmatch("[^b-y]{0,2}")
    automaton = spelled(dfa, Spelling.JSON)
    for body in (json.dumps(text)[1:-1], escaped(text, upper=True)):
        assert automaton.accepts(body.encode()) is dfa.accepts(text)


def test_surrogate_pairs_respect_the_borders_of_a_set() -> None:
    automaton = spelled(fullmatch("[\U00010400-\U0001f600]"), Spelling.JSON)
    for point, inside in [(0x103FF, False), (0x10400, True), (0x1F600, True), (0x1F601, False)]:
        assert automaton.accepts(escaped(chr(point), upper=False).encode()) is inside
        assert automaton.accepts(chr(point).encode()) is inside


def test_what_follows_a_character_is_stored_once_and_not_once_a_state() -> None:
    short, long = (spelled(Dfa.lengths(0, n), Spelling.JSON).num_states for n in (10, 110))
    assert long - short == 100
