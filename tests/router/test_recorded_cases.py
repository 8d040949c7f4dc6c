"""Recorded requests to TGI that need no model, and what must come back (tgi_cases.jsonl)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

CASES = [json.loads(line) for line in Path(__file__).with_name("tgi_cases.jsonl").read_text().splitlines()]


def result(response: httpx.Response) -> dict[str, Any]:
    """What the checks' paths look into."""
    if "text/event-stream" in response.headers["content-type"]:
        events = [json.loads(line[5:]) for line in response.text.splitlines() if line.startswith("data:")]
        return {"text": response.text, "last_event": events[-1]}
    return {"text": response.text, "body": response.json()}


def value_at(found: Any, path: str) -> Any:
    for key in path.split("."):
        found = found[key]
    return found


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
async def test_a_recorded_request_is_answered_as_by_tgi(
    client: httpx.AsyncClient, case: dict[str, Any]
) -> None:
    response = await client.post(case["route"], json=case["request"])
    assert response.status_code == case["expect"]["status"]
    for operation, path, wanted in case["expect"]["checks"]:
        found = value_at(result(response), path)
        if operation == "eq":
            assert found == wanted
        else:
            assert operation == "contains_text"
            assert wanted in found
