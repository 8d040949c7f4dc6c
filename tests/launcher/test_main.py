"""The command line."""

from __future__ import annotations

import socket
from importlib.metadata import version

import pytest
from typer.testing import CliRunner

from launcher.__main__ import USAGE_ERROR, app

runner = CliRunner()


def test_the_version_is_told() -> None:
    result = runner.invoke(app, ["--version"])
    assert result.output == f"guiderail {version('guiderail')}\n"


@pytest.mark.parametrize(
    "option",
    [
        "--num-shard",
        "--host",
        "--port",
        "--redis-url",
        "--dtype",
        "--device",
        "--max-input-tokens",
        "--drain-seconds",
    ],
)
def test_the_help_names_every_option(option: str) -> None:
    assert option in runner.invoke(app, ["serve", "--help"], terminal_width=200).output


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--dtype", "int3"], "float32"),
        (["--device", "abacus"], "cuda"),
        (["--port", "0"], "port"),
        (["--num-shard", "0"], "num-shard"),
        (["./nowhere.gguf"], "MODEL: there is no file or folder './nowhere.gguf'"),
    ],
)
def test_a_mistake_is_explained_before_anything_starts(arguments: list[str], reason: str) -> None:
    result = runner.invoke(app, ["serve", *arguments])
    assert result.exit_code == USAGE_ERROR
    assert reason in result.output


def test_a_port_in_use_is_explained() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        result = runner.invoke(app, ["serve", "--port", str(port)])
    assert result.exit_code == USAGE_ERROR
    assert f"--port: cannot listen on 127.0.0.1:{port}" in result.output
