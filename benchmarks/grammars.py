"""Grammars of many kinds, with the prompts that go with them and a judgement on the answers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from benchmarks.violation import schema_violation


@dataclass(frozen=True)
class Case:
    """One grammar. `parameter` is what a request carries: `{"type": ..., "value": ...}`."""

    name: str
    prompt: str
    parameter: dict[str, Any]

    def violation(self, answer: str) -> str | None:
        """What is wrong with an answer that ended by itself, judged by other libraries than the server's."""
        match self.parameter["type"]:
            case "regex":
                return None if re.fullmatch(self.parameter["value"], answer, re.ASCII) else "no match"
            case "choice":
                return None if answer in self.parameter["value"] else "not one of the choices"
            case _:
                return schema_violation(self.parameter["value"], answer)


def _schema(name: str, prompt: str, schema: Any) -> Case:
    return Case(name, f"{prompt}\nAnswer in JSON:\n", {"type": "json", "value": schema})


def _regex(name: str, prompt: str, regex: str) -> Case:
    return Case(name, prompt, {"type": "regex", "value": regex})


def _object(properties: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), **more}


SHORT_TEXT = {"type": "string", "minLength": 1, "maxLength": 24}

CASES = (
    _schema(
        "guide",
        "I saw a puppy a cat and a raccoon during my bike ride in the park",
        _object(
            {
                "location": {"type": "string"},
                "activity": {"type": "string"},
                "animals_seen": {"type": "integer", "minimum": 1, "maximum": 5},
                "animals": {"type": "array", "items": {"type": "string"}},
            }
        ),
    ),
    _schema(
        "person",
        "Describe a person.",
        _object({"name": SHORT_TEXT, "age": {"type": "integer", "minimum": 0, "maximum": 130}}),
    ),
    _schema(
        "optional properties",
        "Describe a book.",
        {
            "type": "object",
            "properties": {
                "title": SHORT_TEXT,
                "year": {"type": "integer", "exclusiveMinimum": 1400, "exclusiveMaximum": 2100},
                "subtitle": SHORT_TEXT,
                "in_print": {"type": "boolean"},
            },
            "required": ["title"],
        },
    ),
    _schema(
        "free values of one type",
        "Count some fruit.",
        {"type": "object", "additionalProperties": {"type": "integer", "minimum": 0, "maximum": 99}},
    ),
    _schema(
        "other properties too",
        "Describe a car.",
        {
            "type": "object",
            "properties": {"make": SHORT_TEXT},
            "required": ["make"],
            "additionalProperties": {"type": ["string", "null"], "maxLength": 10},
        },
    ),
    _schema(
        "enum",
        "Report the weather.",
        _object({"sky": {"enum": ["clear", "cloudy", None, 0, False]}, "unit": {"enum": ["C", "F"]}}),
    ),
    _schema("const", "Repeat the order.", _object({"order": {"const": {"id": 17, "items": ["ä", "\n"]}}})),
    _schema(
        "tuple",
        "Where is Paris?",
        {
            "type": "array",
            "prefixItems": [
                {"type": "string", "maxLength": 12},
                {"type": "number", "minimum": -90, "maximum": 90},
                {"type": "number", "minimum": -180, "maximum": 180},
            ],
            "items": False,
            "minItems": 3,
        },
    ),
    _schema(
        "matrix",
        "Write a small matrix.",
        {
            "type": "array",
            "items": {
                "type": "array",
                "items": {"type": "integer", "minimum": -9, "maximum": 9},
                "minItems": 2,
                "maxItems": 3,
            },
            "minItems": 2,
            "maxItems": 3,
        },
    ),
    _schema(
        "pattern",
        "Write a date and a colour.",
        _object(
            {
                "date": {"type": "string", "pattern": "^20[0-9]{2}-[01][0-9]-[0-3][0-9]$"},
                "colour": {"type": "string", "pattern": "^#[0-9a-f]{6}$"},
                "remark": {"type": "string", "pattern": "o", "maxLength": 20},
            }
        ),
    ),
    _schema(
        "lengths in characters",
        "Greet somebody in Japanese, with an emoji.",
        _object({"greeting": {"type": "string", "minLength": 3, "maxLength": 8}}),
    ),
    _schema(
        "decimal limits",
        "How likely is rain?",
        _object(
            {
                "probability": {"type": "number", "minimum": 0, "exclusiveMaximum": 1},
                "millimetres": {"type": "number", "exclusiveMinimum": 0, "maximum": 99.5},
            }
        ),
    ),
    _schema(
        "anyOf",
        "Send a message.",
        {
            "anyOf": [
                _object({"kind": {"const": "mail"}, "to": SHORT_TEXT}),
                _object({"kind": {"const": "call"}, "number": {"type": "integer", "minimum": 100}}),
                {"type": "null"},
            ]
        },
    ),
    _schema(
        "references",
        "A line between two points.",
        {
            **_object({"from": {"$ref": "#/$defs/point"}, "to": {"$ref": "#/$defs/point"}}),
            "$defs": {
                "point": _object(
                    {name: {"type": "integer", "minimum": 0, "maximum": 640} for name in ("x", "y")}
                )
            },
        },
    ),
    _schema(
        "recursion",
        "Draw a family tree.",
        {
            "$ref": "#/$defs/person",
            "$defs": {
                "person": {
                    "type": "object",
                    "properties": {
                        "name": {"type": "string", "maxLength": 10},
                        "children": {"type": "array", "items": {"$ref": "#/$defs/person"}, "maxItems": 2},
                    },
                    "required": ["name"],
                }
            },
        },
    ),
    _schema(
        "types", "Say anything short.", {"type": ["boolean", "integer", "null", "string"], "maxLength": 20}
    ),
    _schema("any JSON", "A small JSON document:", True),
    _regex(
        "IPv4",
        "Whats Googles DNS",
        r"((25[0-5]|2[0-4]\d|[01]?\d\d?)\.){3}(25[0-5]|2[0-4]\d|[01]?\d\d?)",
    ),
    _regex(
        "date and time", "It is now ", r"20\d\d-(0[1-9]|1[0-2])-[0-3]\dT([01]\d|2[0-3]):[0-5]\d(:[0-5]\d)?Z"
    ),
    _regex("address", "My address is ", r"[a-z]{2,12}(\.[a-z]{1,12})?@[a-z]{2,12}\.(com|org|net)"),
    _regex("Unicode", "The word for hello: ", r"(こんにちは|привет|héllo|¡hola!)( [\w\s]{0,8})?[.!?]"),
    _regex("number", "Pi is ", r"-?(0|[1-9]\d{0,5})(\.\d{1,6})?([eE][+-]?\d{1,2})?"),
    Case(
        "choice", "Is the sky blue? ", {"type": "choice", "value": ["yes", "no", "yes, mostly", "it depends"]}
    ),
)
