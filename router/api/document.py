"""The OpenAPI document: FastAPI's, and the types that only server-sent events have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel

COMPONENTS = "#/components/schemas/"


def event_schema(models: Sequence[type[BaseModel]], *, done: bool) -> dict[str, Any]:
    """A server-sent event whose data is one of `models` as JSON or, if `done`, the mark `[DONE]`."""
    data: dict[str, Any] = {
        "type": "string",
        "contentMediaType": "application/json",
        "contentSchema": {"anyOf": [_reference(model) for model in models]},
    }
    if done:
        data = {"anyOf": [data, {"const": "[DONE]"}]}
    return {"type": "object", "required": ["data"], "properties": {"data": data}}


def _reference(model: type[BaseModel]) -> dict[str, Any]:
    """A reference to a model that FastAPI does not know of, together with what it refers to."""
    schema = model.model_json_schema(ref_template=COMPONENTS + "{model}", mode="serialization")
    known = schema.pop("$defs", {})
    return {"$ref": COMPONENTS + model.__name__, "$defs": {**known, model.__name__: schema}}


def complete(app: FastAPI) -> None:
    """Let components be made of what the `event_schema`s of an application's routes bring along."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        document = generate()  # once: the application keeps it
        _hoist(document["paths"], document["components"]["schemas"])
        return document

    app.openapi = openapi  # type: ignore[method-assign] # FastAPI's way to extend the document


def _hoist(node: Any, components: dict[str, Any]) -> None:
    if isinstance(node, list):
        for each in node:
            _hoist(each, components)
    elif isinstance(node, dict):
        for name, schema in node.pop("$defs", {}).items():
            if components.setdefault(name, schema) != schema:
                raise ValueError(f"two schemas of the OpenAPI document are called {name}")
        for each in node.values():
            _hoist(each, components)
