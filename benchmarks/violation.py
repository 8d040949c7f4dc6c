"""Answers in JSON, judged by the `jsonschema` package."""

from __future__ import annotations

import json
from typing import Any

from jsonschema.validators import Draft202012Validator, validator_for


def schema_violation(schema: Any, answer: str) -> str | None:
    """What is wrong with an answer to a schema, as the draft says that it names; None if nothing is."""
    try:
        value = json.loads(answer)
    except ValueError as error:
        return f"not JSON: {error}"
    errors = validator_for(schema, default=Draft202012Validator)(schema).iter_errors(value)
    return next((f"{error.json_path}: {error.message}" for error in errors), None)
