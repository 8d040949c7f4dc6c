"""The default model, in float32: what its conversion must not lose, and answers equal to `model.generate`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import WatermarkingConfig
from transformers.utils import logging as transformers_logging

from shard.answer import Answer, Event
from shard.blocks import Blocks
from shard.checkpoint import Checkpoint, locate
from shard.detokenizer import Detokenizer
from shard.engine import Engine
from shard.kv_cache import KVCache
from shard.model import PagedModel, probe
from shard.scheduler import Scheduler
from shard.self_check import SelfCheck
from shard.sequence import Sampling, Sequence, Watermark
from shard.settings import Settings
from shard.stopping import FinishReason, StopStrings
from shard.tokenizer import Tokenizer
from shard.vocabulary import Vocabulary
from shard.watermark import HASH_KEY

QUESTIONS = ["What is the capital of France?", "List three fruits.", "Write one sentence about the sea."]
END = 2
NEW = 24


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    """Converted on the first run on a machine, then found in the cache."""
    transformers_logging.disable_progress_bar()
    return locate(None, cache_dir=Settings().cache_dir.expanduser())


@pytest.fixture(scope="module")
def tokenizer(checkpoint: Checkpoint) -> Tokenizer:
    return checkpoint.load_tokenizer()


@pytest.fixture(scope="module")
def prompts(tokenizer: Tokenizer) -> list[list[int]]:
    return [
        tokenizer.encode(
            str(
                tokenizer.transformers.apply_chat_template(
                    [{"role": "user", "content": question}], tokenize=False, add_generation_prompt=True
                )
            )
        )
        for question in QUESTIONS
    ]


class Loaded:
    """The model over a small paged cache, and its own answers to the prompts."""

    def __init__(self, network: Any, vocabulary: Vocabulary, special_tokens: dict[int, str]) -> None:
        check = SelfCheck(network)
        cache = KVCache(probe(network), blocks=129, block_size=16, device=torch.device("cpu"))
        self.model = PagedModel(network, cache)
        check.verify(self.model, block_size=16)
        self._vocabulary = vocabulary
        self._special_tokens = special_tokens

    @asynccontextmanager
    async def engine(self) -> AsyncIterator[Engine]:
        """An engine that reads prompts in pieces of 32 tokens."""
        blocks = Blocks(count=129, size=16)
        engine = Engine(self.model, Scheduler(blocks, max_running=8, max_waiting=16, token_budget=32))
        loop = asyncio.create_task(engine.run())
        yield engine
        loop.cancel()
        await asyncio.wait([loop])

    async def answer(
        self,
        engine: Engine,
        prompt: list[int],
        *,
        sampling: Sampling | None = None,
        stop: tuple[str, ...] = (),
    ) -> tuple[str, list[Event]]:
        sequence = Sequence(prompt, max_new_tokens=NEW, sampling=sampling)
        answer = Answer(
            max_new_tokens=NEW,
            detokenizer=Detokenizer(self._vocabulary.token_bytes),
            stop_strings=StopStrings(stop),
            eos_ids={END},
            special_tokens=self._special_tokens,
        )
        async with engine.generation(sequence, answer) as stream:
            events = [event async for event in stream]
        return answer.text, events


@pytest.fixture(scope="module")
def network(checkpoint: Checkpoint) -> Any:
    return checkpoint.load_network(dtype=torch.float32, device=torch.device("cpu"))


GREEDY: dict[str, tuple[Sampling, dict[str, Any]]] = {
    "plain": (Sampling(), {}),
    "temperature": (Sampling(temperature=0.1), {}),
    "repetition_penalty": (Sampling(repetition_penalty=1.3), {"repetition_penalty": 1.3}),
    "min_new_tokens": (Sampling(min_new_tokens=NEW, end_ids=(END,)), {"min_new_tokens": NEW}),
    "logit_bias": (
        Sampling(logit_bias=((30, 5.0), (253, -100.0))),
        {"sequence_bias": [[[30], 5.0], [[253], -100.0]]},
    ),
    "watermark": (
        Sampling(watermark=Watermark(gamma=0.5, delta=2.0)),
        {"watermarking_config": WatermarkingConfig(greenlist_ratio=0.5, bias=2.0, hashing_key=HASH_KEY)},
    ),
    "top_k": (Sampling(do_sample=True, top_k=1, temperature=0.7), {}),
    "top_p": (Sampling(do_sample=True, top_p=1e-6), {}),
    "min_p": (Sampling(do_sample=True, min_p=1.0), {}),
    "all": (
        Sampling(
            repetition_penalty=1.1,
            logit_bias=((30, 5.0),),
            min_new_tokens=NEW,
            end_ids=(END,),
        ),
        {"repetition_penalty": 1.1, "sequence_bias": [[[30], 5.0]], "min_new_tokens": NEW},
    ),
}
"""Parameters that leave no chance, and what `model.generate` calls them."""


def generated(network: Any, prompt: list[int], **parameters: Any) -> list[int]:
    """The greedy answer of `model.generate`."""
    tokens = torch.tensor([prompt])
    answer = network.generate(
        tokens, attention_mask=torch.ones_like(tokens), do_sample=False, max_new_tokens=NEW, **parameters
    )
    found: list[int] = answer[0, len(prompt) :].tolist()
    return found


@pytest.fixture(scope="module")
def expected(network: Any, prompts: list[list[int]]) -> dict[str, list[list[int]]]:
    """The answers of `model.generate` with each parameter, one by one."""
    plain = [generated(network, prompt) for prompt in prompts]
    return {
        name: [generated(network, prompt, **parameters) for prompt in prompts] if parameters else plain
        for name, (_, parameters) in GREEDY.items()
    }


@pytest.fixture(scope="module")
def loaded(network: Any, expected: dict[str, list[list[int]]], tokenizer: Tokenizer) -> Loaded:
    """After `expected`, since it changes the model's attention."""
    vocabulary = Vocabulary.from_tokenizer(tokenizer.transformers, size=49152, eos_ids={END})
    return Loaded(network, vocabulary, tokenizer.special_tokens)


