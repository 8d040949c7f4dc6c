"""Tools with schemas of many kinds, and what a user says that calls for each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from benchmarks.violation import schema_violation


@dataclass(frozen=True)
class Tool:
    """A tool, two requests for it, and arguments that the second one leads to."""

    name: str
    description: str
    parameters: dict[str, Any]
    asked: str
    example_asked: str
    example: dict[str, Any]

    @property
    def definition(self) -> dict[str, Any]:
        """As a request has it."""
        function = {"name": self.name, "description": self.description, "parameters": self.parameters}
        return {"type": "function", "function": function}

    def violation(self, arguments: str) -> str | None:
        """What is wrong with the arguments of a call that was not cut off."""
        return schema_violation(self.parameters, arguments)


def _object(properties: dict[str, Any], *optional: str, **more: Any) -> dict[str, Any]:
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, "required": required, **more}


SHORT = {"type": "string", "minLength": 1, "maxLength": 24}
DATE = {"type": "string", "pattern": "^20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9])$"}

TOOLS = (
    Tool(
        "get_current_weather",
        "Get the current weather",
        _object({"location": SHORT, "format": {"enum": ["celsius", "fahrenheit"]}}),
        "What is the weather like in New York?",
        "How warm is it in Paris now?",
        {"location": "Paris", "format": "celsius"},
    ),
    Tool(
        "get_n_day_weather_forecast",
        "Get an N-day weather forecast",
        _object(
            {
                "location": SHORT,
                "num_days": {"type": "integer", "minimum": 1, "maximum": 14},
                "temperatures": {
                    "type": "array",
                    "items": {"type": "number", "minimum": -50, "exclusiveMaximum": 60, "multipleOf": 0.5},
                    "minItems": 1,
                    "maxItems": 3,
                },
            },
            "temperatures",
        ),
        "What will the weather be in Oslo on the next 5 days?",
        "And in Rome, the next 3 days?",
        {"location": "Rome", "num_days": 3},
    ),
    Tool(
        "book_trip",
        "Book a trip of one or more legs",
        _object(
            {
                "travellers": {
                    "type": "array",
                    "items": {"$ref": "#/$defs/person"},
                    "minItems": 1,
                    "maxItems": 2,
                },
                "legs": {"type": "array", "items": {"$ref": "#/$defs/leg"}, "minItems": 1, "maxItems": 2},
            },
            **{
                "$defs": {
                    "person": _object(
                        {"name": SHORT, "age": {"type": "integer", "minimum": 0, "maximum": 120}}
                    ),
                    "city": {"enum": ["Berlin", "Köln", "Łódź", "东京"]},
                    "leg": _object(
                        {"from": {"$ref": "#/$defs/city"}, "to": {"$ref": "#/$defs/city"}, "on": DATE}
                    ),
                }
            },
        ),
        "Book a trip for Anna, 31, from Berlin to Köln on the 3rd of May 2027.",
        "Bob is 7 and wants to go from Köln to Berlin on January 2nd, 2026.",
        {
            "travellers": [{"name": "Bob", "age": 7}],
            "legs": [{"from": "Köln", "to": "Berlin", "on": "2026-01-02"}],
        },
    ),
    Tool(
        "filter_files",
        "Find files by a condition",
        _object(
            {
                "condition": {"$ref": "#/$defs/condition"},
                "limit": {"type": ["integer", "null"], "minimum": 1},
            },
            "limit",
            **{
                "$defs": {
                    "condition": {
                        "anyOf": [
                            _object({"not": {"$ref": "#/$defs/condition"}}, additionalProperties=False),
                            _object(
                                {
                                    "field": {"enum": ["name", "size", "owner"]},
                                    "op": {"enum": ["<", ">", "=", "contains"]},
                                    "value": {"anyOf": [SHORT, {"type": "integer", "maximum": 999999}]},
                                },
                                additionalProperties=False,
                            ),
                        ]
                    }
                }
            },
        ),
        "Find the files that are larger than 1000 bytes.",
        "Which files are root's?",
        {"condition": {"field": "owner", "op": "=", "value": "root"}},
    ),
    Tool(
        "send_message",
        "Send a message to somebody",
        _object(
            {
                "to": {"type": "string", "pattern": "^[a-z]{1,12}@example\\.(com|org)$"},
                "body": _object(
                    {
                        "subject": SHORT,
                        "priority": {"type": "integer", "minimum": 1, "maximum": 5},
                        "urgent": {"type": "boolean"},
                    },
                    "urgent",
                ),
                "labels": {"type": "object", "additionalProperties": SHORT, "maxProperties": 2},
            },
            "labels",
        ),
        'Write to eve@example.com that "the report is done", it is urgent!',
        "Ask bob@example.org for lunch.",
        {"to": "bob@example.org", "body": {"subject": "lunch", "priority": 2}},
    ),
)
