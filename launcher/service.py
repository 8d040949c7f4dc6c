"""A service as the launcher sees it, and the three that make up Guiderail."""

from __future__ import annotations

import http.client
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from launcher.address import Address
from launcher.options import Options
from protos import healthcheck

_HEALTH_TIMEOUT_SECONDS = 2.0


@dataclass(frozen=True, kw_only=True)
class Service:
    """Plain data: how one service is started and how its health is asked for."""

    name: str
    command: tuple[str, ...]
    """Program, by its full path, and arguments."""
    environment: Mapping[str, str]
    """All of it; nothing else is inherited."""
    healthy: Callable[[], bool]
    """Whether it takes requests. May block for some seconds; raises nothing."""


Stages = tuple[tuple[Service, ...], ...]
"""Services in the order in which they start; those of one stage start together."""


def guiderail(options: Options, inherited: Mapping[str, str]) -> Stages:
    """The grammar service and the shard, then the router, which needs both.

    `inherited` is the environment they all get; what `options` leaves open is as it says there.
    """
    grammar_address = Address.parse(options.grammar_address).reachable
    shard_address = Address.parse(options.shard_address).reachable
    router_address = Address(options.host, options.port).reachable
    grammar_service = _service(
        "grammar_service",
        inherited,
        {
            "GRAMMAR_ADDRESS": options.grammar_address,
            "GRAMMAR_REDIS_URL": options.redis_url,
        },
        healthy=partial(healthcheck.healthy, str(grammar_address), timeout=_HEALTH_TIMEOUT_SECONDS),
    )
    shard = _service(
        "shard",
        inherited,
        {
            "SHARD_ADDRESS": options.shard_address,
            "SHARD_MODEL": options.model,
            "SHARD_NUM_SHARD": options.num_shard,
            "SHARD_DTYPE": options.dtype,
            "SHARD_DEVICE": options.device,
            "SHARD_LORA_ADAPTERS": options.lora_adapters,
            "SHARD_MAX_INPUT_TOKENS": options.max_input_tokens,
            "SHARD_MAX_TOTAL_TOKENS": options.max_total_tokens,
            "SHARD_DRAIN_SECONDS": options.drain_seconds,
        },
        healthy=partial(healthcheck.healthy, str(shard_address), timeout=_HEALTH_TIMEOUT_SECONDS),
    )
    router = _service(
        "router",
        inherited,
        {
            "ROUTER_HOST": options.host,
            "ROUTER_PORT": options.port,
            "ROUTER_SHARD_ADDRESS": str(shard_address),
            "ROUTER_GRAMMAR_ADDRESS": str(grammar_address),
            "ROUTER_MAX_CONCURRENT_REQUESTS": options.max_concurrent_requests,
            "ROUTER_DRAIN_SECONDS": options.drain_seconds,
        },
        healthy=partial(http_healthy, router_address),
    )
    return ((grammar_service, shard), (router,))


def _service(
    name: str,
    inherited: Mapping[str, str],
    settings: Mapping[str, str | float | None],
    *,
    healthy: Callable[[], bool],
) -> Service:
    """`python -m NAME`; -P keeps a folder of that name in the working directory from being taken for it."""
    given = {variable: str(value) for variable, value in settings.items() if value is not None}
    return Service(
        name=name,
        command=(sys.executable, "-P", "-m", name),
        environment={**inherited, "PYTHONUNBUFFERED": "1", **given},
        healthy=healthy,
    )


def http_healthy(address: Address, *, timeout: float = _HEALTH_TIMEOUT_SECONDS) -> bool:
    """Whether GET /health at `address` answers 200 within `timeout` seconds."""
    connection = http.client.HTTPConnection(address.host, address.port, timeout=timeout)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
