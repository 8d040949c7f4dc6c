"""Failures, and the one table of what each of them is in HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple

from grpc import StatusCode
from pydantic import BaseModel, Field

Part = Literal["tool", "template", "suffix", "batch size", "instances"]


class RequestError(Exception):
    """Why a request has no answer: a gRPC status, a detail that the caller may read, and which part of the
    request is wrong, where the dialects tell that apart.
    """

    def __init__(self, code: StatusCode, detail: str, *, part: Part | None = None) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.part = part

    @classmethod
    def invalid(cls, detail: str) -> RequestError:
        """The request is wrong in itself; `detail` says what is wrong and where."""
        return cls(StatusCode.INVALID_ARGUMENT, detail)

    @classmethod
    def tool(cls, detail: str) -> RequestError:
        """The request's tools cannot be used; `detail` says why."""
        return cls(StatusCode.INVALID_ARGUMENT, detail, part="tool")

    @classmethod
    def template(cls, detail: str) -> RequestError:
        """The model's chat template makes no prompt of the request's messages; `detail` says why."""
        return cls(StatusCode.INVALID_ARGUMENT, detail, part="template")

    @classmethod
    def suffix(cls) -> RequestError:
        """A text is to be filled in, not continued."""
        detail = "Suffix is not supported and can be achieved by preprocessing the prompt."
        return cls(StatusCode.INVALID_ARGUMENT, detail, part="suffix")

    @classmethod
    def batch_size(cls, most: int) -> RequestError:
        """There are more than `most` prompts."""
        detail = f"Number of prompts exceeds the maximum allowed batch size of {most}"
        return cls(StatusCode.INVALID_ARGUMENT, detail, part="batch size")

    @classmethod
    def no_instances(cls) -> RequestError:
        """A request to a hosting platform's route is empty."""
        return cls(StatusCode.INVALID_ARGUMENT, "Input validation error", part="instances")

    @classmethod
    def overloaded(cls) -> RequestError:
        """There is no room for one more request."""
        return cls(StatusCode.RESOURCE_EXHAUSTED, "all permits are taken")

    @classmethod
    def incomplete(cls) -> RequestError:
        """The shard's stream ended without the event that completes an answer."""
        return cls(StatusCode.DATA_LOSS, "the stream ended early")


class ErrorResponse(BaseModel):
    """The body of every answer that is not a success."""

    error: str = Field(description="What is wrong, for people.")
    error_type: str = Field(description="The kind of failure, for programs.")


class Row(NamedTuple):
    """One kind of failure in each dialect; another dialect is another group of columns."""

    tgi_status: int
    tgi_type: str
    tgi_text: str
    """`{detail}` stands for the failure's own words."""


FAILURES: Mapping[StatusCode, Row] = MappingProxyType(
    {
        StatusCode.INVALID_ARGUMENT: Row(422, "validation", "Input validation error: {detail}"),
        StatusCode.RESOURCE_EXHAUSTED: Row(429, "overloaded", "Model is overloaded"),
        StatusCode.DATA_LOSS: Row(500, "incomplete_generation", "Incomplete generation"),
    }
)
PARTS: Mapping[Part, Row] = MappingProxyType(
    {
        "tool": Row(422, "tool_error", "Tool error: {detail}"),
        "template": Row(422, "template_error", "Template error: {detail}"),
        "suffix": Row(422, "suffix not supported", "{detail}"),
        "instances": Row(422, "Input validation error", "{detail}"),
        "batch size": Row(422, "batch size exceeded", "{detail}"),
    }
)
OTHERWISE = Row(424, "generation", "Request failed during generation: {detail}")


def tgi_error(failure: RequestError) -> tuple[int, ErrorResponse]:
    """The HTTP status and the body that TGI's dialect has for `failure`."""
    row = PARTS[failure.part] if failure.part else FAILURES.get(failure.code, OTHERWISE)
    error = row.tgi_text.replace("{detail}", failure.detail)
    return row.tgi_status, ErrorResponse(error=error, error_type=row.tgi_type)


HTTP_TYPES: Mapping[int, str] = MappingProxyType(
    {
        400: "bad_request",
        401: "unauthorized",
        404: "not_found",
        405: "method_not_allowed",
        413: "payload_too_large",
        415: "unsupported_media_type",
    }
)


def http_error(status: int, detail: str) -> ErrorResponse:
    """The body for what fails before a dialect has the request: framing, routes, methods."""
    return ErrorResponse(error=detail, error_type=HTTP_TYPES.get(status, "http"))
