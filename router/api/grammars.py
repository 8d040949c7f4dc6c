"""Grammars as they come over HTTP, in the forms of TGI, OpenAI and vLLM, and what they ask for."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from jsonschema_specifications import REGISTRY
from pydantic import Discriminator, Field
from pydantic_core import from_json

from router.api.body import JsonObject, Strings
from router.errors import RequestError
from router.grammar import AnyJsonObject, Choice, JsonSchema, Regex, UntaggedGrammar, Whitespace

SCHEMA_KEYWORDS = frozenset(name for uri in REGISTRY for name in REGISTRY.contents(uri).get("properties", {}))
"""The keywords of every draft, as the metaschemas declare them."""

A_SCHEMA = {"type": "object", "properties": {"location": {"type": "string"}}, "required": ["location"]}


class JsonOptions(JsonObject):
    """What may stand beside any grammar whose answers are JSON."""

    strict: bool | None = None
    """Whether an object with `properties` but no `additionalProperties` refuses others, and integers are
    digits only (the default)."""
    whitespace: Whitespace | None = None
    """Whitespace between the tokens of the JSON: `single` (the default), `compact` or `flexible`."""


class JsonGrammar(JsonOptions):
    """The answer is JSON that satisfies a schema."""

    type: Literal["json"]
    value: Any = Field(examples=[A_SCHEMA])
    """A JSON Schema, or a string that holds one."""


class JsonObjectGrammar(JsonOptions):
    """The answer is a JSON object: any, or JSON that satisfies a schema."""

    type: Literal["json_object"]
    value: Any = Field(default=None, examples=[A_SCHEMA])
    """A JSON Schema, or a string that holds one. Without it, the answer is any JSON object."""


class NamedSchema(JsonObject):
    """A JSON Schema with a name, as OpenAI's clients send it."""

    name: str | None = None
    """Not used: the model does not see it."""
    description: str | None = None
    """Not used: the model does not see it. What it is to know belongs into the prompt."""
    schema_: dict[str, Any] | bool = Field(alias="schema", examples=[A_SCHEMA])
    """The JSON Schema."""
    strict: bool | None = None
    """The same as `strict` beside `type`, which goes first."""


class JsonSchemaGrammar(JsonOptions):
    """The answer is JSON that satisfies a named schema."""

    type: Literal["json_schema"]
    value: NamedSchema
    """The schema and its name."""


class RegexGrammar(JsonObject):
    """The whole answer matches a regular expression."""

    type: Literal["regex"]
    value: str = Field(examples=["((25[0-5]|2[0-4]\\d|[01]?\\d\\d?)\\.){3}(25[0-5]|2[0-4]\\d|[01]?\\d\\d?)"])
    r"""The expression; `\d`, `\w` and `\s` are ASCII."""


class ChoiceGrammar(JsonObject):
    """The answer is one of some strings."""

    type: Literal["choice"]
    value: Strings = Field(examples=[["yes", "no"]])
    """The strings, at least one."""


GrammarType = Annotated[
    JsonGrammar | JsonObjectGrammar | JsonSchemaGrammar | RegexGrammar | ChoiceGrammar, Discriminator("type")
]


class Text(JsonObject):
    """The answer is free text."""

    type: Literal["text"]


class ResponseJsonSchema(JsonOptions):
    """The answer is JSON that satisfies a named schema, given as OpenAI or as TGI has it."""

    type: Literal["json_schema"]
    json_schema: NamedSchema | None = None
    """The schema and its name, where OpenAI's clients put them."""
    value: NamedSchema | None = None
    """The same, where TGI's put them."""


ResponseFormat = Annotated[
    Text | JsonObjectGrammar | ResponseJsonSchema | JsonGrammar | RegexGrammar | ChoiceGrammar,
    Discriminator("type"),
]


class StructuredOutputs(JsonObject):
    """vLLM's form; one of the first four says what the answer must be."""

    json_: Any = Field(default=None, alias="json", examples=[A_SCHEMA])
    """A JSON Schema, or a string that holds one."""
    regex: str | None = None
    """A regular expression that the whole answer matches."""
    choice: Strings | None = None
    """The answer is one of these strings."""
    json_object: bool | None = None
    """The answer is any JSON object."""
    grammar: str | None = None
    """Context-free grammars are not supported."""
    structural_tag: str | None = None
    """Not supported; tools are."""
    whitespace_pattern: str | None = None
    """Not supported; `whitespace` beside a grammar's `type` is."""
    disable_any_whitespace: bool | None = None
    """true is the whitespace `single` (the default), false is `flexible`."""
    disable_additional_properties: bool | None = None
    """The same as `strict` of a grammar."""


class Constraints(JsonObject):
    """All the fields in which a request of OpenAI's dialect may say what the answer must look like."""

    response_format: ResponseFormat | None = None
    """What the answer must look like, in OpenAI's form or in TGI's."""
    grammar: GrammarType | None = None
    """The same, as TGI's /generate has it."""
    structured_outputs: StructuredOutputs | None = None
    """The same, in vLLM's form."""
    guided_json: Any = Field(default=None, examples=[None])
    """The same, in vLLM's older form: a JSON Schema, or a string that holds one."""
    guided_regex: str | None = None
    """The same: a regular expression."""
    guided_choice: Strings | None = None
    """The same: one of these strings."""
    guided_grammar: str | None = None
    """Context-free grammars are not supported."""
    guided_whitespace_pattern: str | None = None
    """Not supported; `whitespace` beside a grammar's `type` is."""


