"""The table of failures."""

from __future__ import annotations

import pytest
from grpc import StatusCode

from router.errors import RequestError, http_error, tgi_error


@pytest.mark.parametrize(
    ("failure", "status", "kind", "text"),
    [
        (RequestError.invalid("no {detail}"), 422, "validation", "Input validation error: no {detail}"),
        (RequestError.tool("no"), 422, "tool_error", "Tool error: no"),
        (RequestError.template("no"), 422, "template_error", "Template error: no"),
        (RequestError.overloaded(), 429, "overloaded", "Model is overloaded"),
        (RequestError.incomplete(), 500, "incomplete_generation", "Incomplete generation"),
        (
            RequestError(StatusCode.INTERNAL, "Server error: x"),
            424,
            "generation",
            "Request failed during generation: Server error: x",
        ),
        (
            RequestError(StatusCode.UNAVAILABLE, "the shard is unavailable"),
            424,
            "generation",
            "Request failed during generation: the shard is unavailable",
        ),
    ],
)
def test_a_failure_has_tgi_s_status_type_and_words(
    failure: RequestError, status: int, kind: str, text: str
) -> None:
    answered, body = tgi_error(failure)
    assert (answered, body.error_type, body.error) == (status, kind, text)


def test_every_http_failure_has_a_type() -> None:
    assert http_error(413, "too large").error_type == "payload_too_large"
    assert http_error(418, "teapot").error_type == "http"
