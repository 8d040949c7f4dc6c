"""What `guiderail serve` was asked for."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Dtype(StrEnum):
    """Types of weights a shard can run with."""

    AUTO = "auto"
    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"


class Device(StrEnum):
    """Where a shard can run."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


@dataclass(frozen=True, kw_only=True)
class Options:
    """The command line, parsed. None means: the service's own default, or its variable in the environment."""

    model: str | None
    """Hub id, folder, or .gguf file; None: the bundled SmolLM2."""
    num_shard: int
    """Processes that the model is split over."""
    host: str
    """Where the router listens."""
    port: int
    """The router's port."""
    shard_address: str
    """host:port of the shard's gRPC."""
    grammar_address: str
    """host:port of the grammar service's gRPC."""
    redis_url: str | None = None
    dtype: Dtype | None = None
    device: Device | None = None
    lora_adapters: str | None = None
    """NAME=FOLDER,NAME=FOLDER."""
    max_input_tokens: int | None = None
    max_total_tokens: int | None = None
    max_concurrent_requests: int | None = None
    drain_seconds: float = 90.0
    """What running requests get to finish in after the first Ctrl-C."""
