"""Answers in tight budgets, through the whole server: they end in time, or are refused with what it takes."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx
import jsonschema
import pytest

SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "tags": {"type": "array", "items": {"type": "string"}, "minItems": 2},
        "price": {"type": "number", "minimum": 1},
    },
    "required": ["name", "tags", "price"],
}


def ask(client: httpx.Client, **parameters: Any) -> httpx.Response:
    grammar = {"type": "json", "value": SCHEMA}
    body = {"inputs": "A product:", "parameters": {"grammar": grammar, "details": True, **parameters}}
    return client.post("/generate", json=body)


def fewest_tokens(client: httpx.Client) -> int:
    refused = ask(client, max_new_tokens=3, complete="required")
    assert refused.status_code == 422
    told = re.search(r"takes (\d+) tokens, the end-of-sequence token included", refused.json()["error"])
    assert told
    return int(told[1])


@pytest.mark.parametrize("seed", range(3))
def test_an_answer_that_just_fits_is_whole(client: httpx.Client, seed: int) -> None:
    fewest = fewest_tokens(client)
    for extra in (0, 1, fewest):
        answered = ask(client, max_new_tokens=fewest + extra, temperature=1.5, seed=seed, complete="required")
        assert answered.status_code == 200, answered.text
        jsonschema.validate(json.loads(answered.json()["generated_text"]), SCHEMA)
        assert answered.json()["details"]["finish_reason"] == "eos_token"


def test_openai_s_routes_have_the_field_too(client: httpx.Client) -> None:
    schema = {"name": "product", "schema": SCHEMA, "strict": True}
    body = {
        "messages": [{"role": "user", "content": "A product:"}],
        "response_format": {"type": "json_schema", "json_schema": schema},
        "temperature": 1.5,
        "seed": 5,
    }
    tight = {"max_tokens": fewest_tokens(client)}
    refused = client.post("/v1/chat/completions", json={**body, "max_tokens": 3, "complete": "required"})
    assert refused.status_code == 422
    assert f"takes {tight['max_tokens']} tokens" in refused.text
    (whole,) = client.post("/v1/chat/completions", json={**body, **tight}).json()["choices"]
    jsonschema.validate(json.loads(whole["message"]["content"]), SCHEMA)
    assert whole["finish_reason"] == "stop"
    (cut,) = client.post("/v1/chat/completions", json={**body, **tight, "complete": "off"}).json()["choices"]
    assert cut["finish_reason"] == "length"


@pytest.mark.parametrize(("complete", "tokens"), [("auto", 5), ("off", 20)])
def test_otherwise_it_is_cut_off(client: httpx.Client, complete: str, tokens: int) -> None:
    answered = ask(client, max_new_tokens=tokens, complete=complete).json()
    assert answered["details"]["finish_reason"] == "length"
    assert answered["details"]["generated_tokens"] == tokens
