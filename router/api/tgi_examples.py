"""Requests that work, for the OpenAPI document and the people who try them in Swagger."""

from __future__ import annotations

from fastapi.openapi.models import Example

ANIMALS = {
    "properties": {
        "location": {"type": "string"},
        "activity": {"type": "string"},
        "animals_seen": {"type": "integer", "minimum": 1, "maximum": 5},
        "animals": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["location", "activity", "animals_seen", "animals"],
}

EXAMPLES: dict[str, Example] = {
    "text": {
        "summary": "Free text",
        "value": {"inputs": "What is the capital of France?", "parameters": {"max_new_tokens": 20}},
    },
    "json": {
        "summary": "JSON that satisfies a schema",
        "value": {
            "inputs": "I saw a puppy a cat and a raccoon during my bike ride in the park",
            "parameters": {"repetition_penalty": 1.3, "grammar": {"type": "json", "value": ANIMALS}},
        },
    },
    "regex": {
        "summary": "Text that matches a regular expression",
        "value": {
            "inputs": "Whats Googles DNS",
            "parameters": {
                "max_new_tokens": 10,
                "seed": 1,
                "grammar": {
                    "type": "regex",
                    "value": "((25[0-5]|2[0-4]\\d|[01]?\\d\\d?)\\.){3}(25[0-5]|2[0-4]\\d|[01]?\\d\\d?)",
                },
            },
        },
    },
    "choice": {
        "summary": "One of some strings, with details",
        "value": {
            "inputs": "Is the sky blue? Answer yes or no: ",
            "parameters": {"details": True, "grammar": {"type": "choice", "value": ["yes", "no"]}},
        },
    },
}
