"""A shard in a process of its own, for benchmarks that compare two of them in one run."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import grpc

from benchmarks.process import running
from launcher.address import free_addresses
from protos import generation_pb2, generation_pb2_grpc
from protos.channel import OPTIONS
from protos.healthcheck import healthy

READY_SECONDS = 300


class ShardProcess:
    """`python -m shard`, ready to serve."""

    def __init__(self, address: str) -> None:
        self._stub: Any = generation_pb2_grpc.GenerationServiceStub(grpc.insecure_channel(address, OPTIONS))

    def generate(self, request: generation_pb2.GenerateRequest) -> Iterator[generation_pb2.GenerateEvent]:
        """The events of one answer. Raises grpc.RpcError."""
        events: Iterator[generation_pb2.GenerateEvent] = self._stub.Generate(request)
        return events

    def statistics(self) -> generation_pb2.StatisticsReply:
        """What it has done so far."""
        told: generation_pb2.StatisticsReply = self._stub.Statistics(generation_pb2.StatisticsRequest())
        return told


@contextmanager
def shard_process(environment: Mapping[str, str]) -> Iterator[ShardProcess]:
    """Start a shard with these settings; it is stopped when the block is left.

    Raises:
        RuntimeError: it does not get ready; the message says why.
    """
    (address,) = map(str, free_addresses(1))
    with running(
        [sys.executable, "-m", "shard"],
        {**environment, "SHARD_ADDRESS": address},
        healthy=lambda: healthy(address),
        seconds=READY_SECONDS,
    ):
        yield ShardProcess(address)
