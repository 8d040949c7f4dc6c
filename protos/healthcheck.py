"""`python -m protos.healthcheck HOST:PORT`: exit 0 if the gRPC service there is healthy, 1 if not."""

from __future__ import annotations

import sys

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from protos.channel import OPTIONS


def healthy(address: str, *, timeout: float = 3.0) -> bool:
    """Whether the gRPC server at `address` (host:port) answers SERVING within `timeout` seconds."""
    with grpc.insecure_channel(address, OPTIONS) as channel:
        check = health_pb2_grpc.HealthStub(channel).Check  # type: ignore[attr-defined] # set in __init__
        try:
            reply = check(health_pb2.HealthCheckRequest(), timeout=timeout)
        except grpc.RpcError:
            return False
    return bool(reply.status == health_pb2.HealthCheckResponse.SERVING)


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit("usage: python -m protos.healthcheck HOST:PORT")
    sys.exit(None if healthy(sys.argv[1]) else f"{sys.argv[1]} does not say that it serves")
