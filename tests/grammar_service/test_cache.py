"""RedisCache against a real server, and against what is none."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import pytest
from redis.asyncio import Redis

from grammar_service.cache import MAX_VALUE_BYTES, Claim, RedisCache

if TYPE_CHECKING:
    from tests.grammar_service.conftest import RedisServer


def cache_of(url: str) -> RedisCache:
    return RedisCache(url, prefix="test:", expiry_seconds=1000, claim_seconds=60.0, retry_seconds=0.05)


async def until_available(cache: RedisCache) -> None:
    async with asyncio.timeout(10):
        while True:
            if cache.available:
                return
            await asyncio.sleep(0.01)


async def test_a_published_value_is_found_by_another_replica(redis_server: RedisServer) -> None:
    async with cache_of(redis_server.url) as one, cache_of(redis_server.url) as other:
        await one.publish("key", b"\x00value\xff")
        assert await other.get("key") == b"\x00value\xff"
        assert await other.get("another key") is None


async def test_values_expire(redis_server: RedisServer, redis_client: Redis) -> None:
    async with cache_of(redis_server.url) as cache:
        await cache.publish("key", b"value")
    assert 990 < await redis_client.ttl("test:key") <= 1000


async def test_a_value_too_large_to_send_in_time_is_not_stored(redis_server: RedisServer) -> None:
    async with cache_of(redis_server.url) as cache:
        await cache.publish("key", bytes(MAX_VALUE_BYTES + 1))
        assert await cache.get("key") is None
        assert cache.available


async def test_only_one_replica_wins_a_claim_until_it_is_released(redis_server: RedisServer) -> None:
    async with cache_of(redis_server.url) as one, cache_of(redis_server.url) as other:
        assert await one.claim("key") == Claim(won=True, value=None)
        assert await other.claim("key") == Claim(won=False, value=None)
        await one.release("key")
        assert await other.claim("key") == Claim(won=True, value=None)


async def test_a_claim_comes_with_the_value_if_it_is_there_by_now(redis_server: RedisServer) -> None:
    async with cache_of(redis_server.url) as cache:
        await cache.publish("key", b"value")
        assert (await cache.claim("key")).value == b"value"


async def test_the_claim_of_a_replica_that_died_expires(
    redis_server: RedisServer, redis_client: Redis
) -> None:
    async with cache_of(redis_server.url) as cache:
        await cache.claim("key")
    assert 59_000 < await redis_client.pttl("test:key:claim") <= 60_000


async def test_a_key_of_another_type_is_a_miss_and_is_overwritten(
    redis_server: RedisServer, redis_client: Redis
) -> None:
    await redis_client.rpush("test:key", "a", "b")
    async with cache_of(redis_server.url) as cache:
        assert await cache.get("key") is None
        assert (await cache.claim("key")).value is None
        await cache.publish("key", b"value")
        assert await cache.get("key") == b"value"
        assert cache.outages == 0


async def test_a_killed_server_is_a_miss_that_is_logged_once(
    redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with cache_of(redis_server.url) as cache:
        await cache.publish("key", b"value")
        redis_server.kill()
        for _ in range(5):
            assert await cache.get("key") is None
            assert await cache.claim("key") == Claim(won=True, value=None)
            await cache.publish("key", b"value")
        assert cache.outages == 1
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


async def test_a_server_that_comes_back_is_used_again(
    redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with cache_of(redis_server.url) as cache:
        redis_server.kill()
        assert await cache.get("key") is None
        redis_server.restart()
        await until_available(cache)
        await cache.publish("key", b"value")
        assert await cache.get("key") == b"value"
        assert cache.outages == 1
    assert caplog.messages[-1] == "Redis is back"


async def test_a_server_restarted_between_two_calls_is_not_even_noticed(redis_server: RedisServer) -> None:
    async with cache_of(redis_server.url) as cache:
        await cache.publish("key", b"value")
        redis_server.kill()
        await asyncio.to_thread(redis_server.restart)  # meanwhile the loop sees the old connection end
        await cache.publish("key", b"new value")
        assert await cache.get("key") == b"new value"
        assert cache.outages == 0


async def test_a_frozen_server_is_lost_once_by_all_who_wait_for_it(redis_server: RedisServer) -> None:
    async with cache_of(redis_server.url) as cache:
        await cache.publish("key", b"value")
        with redis_server.frozen():
            assert await asyncio.gather(*(cache.get("key") for _ in range(100))) == [None] * 100
            assert not cache.available
            assert await cache.get("key") is None
            assert cache.outages == 1
        await until_available(cache)
        assert await cache.get("key") == b"value"


async def test_a_server_that_is_away_at_start_is_found_later(redis_server: RedisServer) -> None:
    redis_server.kill()
    async with cache_of(redis_server.url) as cache:
        assert not cache.available
        redis_server.restart()
        await until_available(cache)


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"$-17\r\n", b"*x\r\n", b":\xff\r\n", b""]
)
async def test_a_server_that_is_no_redis_is_a_miss(answer: bytes) -> None:
    async def talk_nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(answer * 10)
        writer.close()

    server = await asyncio.start_server(talk_nonsense, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, cache_of(f"redis://127.0.0.1:{port}") as cache:
        assert not cache.available
        assert await cache.get("key") is None


async def test_a_url_of_no_known_form_is_refused_at_start() -> None:
    with pytest.raises(ValueError, match="redis://"):
        cache_of("localhost:6379")
