"""The canonical grammar: what is equal, what is not, and what is none."""

from __future__ import annotations

import json

import pytest

from grammar_service.grammar import CanonicalGrammar, GrammarReader
from grammar_service.limits import Limits
from protos import grammar_pb2
from protos.errors import InvalidRequestError


def reader_of(
    *, limits: Limits | None = None, compiler_version: str = "1", max_source_bytes: int = 1_000_000
) -> GrammarReader:
    return GrammarReader(
        limits=limits or Limits(), compiler_version=compiler_version, max_source_bytes=max_source_bytes
    )


def read_schema(source: str) -> CanonicalGrammar:
    return reader_of().read(grammar_pb2.Grammar(json_schema=source))


def source_of(grammar: CanonicalGrammar) -> str:
    return grammar_pb2.Grammar.FromString(grammar.message).json_schema


def test_whitespace_between_tokens_makes_no_difference() -> None:
    value = {"type": "object", "properties": {"a b": {"const": '  \\ " \n'}, "c": {"minimum": 1.5}}}
    compact = read_schema(json.dumps(value, separators=(",", ":")))
    assert read_schema(json.dumps(value, indent="\t")) == compact
    assert read_schema("\r\n " + json.dumps(value) + "\n") == compact
    assert json.loads(source_of(compact)) == value


def test_whitespace_inside_strings_makes_one() -> None:
    assert read_schema('{"const": "a b"}') != read_schema('{"const": "ab"}')


def test_the_order_of_keys_is_the_order_of_the_answer_so_it_makes_one() -> None:
    assert read_schema('{"a": 1, "b": 2}') != read_schema('{"b": 2, "a": 1}')


def test_numbers_are_handed_on_as_they_are_written() -> None:
    source = '{"multipleOf":0.10000000000000000001,"maximum":1e2,"minimum":-0.0}'
    assert source_of(read_schema(source)) == source


def test_defaults_are_the_same_as_their_values_written_out() -> None:
    written_out = grammar_pb2.Grammar(json_schema="{}", strict=True, whitespace=grammar_pb2.WHITESPACE_SINGLE)
    assert reader_of().read(written_out) == read_schema("{}")


def test_options_make_a_difference_to_a_schema_and_none_to_a_regex() -> None:
    schemas = [
        grammar_pb2.Grammar(json_schema="{}"),
        grammar_pb2.Grammar(json_schema="{}", strict=False),
        grammar_pb2.Grammar(json_schema="{}", whitespace=grammar_pb2.WHITESPACE_COMPACT),
    ]
    assert len({reader_of().read(schema).automaton_id for schema in schemas}) == 3
    plain = grammar_pb2.Grammar(regex="a")
    assert reader_of().read(grammar_pb2.Grammar(regex="a", strict=False)) == reader_of().read(plain)


def test_kinds_of_grammar_are_told_apart() -> None:
    regex = grammar_pb2.Grammar(regex="1")
    choice = grammar_pb2.Grammar(choice=grammar_pb2.Choice(values=["1"]))
    schema = grammar_pb2.Grammar(json_schema="1")
    assert len({reader_of().read(grammar).automaton_id for grammar in (regex, choice, schema)}) == 3


def test_limits_and_the_compilers_version_are_part_of_the_name() -> None:
    readers = [
        reader_of(),
        reader_of(compiler_version="2"),
        reader_of(limits=Limits(max_depth=3)),
        reader_of(limits=Limits(max_states=3)),
    ]
    grammar = grammar_pb2.Grammar(regex="a")
    assert len({reader.read(grammar).automaton_id for reader in readers}) == 4


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("", "not JSON"),
        ('{"type": "object"', "line 1 column 18"),
        ("{'type': 'object'}", "not JSON"),
        ('{"minimum": NaN}', "NaN"),
        ('{"minimum": -Infinity}', "-Infinity"),
        ('{"minimum": 1e999}', "1e999"),
        ('{"minimum": ' + "9" * 5000 + "}", "too many digits"),
        ("[" * 100_000 + "]" * 100_000, "nested too deeply"),
        ("\ufeff{}", "not JSON"),
    ],
)
def test_a_schema_that_is_no_json_is_refused(source: str, complaint: str) -> None:
    with pytest.raises(InvalidRequestError, match=complaint):
        read_schema(source)


