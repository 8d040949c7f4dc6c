"""Clients whose pins clash with ours: an environment of their own, and scripts that run in it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent

Told = Callable[[str, dict[str, Any]], dict[str, Any]]


@pytest.fixture(scope="session")
def clients_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a new environment with the packages of requirements.txt."""
    folder = tmp_path_factory.mktemp("clients")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    python = folder / "bin" / "python"
    install = (sys.executable, "-m", "pip", "--python", str(python), "install")
    quick = ("--quiet", "--no-deps", "--no-compile", "--disable-pip-version-check")
    subprocess.run(
        [*install, *quick, "--requirement", str(HERE / "requirements.txt")],
        # What make pins is for our environment.
        env={name: value for name, value in os.environ.items() if name != "PIP_CONSTRAINT"},
        check=True,
    )
    return python


@pytest.fixture(scope="session")
def told(clients_python: Path, server: Any) -> Told:
    """What a script beside this file prints of the shared server, given its name and what it asks for."""

    def run(script: str, given: dict[str, Any]) -> dict[str, Any]:
        ended = subprocess.run(
            [str(clients_python), "-I", str(HERE / script), server.url, json.dumps(given)],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr
        answers: dict[str, Any] = json.loads(ended.stdout)
        return answers

    return run
