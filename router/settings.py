"""What can be configured about the router."""

from __future__ import annotations

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """The router's settings, read from ROUTER_* environment variables."""

    model_config = SettingsConfigDict(env_prefix="ROUTER_", frozen=True, use_attribute_docstrings=True)

    host: str = "0.0.0.0"
    """Interface to listen on."""
    port: int = Field(default=3000, ge=0, le=65535)
    """Port to listen on; 0 takes any free one."""
    shard_address: str = "127.0.0.1:50051"
    """host:port of the shard's gRPC server."""
    grammar_address: str = "127.0.0.1:50052"
    """host:port of the grammar service's gRPC server."""
    max_concurrent_requests: int = Field(default=128, gt=0)
    """Requests that may run at once; one more is refused with 429."""
    max_best_of: int = Field(default=2, gt=0)
    """The largest `best_of` a request may ask for."""
    max_stop_sequences: int = Field(default=4, ge=0)
    """The most stop sequences of a request."""
    max_top_n_tokens: int = Field(default=5, ge=0)
    """The largest `top_n_tokens` a request may ask for."""
    max_choices: int = Field(default=16, gt=0)
    """The most answers to one prompt (`n`, `best_of`) on OpenAI's routes."""
    max_logprobs: int = Field(default=20, ge=0)
    """The most likely tokens at each step that a request to OpenAI's routes may ask for."""
    max_client_batch_size: int = Field(default=4, gt=0)
    """The most prompts of a request to /v1/completions."""
    payload_limit: int = Field(default=2_000_000, gt=0)
    """The largest request body, in bytes; a larger one is refused with 413."""
    api_key: SecretStr | None = Field(default=None, min_length=1)
    """What callers must send as `Authorization: Bearer KEY`; unset, anyone may call."""
    cors_allow_origin: tuple[str, ...] = ("*",)
    """The origins whose pages may call, as a JSON list; `*` is any."""
    compile_seconds: float = Field(default=15.0, gt=0)
    """How long the grammar service may take to answer; it limits the compilation itself to less."""
    drain_seconds: float = Field(default=30.0, ge=0)
    """How long running requests may take to finish after SIGTERM."""
    compute_type: str = "gpu+optimized"
    """What the header x-compute-type says; the default is TGI's."""