def test_a_grammar_without_a_source_is_refused() -> None:
    with pytest.raises(InvalidRequestError, match="must be set"):
        reader_of().read(grammar_pb2.Grammar(strict=True))


def tagged_of(content: grammar_pb2.Grammar, **fields: object) -> grammar_pb2.Grammar:
    tags = [grammar_pb2.Tag(begin="<", content=content, end=">")]
    return grammar_pb2.Grammar(tagged=grammar_pb2.Tagged(tags=tags, **fields))  # type: ignore[arg-type]


def test_what_tags_contain_is_brought_to_its_canonical_form_too() -> None:
    plain = tagged_of(grammar_pb2.Grammar(json_schema='{"a":1}'))
    written_out = tagged_of(
        grammar_pb2.Grammar(json_schema=' {"a": 1}', strict=True, whitespace=grammar_pb2.WHITESPACE_SINGLE),
        free_text=grammar_pb2.FREE_TEXT_ANYWHERE,
    )
    assert reader_of().read(plain) == reader_of().read(written_out)
    assert reader_of().read(plain) != reader_of().read(tagged_of(grammar_pb2.Grammar(json_schema='{"a":2}')))
    assert plain.tagged.tags[0].content.json_schema == '{"a":1}'


def test_reading_a_grammar_leaves_it_as_it_was() -> None:
    grammar = tagged_of(grammar_pb2.Grammar(json_schema="{ }"))
    reader_of().read(grammar)
    assert grammar == tagged_of(grammar_pb2.Grammar(json_schema="{ }"))


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (grammar_pb2.Grammar(), "one of json_schema, regex, choice, json_object, tagged must be set"),
        (grammar_pb2.Grammar(json_schema="{"), "json_schema is not JSON"),
        (grammar_pb2.Grammar(json_schema='{"minimum": 1e999}'), "json_schema has a number out of range"),
        (grammar_pb2.Grammar(choice=grammar_pb2.Choice()), "choice has no values"),
        (tagged_of(grammar_pb2.Grammar(regex="a")), "a tagged grammar cannot stand inside another one"),
    ],
)
def test_errors_name_the_tag_whose_content_is_wrong(content: grammar_pb2.Grammar, complaint: str) -> None:
    with pytest.raises(InvalidRequestError, match="grammar: tagged.tags\\[0\\].content: " + complaint):
        reader_of().read(tagged_of(content))


def test_the_whitespace_of_a_json_object_makes_a_difference() -> None:
    anything = grammar_pb2.JsonObject()
    plain, single, compact = [
        reader_of().read(grammar_pb2.Grammar(json_object=anything, whitespace=whitespace))
        for whitespace in (
            grammar_pb2.WHITESPACE_UNSPECIFIED,
            grammar_pb2.WHITESPACE_SINGLE,
            grammar_pb2.WHITESPACE_COMPACT,
        )
    ]
    assert plain == single
    assert single != compact


def test_a_choice_between_nothing_is_refused() -> None:
    with pytest.raises(InvalidRequestError, match="no values"):
        reader_of().read(grammar_pb2.Grammar(choice=grammar_pb2.Choice()))


def test_whitespace_of_an_unknown_kind_is_refused() -> None:
    grammar = grammar_pb2.Grammar.FromString(
        grammar_pb2.Grammar(json_schema="{}").SerializeToString() + b"\x28\x07"
    )
    with pytest.raises(InvalidRequestError, match="7 is no whitespace"):
        reader_of().read(grammar)


@pytest.mark.parametrize(
    "grammar",
    [
        grammar_pb2.Grammar(json_schema='"' + "x" * 99 + '"'),
        grammar_pb2.Grammar(regex="ü" * 51),
        grammar_pb2.Grammar(choice=grammar_pb2.Choice(values=["x" * 60, "y" * 60])),
        grammar_pb2.Grammar(tagged=grammar_pb2.Tagged(separator="x" * 101)),
    ],
)
def test_a_source_that_is_too_large_is_refused(grammar: grammar_pb2.Grammar) -> None:
    with pytest.raises(InvalidRequestError, match="more than the 100"):
        reader_of(max_source_bytes=100).read(grammar)
