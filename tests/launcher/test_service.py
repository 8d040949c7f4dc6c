"""The environment that the three services are started with, and the router's health."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from launcher.address import Address, free_addresses
from launcher.options import Device, Dtype, Options
from launcher.service import Service, guiderail, http_healthy


@pytest.fixture
def options() -> Options:
    return Options(
        model="model.gguf",
        num_shard=2,
        host="0.0.0.0",
        port=3000,
        shard_address="0.0.0.0:50051",
        grammar_address="127.0.0.1:50052",
        redis_url="redis://localhost:6379/0",
        dtype=Dtype.FLOAT32,
        device=Device.CPU,
        lora_adapters="a=/adapters/a",
        max_input_tokens=100,
        max_total_tokens=200,
        max_concurrent_requests=7,
    )


def by_name(options: Options, inherited: dict[str, str]) -> dict[str, Service]:
    return {service.name: service for stage in guiderail(options, inherited) for service in stage}


def test_the_options_reach_the_services_as_their_variables(options: Options) -> None:
    services = by_name(options, {})
    grammar_service, shard, router = (
        services[name].environment for name in ("grammar_service", "shard", "router")
    )
    assert grammar_service["GRAMMAR_REDIS_URL"] == "redis://localhost:6379/0"
    assert grammar_service["GRAMMAR_ADDRESS"] == "127.0.0.1:50052"
    assert shard["SHARD_MODEL"] == "model.gguf"
    assert shard["SHARD_NUM_SHARD"] == "2"
    assert shard["SHARD_DTYPE"] == "float32"
    assert shard["SHARD_DEVICE"] == "cpu"
    assert shard["SHARD_LORA_ADAPTERS"] == "a=/adapters/a"
    assert shard["SHARD_MAX_INPUT_TOKENS"] == "100"
    assert shard["SHARD_MAX_TOTAL_TOKENS"] == "200"
    assert router["ROUTER_HOST"] == "0.0.0.0"
    assert router["ROUTER_MAX_CONCURRENT_REQUESTS"] == "7"
    assert router["ROUTER_SHARD_ADDRESS"] == "127.0.0.1:50051", "0.0.0.0 is not an address to connect to"


def test_what_is_not_asked_for_is_left_to_the_environment(options: Options) -> None:
    bare = Options(
        model=None, num_shard=1, host="127.0.0.1", port=3000, shard_address="a:1", grammar_address="b:2"
    )
    shard = by_name(bare, {"SHARD_CACHE_TOKENS": "4096"})["shard"].environment
    assert shard["SHARD_CACHE_TOKENS"] == "4096"
    assert "SHARD_MODEL" not in shard
    assert "SHARD_DTYPE" not in shard


def test_the_router_starts_when_the_services_it_needs_are_up(options: Options) -> None:
    names = [{service.name for service in stage} for stage in guiderail(options, {})]
    assert names == [{"grammar_service", "shard"}, {"router"}]


@contextmanager
def answering(status: int) -> Iterator[Address]:
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/health" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Address("127.0.0.1", server.server_port)
        server.shutdown()


@pytest.mark.parametrize(("status", "healthy"), [(200, True), (503, False)])
def test_the_router_is_healthy_if_it_says_so(status: int, healthy: bool) -> None:
    with answering(status) as address:
        assert http_healthy(address) is healthy


def test_a_router_that_is_not_there_is_not_healthy() -> None:
    (address,) = free_addresses(1)
    assert not http_healthy(address)
