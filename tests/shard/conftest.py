"""Tiny random models, a shard as a process, and one whose model only counts, behind a real gRPC server."""

from __future__ import annotations

import asyncio
import os
import random
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoModelForCausalLM, PreTrainedConfig, PreTrainedTokenizerFast

from protos import automaton_pb2, generation_pb2, generation_pb2_grpc
from protos.channel import open_channel
from protos.errors import InvalidRequestError
from protos.server import Server
from shard.answer import Sampled
from shard.blocks import Blocks
from shard.counters import Counters
from shard.deadline import Budget
from shard.drafts import Drafter, verified
from shard.engine import Engine
from shard.limits import Limits
from shard.scheduler import Scheduler
from shard.sequence import Sequence, Slice, Watermark
from shard.servicer import GenerationServicer, registration
from shard.tokenizer import Span

EOS = 256
TOKEN_BYTES = [*(bytes([value]) for value in range(256)), None]


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """More threads than idle cores make torch many times slower."""
    torch.set_num_threads(1)


class CountingModel:
    """Samples the letter whose place in the alphabet is the length of the sequence: every answer is obvious.

    Of a constrained sequence it samples the lowest token that its mask allows.
    """

    def __init__(self) -> None:
        self.failure: Exception | None = None
        self.nan_for: int | None = None
        """The first token of the prompt whose answer is not a number."""
        self.steps = 0
        self.tokens_read = 0

    def step(
        self, slices: list[Slice], masks: Callable[[], Mapping[Sequence, NDArray[np.int32]]]
    ) -> dict[Sequence, list[Sampled]]:
        self.steps += 1
        self.tokens_read += sum(each.count for each in slices)
        if self.failure:
            raise self.failure
        rows = masks()
        for each in slices:
            _score(each)
        return verified(slices, [self._sampled(row, rows) for each in slices for row in each.rows])

    def _sampled(self, sequence: Sequence, rows: Mapping[Sequence, NDArray[np.int32]]) -> Sampled:
        token_id = ord("a") + len(sequence.tokens) % 26
        if sequence in rows:
            token_id = int(np.unpackbits(rows[sequence].view(np.uint8), bitorder="little").argmax())
        logprob = float("nan") if sequence.tokens[0] == self.nan_for else -1.0
        return Sampled(token_id, logprob, ((token_id, -1.0), (EOS, -2.0))[: sequence.sampling.top_n])


def _score(each: Slice) -> None:
    """Every token of a prompt is as likely as its place in it says: -1, -2, -3 from the second one on."""
    if each.scored and each.sequence.prompt_logprobs:
        start = each.sequence.computed
        each.sequence.prompt_logprobs.record(start, [-float(start + 1 + i) for i in range(each.scored)])


class ByteTokenizer:
    """One token a byte."""

    @property
    def special_tokens(self) -> dict[int, str]:
        return {EOS: "<end>"}

    def encode(self, text: str, *, add_special_tokens: bool) -> list[int]:
        return [*text.encode(), EOS] if add_special_tokens and text.startswith("<") else list(text.encode())

    def spans(self, text: str, *, add_special_tokens: bool) -> list[Span]:
        return [Span(ord(character), index, index + 1) for index, character in enumerate(text)]


class Spelling:
    """Allows one text, then the end; `broken` fails when its mask is asked for, `new...` is never known."""

    def __init__(self, text: str) -> None:
        self._text = text.encode()
        self._read = 0

    @property
    def known(self) -> bool:
        return not self._text.startswith(b"new")

    def masks(self, drafts: Iterable[int] = ()) -> list[NDArray[np.int32]]:
        if self._text == b"broken":
            raise RuntimeError("no mask")
        places = range(self._read, min(len(self._text), self._read + len(list(drafts))) + 1)
        return [self._mask(place) for place in places]

    def _mask(self, place: int) -> NDArray[np.int32]:
        bits = np.zeros(288, dtype=np.uint8)
        bits[self._text[place] if place < len(self._text) else EOS] = 1
        return np.packbits(bits, bitorder="little").view(np.int32)

    def advance(self, token_id: int) -> None:
        self._read += 1

    def forced(self) -> bytes:
        return self._text[self._read :]


class Spellings:
    """Takes the id of an automaton for the text that it allows."""

    def constraint(
        self, message: automaton_pb2.Automaton, automaton_id: str, budget: Budget | None
    ) -> Spelling:
        if automaton_id == "damaged":
            raise InvalidRequestError("automaton: damaged")
        return Spelling(automaton_id)


