"""`python -m router`: settings, then clients, then the application, then the server."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from protos.channel import open_channel
from protos.command_line import read_settings
from router.app import create_app
from router.grammar_client import GrammarClient
from router.settings import Settings
from router.shard_client import ShardClient


class Server(uvicorn.Server):
    """Ends with status 0 once it has drained: uvicorn's own would raise the signal again and die of it."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        yield


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT, then let running requests finish.

    Raises:
        SystemExit: the address cannot be bound.
    """
    async with (
        open_channel(settings.shard_address) as shard,
        open_channel(settings.grammar_address) as grammars,
    ):
        app = create_app(
            grammars=GrammarClient(grammars, seconds=settings.compile_seconds),
            generator=ShardClient(shard),
            settings=settings,
        )
        config = uvicorn.Config(
            app,
            host=settings.host,
            port=settings.port,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=round(settings.drain_seconds),
        )
        await Server(config).serve()


def main() -> None:
    """Read the settings and serve."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    asyncio.run(serve(read_settings(Settings, service="router")))


if __name__ == "__main__":
    main()
