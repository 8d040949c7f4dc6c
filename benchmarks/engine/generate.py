"""transformers' own `generate` in a process of its own, told by lines of JSON what to do.

It computes the answers of a round as one padded batch, to the end of the longest, as it has no other way.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.engine.streams import Request

WAITING = {"GOMP_SPINCOUNT": "1000"}
"""See `shard/__init__.py`."""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """About the model and the machine."""

    weight_bytes: int
    """Read in every step: each weight once."""
    cache_bytes_per_token: int
    bandwidth: float
    """Bytes a second that all threads together read from memory."""


class Generate:
    """The process, as its parent sees it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def facts(self) -> Facts:
        """Measure them."""
        return Facts(**self._ask({}))

    def together(self, requests: Sequence[Request]) -> float:
        """Tokens a second of answering the requests as one batch."""
        seconds: float = self._ask({"requests": [asdict(each) for each in requests]})
        return sum(each.tokens for each in requests) / seconds

    def _ask(self, question: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


@contextmanager
def generating(folder: str, *, dtype: str) -> Iterator[Generate]:
    """The process, until the block is left. Its threads wait as the shard's do, lest that decides."""
    command = [sys.executable, "-m", "benchmarks.engine.generate", folder, dtype]
    with subprocess.Popen(
        command, env=os.environ | WAITING, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield Generate(process)
        assert process.stdin is not None
        process.stdin.close()


def main(folder: str, dtype: str) -> None:
    """Answer each line on standard input with one on standard output."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    network = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype)).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    for line in sys.stdin:
        question = json.loads(line)
        requests = [Request(**each) for each in question.get("requests", ())]
        reply = _seconds(network, tokenizer, requests) if requests else asdict(_facts(network))
        print(json.dumps(reply), flush=True)


def _seconds(network: Any, tokenizer: Any, requests: Sequence[Request]) -> float:
    longest = max(each.tokens for each in requests)
    began = time.perf_counter()
    inputs = tokenizer([each.prompt for each in requests], return_tensors="pt", padding=True)
    network.generate(**inputs, do_sample=False, min_new_tokens=longest, max_new_tokens=longest)
    return time.perf_counter() - began


def _facts(network: Any) -> Facts:
    import torch

    tokens = 64
    with torch.inference_mode():
        cache = network(input_ids=torch.ones(1, tokens, dtype=torch.int64), use_cache=True).past_key_values
    kept = sum(layer.keys.nbytes + layer.values.nbytes for layer in cache.layers)
    memory = torch.ones(1 << 26)
    seconds = []
    for _ in range(7):
        began = time.perf_counter()
        memory.sum()
        seconds.append(time.perf_counter() - began)
    return Facts(
        weight_bytes=sum(parameter.nbytes for parameter in network.parameters()),
        cache_bytes_per_token=kept // tokens,
        bandwidth=memory.nbytes / min(seconds),
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
