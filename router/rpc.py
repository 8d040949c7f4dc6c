"""What the router's gRPC calls share: their failures in the router's words, and the health check."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import grpc
from grpc import StatusCode
from grpc_health.v1 import health_pb2, health_pb2_grpc

from router.errors import RequestError

logger = logging.getLogger(__name__)

HEALTH_SECONDS = 3.0


@contextmanager
def failures_of(service: str) -> Iterator[None]:
    """Within the block, a call to `service` (named for people) fails with a `RequestError`."""
    try:
        yield
    except grpc.aio.AioRpcError as error:
        code, details = error.code(), error.details() or ""
        if code in (StatusCode.INVALID_ARGUMENT, StatusCode.RESOURCE_EXHAUSTED):
            raise RequestError(code, details) from error
        logger.warning("the %s failed: %s: %s", service, code.name, details)
        if code in (StatusCode.UNAVAILABLE, StatusCode.DEADLINE_EXCEEDED):
            # What gRPC says of a connection names addresses, which are no business of the caller's.
            raise RequestError(StatusCode.UNAVAILABLE, f"the {service} is unavailable") from error
        raise RequestError(StatusCode.INTERNAL, f"Server error: {details}") from error


async def serving(channel: grpc.aio.Channel) -> bool:
    """Whether the server behind `channel` reports, within three seconds, that it is serving."""
    check = health_pb2_grpc.HealthStub(channel).Check  # type: ignore[attr-defined] # set in __init__
    try:
        reply = await check(health_pb2.HealthCheckRequest(), timeout=HEALTH_SECONDS)
    except grpc.aio.AioRpcError:
        return False
    return bool(reply.status == health_pb2.HealthCheckResponse.SERVING)
