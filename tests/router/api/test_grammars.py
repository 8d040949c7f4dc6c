"""Grammars in every form that HTTP has for them, and every refusal."""

from __future__ import annotations

import json
from typing import Any

import pytest
from grpc import StatusCode
from pydantic import TypeAdapter, ValidationError

from router.api.grammars import Constraints, GrammarType, constraint, tgi_grammar
from router.errors import RequestError
from router.grammar import AnyJsonObject, Choice, Grammar, JsonSchema, Regex

SCHEMA = {"properties": {"z": {"const": 1}, "a": {"é": [1.0, True, None]}}}
TEXT = '{"properties": {"z": {"const": 1}, "a": {"é": [1.0, true, null]}}}'
JSON_SCHEMA = JsonSchema(text=TEXT)

TGI = TypeAdapter[Any](GrammarType)


@pytest.mark.parametrize(
    ("given", "grammar"),
    [
        ({"type": "json", "value": SCHEMA}, JSON_SCHEMA),
        ({"type": "json", "value": json.dumps(SCHEMA)}, JSON_SCHEMA),
        ({"type": "json_object", "value": SCHEMA}, JSON_SCHEMA),
        ({"type": "json_object", "value": json.dumps(SCHEMA)}, JSON_SCHEMA),
        ({"type": "json_object"}, AnyJsonObject()),
        (
            {"type": "json_object", "value": None, "whitespace": "compact"},
            AnyJsonObject(whitespace="compact"),
        ),
        ({"type": "json", "value": True}, JsonSchema(text="true")),
        ({"type": "json", "value": "false"}, JsonSchema(text="false")),
        ({"type": "json", "value": {"type": "array"}}, JsonSchema(text='{"type": "array"}')),
        ({"type": "json", "value": {"title": "Anything"}}, JsonSchema(text='{"title": "Anything"}')),
        (
            {"type": "json", "value": {}, "strict": False, "whitespace": "flexible"},
            JsonSchema(text="{}", strict=False, whitespace="flexible"),
        ),
        ({"type": "json", "value": {}, "strict": None, "whitespace": None}, JsonSchema(text="{}")),
        ({"type": "json_schema", "value": {"name": "n", "schema": SCHEMA}}, JSON_SCHEMA),
        (
            {"type": "json_schema", "value": {"schema": {}, "strict": False}},
            JsonSchema(text="{}", strict=False),
        ),
        (
            {
                "type": "json_schema",
                "value": {"schema": {}, "strict": False},
                "strict": True,
                "whitespace": "compact",
            },
            JsonSchema(text="{}", strict=True, whitespace="compact"),
        ),
        ({"type": "regex", "value": "\\d+"}, Regex(pattern="\\d+")),
        ({"type": "choice", "value": ["yes", "no"]}, Choice(values=("yes", "no"))),
    ],
)
def test_every_grammar_is_understood_in_both_dialects(given: Any, grammar: Grammar) -> None:
    assert tgi_grammar(TGI.validate_python(given)) == grammar
    for field in ("grammar", "response_format"):
        assert constraint(Constraints.model_validate({field: given})) == grammar


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"type": "json", "value": [1, 2]}, "grammar is not supported"),
        ({"type": "json", "value": 1}, "grammar is not supported"),
        ({"type": "json", "value": None}, "grammar is not supported"),
        (
            {"type": "json", "value": {"abc": "def"}},
            "grammar is not valid: Grammar must have a 'properties' field",
        ),
        (
            {"type": "json_object", "value": '{"abc": "def"}'},
            "grammar is not valid: Grammar must have a 'properties' field",
        ),
        (
            {"type": "json", "value": "{"},
            "grammar is not valid: EOF while parsing an object at line 1 column 1",
        ),
        (
            {"type": "json_object", "value": "[1]"},
            "grammar is not valid: a JSON Schema is an object or a boolean",
        ),
        (
            {"type": "json", "value": {"maximum": float("inf")}},
            "grammar is not valid: a number in it is out of range",
        ),
    ],
)
def test_a_grammar_that_makes_no_sense_is_refused_in_both_dialects(given: Any, message: str) -> None:
    with pytest.raises(RequestError) as raised:
        tgi_grammar(TGI.validate_python(given))
    assert (raised.value.code, raised.value.detail) == (StatusCode.INVALID_ARGUMENT, message)
    assert refusal({"response_format": given}) == message


