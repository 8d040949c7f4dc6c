"""The official metaschemas: the one file that knows the package that holds them."""

from __future__ import annotations

from typing import Any

from jsonschema_specifications import REGISTRY


def metaschema(uri: str) -> Any | None:
    """The schema that JSON Schema's own specification publishes at `uri`; None for any other URI."""
    resource = REGISTRY.get(uri)
    return None if resource is None else resource.contents
