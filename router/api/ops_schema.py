"""The answers of the routes that tell of the server itself."""

from __future__ import annotations

from typing import Literal

from router.api.body import Body


class Info(Body):
    """The answer of GET /info."""

    model_id: str
    model_sha: str | None
    model_pipeline_tag: str | None
    model_dtype: str
    model_device_type: str
    max_concurrent_requests: int
    max_best_of: int
    max_stop_sequences: int
    max_input_tokens: int
    max_total_tokens: int
    validation_workers: int
    max_client_batch_size: int
    router: str
    version: str
    sha: str | None
    docker_label: str | None


class ModelCard(Body):
    """A model, in OpenAI's words: one of GET /v1/models, or the answer of GET /v1/models/{id}."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class Models(Body):
    """The answer of GET /v1/models."""

    object: Literal["list"]
    data: list[ModelCard]