@pytest.mark.parametrize(
    ("body", "grammar"),
    [
        ({}, None),
        (dict.fromkeys(Constraints.model_fields), None),
        ({"response_format": {"type": "text"}}, None),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}}},
            JSON_SCHEMA,
        ),
        (
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "n", "description": "d", "schema": SCHEMA, "strict": True},
                    "value": None,
                    "whitespace": "compact",
                }
            },
            JsonSchema(text=TEXT, strict=True, whitespace="compact"),
        ),
        ({"structured_outputs": {}}, None),
        ({"structured_outputs": {"json": SCHEMA}}, JSON_SCHEMA),
        ({"structured_outputs": {"json": json.dumps(SCHEMA)}}, JSON_SCHEMA),
        (
            {
                "structured_outputs": {
                    "json": SCHEMA,
                    "disable_any_whitespace": True,
                    "disable_additional_properties": True,
                }
            },
            JsonSchema(text=TEXT, strict=True, whitespace="single"),
        ),
        ({"structured_outputs": {"regex": "a+"}}, Regex(pattern="a+")),
        ({"structured_outputs": {"choice": ["a", "b"]}}, Choice(values=("a", "b"))),
        (
            {"structured_outputs": {"json_object": True, "disable_any_whitespace": False}},
            AnyJsonObject(whitespace="flexible"),
        ),
        ({"structured_outputs": {"json_object": False}}, None),
        ({"guided_json": SCHEMA}, JSON_SCHEMA),
        ({"guided_json": json.dumps(SCHEMA)}, JSON_SCHEMA),
        ({"guided_regex": "a+"}, Regex(pattern="a+")),
        ({"guided_choice": ["a"]}, Choice(values=("a",))),
    ],
)
def test_the_forms_of_openai_and_vllm_are_understood(body: Any, grammar: Grammar | None) -> None:
    assert constraint(Constraints.model_validate(body)) == grammar


def refusal(body: Any) -> str:
    with pytest.raises(RequestError) as raised:
        constraint(Constraints.model_validate(body))
    assert raised.value.code is StatusCode.INVALID_ARGUMENT
    return raised.value.detail


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"guided_grammar": "root ::= x"}, "`guided_grammar` is not supported"),
        ({"guided_whitespace_pattern": " ?"}, "`guided_whitespace_pattern` is not supported"),
        ({"structured_outputs": {"grammar": "x"}}, "`structured_outputs.grammar` is not supported"),
        (
            {"structured_outputs": {"json": SCHEMA, "structural_tag": "{}"}},
            "`structured_outputs.structural_tag` is not supported",
        ),
        (
            {"structured_outputs": {"regex": "a", "choice": ["a"]}},
            "`regex` and `choice` are mutually exclusive",
        ),
        (
            {"response_format": {"type": "text"}, "guided_regex": "a"},
            "`response_format` and `guided_regex` are mutually exclusive",
        ),
        (
            {"response_format": {"type": "json_schema"}},
            "response_format: missing field `json_schema`",
        ),
        (
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"schema": {}},
                    "value": {"schema": {}},
                }
            },
            "`json_schema` and `value` are mutually exclusive",
        ),
        ({"guided_json": [1]}, "grammar is not supported"),
    ],
)
def test_what_is_not_supported_or_contradictory_is_named(body: Any, message: str) -> None:
    assert refusal(body) == message


def test_an_unknown_kind_or_field_is_named() -> None:
    for body in (
        {"response_format": {"type": "ebnf"}},
        {"structured_outputs": {"ebnf": "x"}},
        {"response_format": {"type": "json_schema", "json_schema": {"schema": {}, "ebnf": 1}}},
    ):
        with pytest.raises(ValidationError, match="ebnf"):
            Constraints.model_validate(body)
