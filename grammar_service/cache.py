"""Redis as the memory that all replicas share: the one file that knows redis-py."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import NamedTuple, Self, TypeVar

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)
T = TypeVar("T")

MAX_VALUE_BYTES = 16 * 1024 * 1024
"""Larger values are not stored: sending them would outlast the timeout and look like an outage."""
_CONNECTIONS = 64


class Claim(NamedTuple):
    """The answer to a replica that wants to compute a value."""

    won: bool
    """Whether it is the one to do so."""
    value: bytes | None
    """The value, if it is there by now."""


class RedisCache:
    """Values under keys, for as long as Redis answers; without it every look-up is a miss.

    No method raises on account of Redis, and none takes longer than `timeout`. After one failure Redis is
    left alone: a task asks it every `retry_seconds` whether it is back, so that an outage costs one timeout
    and not one per call.
    """

    def __init__(
        self,
        url: str,
        *,
        prefix: str,
        expiry_seconds: int,
        claim_seconds: float,
        timeout: float = 0.25,
        retry_seconds: float = 2.0,
    ) -> None:
        """`url`: redis://, rediss:// or unix://. `claim_seconds`: after which a claim is given up for dead.

        Raises:
            ValueError: `url` has none of these forms.
        """
        pool: BlockingConnectionPool = BlockingConnectionPool.from_url(
            url,
            max_connections=_CONNECTIONS,
            timeout=timeout,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            retry=Retry(NoBackoff(), 0),
            protocol=2,  # under RESP3 redis-py 8 does not see that a connection ended while it lay idle
        )
        self._redis: Redis = Redis.from_pool(pool)
        self._prefix = prefix
        self._expiry_seconds = expiry_seconds
        self._claim_milliseconds = int(claim_seconds * 1000)
        self._timeout = timeout
        self._retry_seconds = retry_seconds
        self._recovery: asyncio.Task[None] | None = None
        self.outages = 0
        """How often Redis was lost since the start."""

    async def __aenter__(self) -> Self:
        await self._ask(self._ping)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._recovery is not None:
            self._recovery.cancel()
            await asyncio.wait({self._recovery})
        await self._redis.aclose()

    @property
    def available(self) -> bool:
        """Whether Redis answered when it was last asked."""
        return self._recovery is None

    async def get(self, key: str) -> bytes | None:
        """The value under `key`, or None."""

        async def ask() -> bytes | None:
            # MGET and not GET: a key that holds a list or a hash is a miss to it, and an error to GET.
            (value,) = await self._redis.mget([self._prefix + key])
            return _value(value)

        return await self._ask(ask)

    async def claim(self, key: str) -> Claim:
        """Ask to be the one replica that computes the value of `key`. With Redis away everyone is."""

        async def ask() -> Claim:
            async with self._redis.pipeline(transaction=True) as pipeline:
                pipeline.set(self._claim_name(key), b"1", nx=True, px=self._claim_milliseconds)
                pipeline.mget([self._prefix + key])
                won, (value,) = await pipeline.execute()
            return Claim(bool(won), _value(value))

        return await self._ask(ask) or Claim(True, None)

    async def publish(self, key: str, value: bytes) -> None:
        """Store the value of `key`, whatever was there."""
        if len(value) > MAX_VALUE_BYTES:
            return

        async def ask() -> None:
            await self._redis.set(self._prefix + key, value, ex=self._expiry_seconds)

        await self._ask(ask)

    async def release(self, key: str) -> None:
        """Give up the claim."""

        async def ask() -> None:
            await self._redis.delete(self._claim_name(key))

        await self._ask(ask)

    def _claim_name(self, key: str) -> str:
        return f"{self._prefix}{key}:claim"

    async def _ping(self) -> None:
        await self._redis.execute_command("PING")

    async def _ask(self, ask: Callable[[], Awaitable[T]]) -> T | None:
        """What `ask` returns, or None if Redis is away."""
        if self._recovery is not None:
            return None
        try:
            async with asyncio.timeout(self._timeout):
                return await ask()
        except (
            RedisError,
            OSError,
            ValueError,
        ) as error:  # TimeoutError is an OSError; ValueError: not Redis
            self._lose(error)
            return None

    def _lose(self, error: Exception) -> None:
        if self._recovery is None:  # calls under way at the same time are lost together
            self.outages += 1
            reason = str(error) or "it does not answer in time"
            logger.warning("Redis is away, going on without it: %s", reason)
            self._recovery = asyncio.create_task(self._recover())

    async def _recover(self) -> None:
        while True:
            await asyncio.sleep(self._retry_seconds)
            try:
                async with asyncio.timeout(self._timeout):
                    await self._ping()
            except (RedisError, OSError, ValueError):
                continue
            logger.warning("Redis is back")
            self._recovery = None
            return


def _value(found: object) -> bytes | None:
    return found if isinstance(found, bytes) else None
