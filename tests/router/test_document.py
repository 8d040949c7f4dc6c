"""The OpenAPI document, held against what the router answers by schemathesis.

By hand, and more thoroughly: `schemathesis run http://localhost:3000/openapi.json --exclude-checks
positive_data_acceptance`. (What a request may be is more than a schema says: fields exclude each other.)
"""

from __future__ import annotations

import asyncio
import re
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tests.router.conftest import Services

OPTIONS = (
    *("--phases", "examples,fuzzing", "--max-examples", "25", "--generation-deterministic"),
    *("--exclude-checks", "positive_data_acceptance", "--workers", "2", "--request-timeout", "60"),
    *("--warnings", "off"),  # that bodies made at random are mostly refused
)


async def test_every_answer_is_as_documented_and_none_is_a_server_error(
    services: Services, tmp_path: Path
) -> None:
    async with services.http() as client:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "schemathesis.cli", "run", f"{client.base_url}/openapi.json", *OPTIONS),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            cwd=tmp_path,
        )
        output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    assert b"No issues found" in output
    selected = re.search(rb"(\d+) selected / (\d+) total", output)
    assert selected, output.decode()
    assert selected[1] == selected[2], "an operation was left out"