def test_digits_are_tokens_of_their_own(tokenizer: Tokenizer) -> None:
    assert len(tokenizer.encode("1234")) == 4
    assert tokenizer.transformers.convert_ids_to_tokens(tokenizer.encode("a 12")) == ["a", "Ġ", "1", "2"]


def test_the_end_token_ends_a_turn(tokenizer: Tokenizer, network: Any) -> None:
    assert tokenizer.eos_id == network.config.eos_token_id == network.generation_config.eos_token_id == END
    assert tokenizer.special_tokens[END] == "<|im_end|>"


UNSPELLABLE = set(b"\x04\x06\x13\x14\x16\x1d\xf1\xf2")
"""Bytes that the model has no token for: six control characters, and four planes without characters."""


@given(st.text().filter(lambda text: not UNSPELLABLE & set(text.encode())))
def test_every_text_round_trips(tokenizer: Tokenizer, text: str) -> None:
    token_ids = tokenizer.encode(text)
    assert tokenizer.transformers.decode(token_ids, skip_special_tokens=False) == text


def test_tokens_know_their_place_in_the_text(tokenizer: Tokenizer) -> None:
    text = "Hi 🤖, it is 42"
    spans = tokenizer.spans(text, add_special_tokens=True)
    assert [span.token_id for span in spans] == tokenizer.encode(text)
    assert text[spans[0].start : spans[0].stop] == "Hi"
    assert (spans[-1].start, spans[-1].stop) == (len(text) - 1, len(text))


def test_a_conversion_is_reused(checkpoint: Checkpoint) -> None:
    before = Path(checkpoint.source).stat().st_mtime_ns
    again = locate(None, cache_dir=Settings().cache_dir.expanduser())
    assert again == checkpoint
    assert Path(checkpoint.source).stat().st_mtime_ns == before


async def test_the_capital_of_france_is_paris(loaded: Loaded, prompts: list[list[int]]) -> None:
    async with loaded.engine() as engine:
        text, events = await loaded.answer(engine, prompts[0])
    assert "Paris" in text
    assert events[-1].finish_reason is FinishReason.EOS_TOKEN


@pytest.mark.parametrize("kind", GREEDY)
async def test_greedy_answers_in_a_batch_equal_those_of_generate(
    loaded: Loaded, prompts: list[list[int]], expected: dict[str, list[list[int]]], kind: str
) -> None:
    async with loaded.engine() as engine:
        answers = await asyncio.gather(
            *(loaded.answer(engine, prompt, sampling=GREEDY[kind][0]) for prompt in prompts)
        )
    assert [[event.token_id for event in events] for _, events in answers] == expected[kind]


async def test_answers_with_all_kinds_of_parameters_can_be_in_one_batch(
    loaded: Loaded, prompts: list[list[int]], expected: dict[str, list[list[int]]]
) -> None:
    async with loaded.engine() as engine:
        answers = await asyncio.gather(
            *(loaded.answer(engine, prompts[2], sampling=sampling) for sampling, _ in GREEDY.values())
        )
    found = [[event.token_id for event in events] for _, events in answers]
    assert found == [expected[kind][2] for kind in GREEDY]


async def test_a_stop_string_ends_the_answer_wherever_its_tokens_are_cut(
    loaded: Loaded, prompts: list[list[int]]
) -> None:
    async with loaded.engine() as engine:
        whole, _ = await loaded.answer(engine, prompts[2])
        for start in range(5, 20, 4):
            stop = whole[start : start + 4]
            text, events = await loaded.answer(engine, prompts[2], stop=(stop,))
            assert text == whole[: whole.index(stop) + 4]
            assert events[-1].finish_reason is FinishReason.STOP_SEQUENCE


async def test_a_seed_gives_the_same_answer_alone_and_in_a_batch(
    loaded: Loaded, prompts: list[list[int]]
) -> None:
    sampling = Sampling(do_sample=True, temperature=1.2, top_p=0.95, seed=11)
    async with loaded.engine() as engine:
        alone, _ = await loaded.answer(engine, prompts[2], sampling=sampling)
        together = await asyncio.gather(
            loaded.answer(engine, prompts[1]),
            loaded.answer(engine, prompts[2], sampling=sampling),
            loaded.answer(engine, prompts[0], sampling=Sampling(do_sample=True, seed=12)),
        )
    assert together[1][0] == alone