@dataclass
class Shard:
    """A served engine, and what is behind it."""

    stub: Any
    engine: Engine
    scheduler: Scheduler
    model: CountingModel
    loop: asyncio.Task[None]
    capacity: int

    def generate(self, inputs: str, **parameters: Any) -> Any:
        """The call of a request for `max_new_tokens` (default 5) with the other fields as given."""
        stopping = generation_pb2.Stopping(
            max_new_tokens=parameters.pop("max_new_tokens", 5), stop=parameters.pop("stop", [])
        )
        return self.stub.Generate(
            generation_pb2.GenerateRequest(inputs=inputs, stopping=stopping, **parameters)
        )

    async def text(self, inputs: str, **parameters: Any) -> str:
        """The whole answer, which is also what the tokens make up."""
        events = [event async for event in self.generate(inputs, **parameters)]
        text = "".join(event.token.text for event in events if not event.token.special)
        assert text == events[-1].completion.text
        assert not any(event.HasField("completion") for event in events[:-1])
        return text

    async def all_free(self) -> None:
        """Wait until no sequence owns a block."""
        await eventually(lambda: self.scheduler.blocks.available == self.capacity)


async def eventually(condition: Callable[[], bool], *, seconds: float = 20.0) -> None:
    """Wait until the condition holds, letting others run in between."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 # what it watches is plain state, which tells nobody
            await asyncio.sleep(0.001)


def counting(
    *,
    blocks: int = 64,
    drafts: bool = False,
    running: int = 8,
    waiting: int = 1000,
    budget: int = 64,
) -> tuple[CountingModel, Scheduler, Engine, GenerationServicer]:
    """A shard's parts around a counting model."""
    model = CountingModel()
    scheduler = Scheduler(
        Blocks(count=blocks + 1, size=4), max_running=running, max_waiting=waiting, token_budget=budget
    )
    tokenizer = ByteTokenizer()
    counters = Counters()
    drafter = Drafter(partial(tokenizer.encode, add_special_tokens=False), TOKEN_BYTES) if drafts else None
    engine = Engine(model, scheduler, drafter=drafter, counters=counters, mask_seconds=0, mask_share=0)
    servicer = GenerationServicer(
        engine,
        tokenizer=tokenizer,
        token_bytes=TOKEN_BYTES,
        eos_ids={EOS},
        grammars=Spellings(),
        limits=Limits(max_input_tokens=100, max_total_tokens=100_000),
        watermark=Watermark(gamma=0.5, delta=2.0),
        info=generation_pb2.InfoReply(model_id="counting"),
        adapters={"poems", "letters"},
        counters=counters,
    )
    return model, scheduler, engine, servicer


@pytest.fixture(name="counting")
def counting_parts() -> Callable[..., Any]:
    return counting


@pytest.fixture
def serving() -> Callable[..., Any]:
    """`async with serving(blocks=64, ...) as shard:` serves a counting model on a free port."""

    @asynccontextmanager
    async def serving(*, blocks: int = 64, drafts: bool = False, **limits: int) -> AsyncIterator[Shard]:
        model, scheduler, engine, servicer = counting(blocks=blocks, drafts=drafts, **limits)
        server = Server(registration(servicer), service="guiderail.generation.v1.GenerationService")
        port = await server.start("127.0.0.1:0")
        loop = asyncio.create_task(engine.run())
        async with open_channel(f"127.0.0.1:{port}") as channel:
            stub = generation_pb2_grpc.GenerationServiceStub(channel)
            try:
                yield Shard(stub, engine, scheduler, model, loop, blocks)
            finally:
                await server.stop(grace=0)
                loop.cancel()
                await asyncio.wait([loop])

    return serving


async def drained(call: Any) -> None:
    while await call.read() is not grpc.aio.EOF:
        pass


async def failure(call: Any) -> tuple[grpc.StatusCode, str]:
    """The status and message with which a call fails."""
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await drained(call)
    return error.value.code(), error.value.details() or ""


@pytest.fixture(name="failure")
def failure_of() -> Callable[..., Any]:
    return failure


@pytest.fixture(name="eventually")
def eventually_holds() -> Callable[..., Any]:
    return eventually


def written(folder: Path, config: PreTrainedConfig) -> str:
    """A random model with a token for each byte, and one more."""
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: index for index, token in enumerate([*alphabet, "<end>"])}
    backend = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<end>").save_pretrained(folder)
    return str(folder)


@pytest.fixture(name="written")
def written_model() -> Callable[..., str]:
    """`written(folder, config)` is the name of a random model of that configuration, over single bytes."""
    return written


@asynccontextmanager
async def started(
    model: str | None, *, port: int = 0, **settings: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    own = {"SHARD_ADDRESS": f"127.0.0.1:{port}", "SHARD_THREADS": "1", "SHARD_FORWARD": "packed"}
    own |= {"SHARD_MODEL": model} if model else {}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "shard", env=os.environ | own | settings, stderr=asyncio.subprocess.PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@pytest.fixture(name="started")
def started_shard() -> Callable[..., Any]:
    """`async with started(model, port=0, SHARD_...="...") as process:` runs a shard."""
    return started


@pytest.fixture
def port() -> int:
    """A free port below those that systems hand out, so that nobody gets it while a shard starts."""
    while True:
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", random.randrange(10_000, 32_000)))
            return int(probe.getsockname()[1])
