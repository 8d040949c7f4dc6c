"""What GET /metrics tells of requests, in front of real gRPC services with fakes behind them."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

import httpx

from protos.errors import GenerationError, OverloadedError

if TYPE_CHECKING:
    from tests.router.conftest import Services

PATIENCE = 10
"""Seconds until a test that waits for something gives up."""

Samples = dict[tuple[str, ...], float]


async def told(client: httpx.AsyncClient) -> Samples:
    """The value of each sample, by its name and the values of its labels."""
    response = await client.get("/metrics")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain; version=")
    lines = [line for line in response.text.splitlines() if not line.startswith("#")]
    samples = [re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line) for line in lines]
    return {
        (sample[1], *re.findall(r'"(.*?)"', sample[2] or "")): float(sample[3])
        for sample in samples
        if sample
    }


async def test_answers_are_counted_timed_and_measured(client: httpx.AsyncClient) -> None:
    parameters = {"max_new_tokens": 9}
    await client.post("/generate", json={"inputs": "a b c", "parameters": parameters})
    await client.post("/generate_stream", json={"inputs": "a b c", "parameters": parameters})
    await client.post("/v1/completions", json={"prompt": ["a", "b"], "max_tokens": 3, "n": 2})
    await client.post("/v1/completions", json={"prompt": ["a", "b"], "max_tokens": 3, "stream": True})
    samples = await told(client)
    assert samples["tgi_request_count",] == 4
    assert samples["tgi_request_success",] == 4
    assert samples["tgi_request_duration_count",] == 4
    assert samples["tgi_request_validation_duration_count",] == 6
    assert samples["tgi_request_max_new_tokens_sum",] == 2 * 9 + 4 * 3
    for name in ("queue", "inference", "mean_time_per_token"):
        assert samples[f"tgi_request_{name}_duration_count",] == 8
    assert samples["tgi_request_queue_duration_sum",] == 8 * 0.25
    assert samples["tgi_request_inference_duration_sum",] == 8 * 1.5
    assert samples["tgi_request_mean_time_per_token_duration_sum",] == 2 * 0.5 + 6 * 1.5
    assert samples["tgi_request_generated_tokens_sum",] == samples["tgi_request_input_length_sum",] == 12


async def test_a_request_that_is_not_answered_is_counted_by_its_reason(
    client: httpx.AsyncClient, services: Services
) -> None:
    for route, body in (
        ("/generate", {"inputs": ""}),
        ("/generate_stream", {"inputs": ""}),
        ("/v1/completions", {"prompt": "a", "n": 0}),
        ("/v1/completions", {"prompt": "a", "n": 0, "stream": True}),
    ):
        await client.post(route, json=body)
    services.shard.failures = {0: GenerationError("out of memory")}
    await client.post("/generate", json={"inputs": "a"})
    services.shard.failures = {0: OverloadedError("full")}
    await client.post("/generate_stream", json={"inputs": "a"})
    services.shard.failures, services.shard.truncated = {}, True
    await client.post("/v1/completions", json={"prompt": "a", "stream": True})
    samples = await told(client)
    assert samples["tgi_request_count",] == 7
    assert samples["tgi_request_success",] == 0
    assert samples["tgi_request_failure", "validation"] == 4
    assert samples["tgi_request_failure", "generation"] == 1
    assert samples["tgi_request_failure", "overloaded"] == 1
    assert samples["tgi_request_failure", "incomplete"] == 1


async def test_a_request_that_is_hung_up_on_is_dropped(services: Services) -> None:
    services.shard.gate.clear()
    async with services.http() as client:
        async with client.stream("POST", "/generate_stream", json={"inputs": "a b"}) as response:
            await anext(response.aiter_lines())
        async with asyncio.timeout(PATIENCE):
            await services.shard.cancelled.wait()
        samples = await told(client)
    assert samples["tgi_request_failure", "dropped"] == 1
    assert samples["tgi_request_success",] == 0


async def test_grammars_are_timed_by_where_they_were_found(client: httpx.AsyncClient) -> None:
    for pattern in ("a", "a", "b", "forbidden"):
        grammar = {"type": "regex", "value": pattern}
        await client.post("/generate", json={"inputs": "a", "parameters": {"grammar": grammar}})
    samples = await told(client)
    counts = {
        origin: samples["guiderail_grammar_duration_count", origin]
        for origin in ("compiled", "router", "refused")
    }
    assert counts == {"compiled": 2, "router": 1, "refused": 1}


async def test_the_shard_s_own_numbers_are_told_while_it_is_there(
    client: httpx.AsyncClient, services: Services
) -> None:
    samples = await told(client)
    assert samples["tgi_batch_current_size",] == 1
    assert samples["tgi_queue_size",] == 2
    assert samples["tgi_batch_current_max_tokens",] == 30
    assert samples["tgi_batch_max_total_tokens",] == 400
    assert samples["guiderail_steps_total",] == 5
    assert samples["guiderail_mask_first_visits_total",] == 6
    assert samples["guiderail_mask_hits_total",] == 7
    assert samples["guiderail_mask_seconds_total",] == 0.5
    assert samples["guiderail_late_masks_total",] == 8
    assert ("guiderail_drafted_tokens_total",) not in samples
    services.shard.statistics.drafted_tokens = 8
    services.shard.statistics.accepted_tokens = 7
    samples = await told(client)
    assert samples["guiderail_drafted_tokens_total",] == 8
    assert samples["guiderail_accepted_tokens_total",] == 7
    await services.stop_shard()
    samples = await told(client)
    assert ("tgi_queue_size",) not in samples
    assert samples["tgi_request_count",] == 0
