"""A gRPC server as every service runs it: errors, health, reflection, and a drain on SIGTERM."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from protos.channel import OPTIONS
from protos.errors import ErrorInterceptor

logger = logging.getLogger(__name__)


class Server:
    """One service behind a port. It reports healthy from `start` to `stop`."""

    def __init__(self, register: Callable[[grpc.aio.Server], None], *, service: str) -> None:
        """`register` adds the servicer; `service` is its full name (guiderail.grammar.v1.GrammarService)."""
        self._server = grpc.aio.server(
            interceptors=[ErrorInterceptor()],
            options=[
                *OPTIONS,
                ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
                ("grpc.so_reuseport", 0),  # a port in use is an error, not a second server
            ],
        )
        self._health = health.aio.HealthServicer()
        register(self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        names = (service, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, self._server)
        self._service = service

    async def start(self, address: str) -> int:
        """Serve on `address` (host:port, port 0 for any) and return the port.

        Raises:
            RuntimeError: the address cannot be bound.
        """
        port = self._server.add_insecure_port(address)
        await self._server.start()
        for name in ("", self._service):
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)
        return port

    async def stop(self, *, grace: float) -> None:
        """Refuse new calls, give running ones `grace` seconds to finish, then end them."""
        await self._health.enter_graceful_shutdown()
        await self._server.stop(grace)


async def serve(
    register: Callable[[grpc.aio.Server], None], *, service: str, address: str, grace: float
) -> None:
    """Serve until SIGTERM or SIGINT, then drain for up to `grace` seconds and return.

    Raises:
        SystemExit: the address cannot be bound.
    """
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    server = Server(register, service=service)
    try:
        port = await server.start(address)
    except RuntimeError as error:
        raise SystemExit(
            f"cannot listen on {address}: it is in use, or no HOST:PORT of this machine"
        ) from error
    logger.info("%s listens on port %d", service, port)
    try:
        await stopping.wait()
        logger.info("%s drains", service)
    finally:
        await server.stop(grace=grace)
