"""`python -m router` as a process."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from tests.router.conftest import Services


@asynccontextmanager
async def router(**settings: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "router", env={**os.environ, **settings}, stderr=asyncio.subprocess.PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def address(process: asyncio.subprocess.Process) -> str:
    """Where the process listens, once it does."""
    assert process.stderr
    async with asyncio.timeout(60):
        while line := (await process.stderr.readline()).decode():
            if found := re.search(r"running on (http://\S+)", line):
                return found[1]
    raise AssertionError("the router ended without listening")


async def test_sigterm_lets_running_streams_finish_and_the_status_is_0(services: Services) -> None:
    services.shard.gate.clear()
    settings = {
        "ROUTER_HOST": "127.0.0.1",
        "ROUTER_PORT": "0",
        "ROUTER_SHARD_ADDRESS": services.shard_address,
        "ROUTER_GRAMMAR_ADDRESS": services.grammar_address,
    }
    async with router(**settings) as process, httpx.AsyncClient(timeout=30) as client:
        url = await address(process)
        assert (await client.get(f"{url}/health")).status_code == 200
        async with client.stream("POST", f"{url}/generate_stream", json={"inputs": "a b"}) as response:
            lines = response.aiter_lines()
            assert '"index":1' in await anext(lines)
            process.send_signal(signal.SIGTERM)
            assert process.stderr
            while b"Shutting down" not in await process.stderr.readline():
                pass
            services.shard.gate.set()
            assert '"generated_text":" a b"' in [line async for line in lines if line][-1]
        async with asyncio.timeout(30):
            assert await process.wait() == 0


async def test_a_port_in_use_is_an_error() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        async with router(ROUTER_HOST="127.0.0.1", ROUTER_PORT=port) as process:
            async with asyncio.timeout(60):
                _, stderr = await process.communicate()
    assert process.returncode not in (0, None)
    assert b"address already in use" in stderr