def tgi_grammar(grammar: GrammarType) -> UntaggedGrammar:
    """What TGI's parameter `grammar` asks for.

    Raises:
        RequestError: INVALID_ARGUMENT, in TGI's words where TGI has some.
    """
    match grammar:
        case RegexGrammar(value=pattern):
            return Regex(pattern=pattern)
        case ChoiceGrammar(value=values):
            return Choice(values=tuple(values))
        case JsonObjectGrammar(value=None):
            return AnyJsonObject(whitespace=grammar.whitespace)
        case JsonSchemaGrammar(value=named):
            return _named(named, grammar)
        case JsonGrammar() | JsonObjectGrammar():
            schema = _schema(grammar.value)
            if isinstance(schema, dict) and schema and not SCHEMA_KEYWORDS & schema.keys():
                # By the standard every value satisfies it, but nobody who writes it means that.
                raise RequestError.invalid("grammar is not valid: Grammar must have a 'properties' field")
            return _json_schema(schema, strict=grammar.strict, whitespace=grammar.whitespace)


def constraint(body: Constraints) -> UntaggedGrammar | None:
    """What the fields of OpenAI's dialect ask for; None if the answer is free text.

    Raises:
        RequestError: INVALID_ARGUMENT names the field that is not supported, or two that exclude each other.
    """
    unsupported = {
        "guided_grammar": body.guided_grammar,
        "guided_whitespace_pattern": body.guided_whitespace_pattern,
    }
    _refuse_any(unsupported)
    given = _only_one(
        {
            "response_format": body.response_format,
            "grammar": body.grammar,
            "structured_outputs": body.structured_outputs,
            "guided_json": body.guided_json,
            "guided_regex": body.guided_regex,
            "guided_choice": body.guided_choice,
        }
    )
    match given:
        case None | ("response_format", Text()):
            return None
        case ("response_format", ResponseJsonSchema() as response_format):
            return _named(_schema_of(response_format), response_format)
        case ("response_format" | "grammar", grammar):
            return tgi_grammar(grammar)
        case ("structured_outputs", structured):
            return _structured(structured)
        case (field, value):
            return _vllm(field.removeprefix("guided_"), value)


def _schema_of(response_format: ResponseJsonSchema) -> NamedSchema:
    given = _only_one({"json_schema": response_format.json_schema, "value": response_format.value})
    if given is None:
        raise RequestError.invalid("response_format: missing field `json_schema`")
    named: NamedSchema = given[1]
    return named


def _structured(body: StructuredOutputs) -> UntaggedGrammar | None:
    unsupported = {
        "structured_outputs.grammar": body.grammar,
        "structured_outputs.structural_tag": body.structural_tag,
        "structured_outputs.whitespace_pattern": body.whitespace_pattern,
    }
    _refuse_any(unsupported)
    object_ = True if body.json_object else None
    given = _only_one(
        {"json": body.json_, "regex": body.regex, "choice": body.choice, "json_object": object_}
    )
    if given is None:
        return None
    whitespace: dict[bool | None, Whitespace | None] = {None: None, True: "single", False: "flexible"}
    return _vllm(
        *given,
        strict=body.disable_additional_properties,
        whitespace=whitespace[body.disable_any_whitespace],
    )


def _vllm(
    kind: str, value: Any, *, strict: bool | None = None, whitespace: Whitespace | None = None
) -> UntaggedGrammar:
    match kind:
        case "regex":
            return Regex(pattern=value)
        case "choice":
            return Choice(values=tuple(value))
        case "json_object":
            return AnyJsonObject(whitespace=whitespace)
        case _:
            return _json_schema(_schema(value), strict=strict, whitespace=whitespace)


def _refuse_any(fields: dict[str, Any]) -> None:
    field = next((name for name, value in fields.items() if value is not None), None)
    if field is not None:
        raise RequestError.invalid(f"`{field}` is not supported")


def _only_one(fields: dict[str, Any]) -> tuple[str, Any] | None:
    given = [(name, value) for name, value in fields.items() if value is not None]
    if len(given) > 1:
        raise RequestError.invalid(f"`{given[0][0]}` and `{given[1][0]}` are mutually exclusive")
    return given[0] if given else None


def _schema(value: Any) -> Any:
    """The JSON Schema that a grammar's value is, or holds as text."""
    if not isinstance(value, str):
        if not isinstance(value, dict | bool):
            raise RequestError.invalid("grammar is not supported")
        return value
    try:
        schema = from_json(value, allow_inf_nan=False)
    except ValueError as error:
        raise RequestError.invalid(f"grammar is not valid: {error}") from error
    if not isinstance(schema, dict | bool):
        raise RequestError.invalid("grammar is not valid: a JSON Schema is an object or a boolean")
    return schema


def _named(named: NamedSchema, options: JsonOptions) -> JsonSchema:
    strict = named.strict if options.strict is None else options.strict
    return _json_schema(named.schema_, strict=strict, whitespace=options.whitespace)


def _json_schema(schema: Any, *, strict: bool | None, whitespace: Whitespace | None) -> JsonSchema:
    try:
        # A number such as 1e400 is JSON and passes the parser, but it has no float to stand for it.
        text = json.dumps(schema, ensure_ascii=False, allow_nan=False)
    except ValueError as error:
        raise RequestError.invalid("grammar is not valid: a number in it is out of range") from error
    return JsonSchema(text=text, strict=strict, whitespace=whitespace)
