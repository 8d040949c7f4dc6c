"""What Prometheus is told: TGI's metrics under TGI's names, and Guiderail's own."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from router.errors import RequestError, tgi_error

if TYPE_CHECKING:  # which needs this module to tell it what happens
    from router.grammar import Origin
    from router.model import Statistics
    from router.request import GenerationRequest
    from router.token_event import Completion

SECONDS = [0.00015 * 1.5**exponent for exponent in range(35)]
"""TGI's buckets for durations: 0.15 ms to 146 s."""
TOKENS = [2.0**exponent for exponent in range(18)]

TGI_COUNTER = re.compile(rb"\b(tgi_request_(?:count|success|failure))_total\b")
"""The library insists on an ending that TGI's counters do not have."""


class Metrics:
    """Counts and times requests, each of which either succeeds or fails for one reason."""

    def __init__(self) -> None:
        disable_created_metrics()  # they would double what is told
        self._registry = registry = CollectorRegistry()
        self._count = Counter("tgi_request_count", "Requests", registry=registry)
        self._success = Counter("tgi_request_success", "Requests that were answered", registry=registry)
        self._failure = Counter(
            "tgi_request_failure", "Requests that were not answered, and why", ["err"], registry=registry
        )
        self._duration = self._seconds("tgi_request_duration", "From a request to the end of its answer")
        self._validation = self._seconds(
            "tgi_request_validation_duration", "Until the shard is asked: rules, and compiling the grammar"
        )
        self._queue = self._seconds("tgi_request_queue_duration", "Until the model begins with an answer")
        self._inference = self._seconds("tgi_request_inference_duration", "From then until an answer's end")
        self._mean_time = self._seconds(
            "tgi_request_mean_time_per_token_duration", "Mean time of an answer's tokens"
        )
        self._generated = self._tokens("tgi_request_generated_tokens", "Tokens of an answer")
        self._input = self._tokens("tgi_request_input_length", "Tokens of a prompt")
        self._max_new = self._tokens("tgi_request_max_new_tokens", "Tokens that an answer may have at most")
        self._grammar = Histogram(
            "guiderail_grammar_duration",
            "How long the router waited for a compiled grammar, and where it was found",
            ["origin"],
            buckets=SECONDS,
            registry=registry,
        )

    def _seconds(self, name: str, meaning: str) -> Histogram:
        return Histogram(name, f"{meaning}, in seconds", buckets=SECONDS, registry=self._registry)

    def _tokens(self, name: str, meaning: str) -> Histogram:
        return Histogram(name, meaning, buckets=TOKENS, registry=self._registry)

    @contextmanager
    def request(self) -> Iterator[None]:
        """The block answers one request. An exception says why it failed; cancelled, it is dropped."""
        self._count.inc()
        began = perf_counter()
        try:
            yield
        except RequestError as failure:
            self._failure.labels(err=_reason(failure)).inc()
            raise
        except (asyncio.CancelledError, GeneratorExit):
            self._failure.labels(err="dropped").inc()
            raise
        except Exception:
            self._failure.labels(err="internal").inc()
            raise
        self._success.inc()
        self._duration.observe(perf_counter() - began)

    def compiled(self, origin: Origin, seconds: float) -> None:
        """A grammar was wanted; `refused` is an origin, too."""
        self._grammar.labels(origin=origin).observe(seconds)

    def begun(self, request: GenerationRequest, seconds: float) -> None:
        """The shard is asked for answers, so long after the request came."""
        self._validation.observe(seconds)
        if request.max_new_tokens is not None:
            self._max_new.observe(request.max_new_tokens)

    def completed(self, completion: Completion) -> None:
        """An answer is there."""
        self._queue.observe(completion.queue_seconds)
        self._inference.observe(completion.inference_seconds)
        self._mean_time.observe(completion.inference_seconds / max(completion.generated_tokens, 1))
        self._generated.observe(completion.generated_tokens)
        self._input.observe(completion.input_tokens)

    def text(self, shard: Statistics | None) -> bytes:
        """Everything in Prometheus's text format; None if the shard does not tell what it does."""
        told = generate_latest(self._registry)
        if shard is not None:
            of_shard = CollectorRegistry()
            of_shard.register(ShardMetrics(shard))
            told += generate_latest(of_shard)
        return TGI_COUNTER.sub(rb"\1", told)


class ShardMetrics(Collector):
    """What a shard told of itself, as metrics."""

    def __init__(self, statistics: Statistics) -> None:
        self._statistics = statistics

    def collect(self) -> Iterable[Metric]:
        """The metrics."""
        told = self._statistics
        yield GaugeMetricFamily("tgi_queue_size", "Answers that wait for the model", told.waiting)
        yield GaugeMetricFamily("tgi_batch_current_size", "Answers that the model works on", told.running)
        yield GaugeMetricFamily(
            "tgi_batch_current_max_tokens", "Tokens of the cache that are in use", told.cache_tokens_used
        )
        yield GaugeMetricFamily(
            "tgi_batch_max_total_tokens", "Tokens that the cache can hold", told.cache_tokens
        )
        yield CounterMetricFamily("guiderail_steps", "Forward passes of the model", told.steps)
        yield from self._of_masks()
        if told.drafted_tokens is not None:
            yield CounterMetricFamily(
                "guiderail_drafted_tokens", "Tokens that grammars forced", told.drafted_tokens
            )
        if told.accepted_tokens is not None:
            yield CounterMetricFamily(
                "guiderail_accepted_tokens",
                "Forced tokens that the model chose as well",
                told.accepted_tokens,
            )

    def _of_masks(self) -> Iterable[Metric]:
        told = self._statistics
        yield CounterMetricFamily(
            "guiderail_mask_first_visits", "Token masks that had to be computed", told.mask_first_visits
        )
        yield CounterMetricFamily(
            "guiderail_mask_hits", "Token masks that were known already", told.mask_hits
        )
        yield CounterMetricFamily(
            "guiderail_mask_seconds", "Time that it took to compute token masks", told.mask_seconds
        )
        yield CounterMetricFamily(
            "guiderail_late_masks", "Times that an answer waited a step for its mask", told.late_masks
        )


def _reason(failure: RequestError) -> str:
    """TGI's label for a failure."""
    kind = tgi_error(failure)[1].error_type
    return {"incomplete_generation": "incomplete", "template_error": "template"}.get(kind, kind)
