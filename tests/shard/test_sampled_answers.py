"""Answers with every parameter are the same alone, in a batch and preempted; prompts are scored right."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from transformers import AutoModelForCausalLM, LlamaConfig

from shard.answer import Sampled
from shard.blocks import Blocks
from shard.kv_cache import KVCache
from shard.model import PagedModel, probe
from shard.scheduler import Scheduler
from shard.sequence import Sampling, Sequence, Watermark

VOCABULARY = 128
NEW = 24
PROMPTS = [[5, 6, 7], list(range(20, 61)), [9], list(range(20, 57)), list(range(100, 117))]
KINDS: dict[str, Any] = {
    "plain": {},
    "temperature": {"temperature": 1.5},
    "top_k": {"top_k": 20},
    "top_p": {"top_p": 0.9},
    "min_p": {"min_p": 0.01},
    "typical_p": {"typical_p": 0.8},
    "repetition_penalty": {"repetition_penalty": 1.4},
    "frequency_penalty": {"frequency_penalty": 1.0},
    "presence_penalty": {"presence_penalty": 1.5},
    "logit_bias": {"logit_bias": ((3, 4.0), (30, -100.0))},
    "watermark": {"watermark": Watermark(gamma=0.3, delta=3.0)},
    "min_new_tokens": {"min_new_tokens": 20, "end_ids": (3, 4)},
}


@pytest.fixture(scope="module")
def network() -> Any:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        initializer_range=0.4,
        eos_token_id=None,
    )
    return AutoModelForCausalLM.from_config(config).eval()


@pytest.fixture(scope="module")
def plain_logprobs(network: Any) -> list[list[float]]:
    """Of each prompt's tokens from the second one on, by plain forward passes before the model is changed."""
    found = []
    for prompt in PROMPTS:
        with torch.inference_mode():
            logprobs = network(input_ids=torch.tensor([prompt]), use_cache=False).logits[0].log_softmax(-1)
        found.append([float(logprobs[index, token]) for index, token in enumerate(prompt[1:])])
    return found


class EvenTokens:
    """A grammar of even tokens."""

    known = True

    def masks(self, drafts: Iterable[int] = ()) -> list[NDArray[np.int32]]:
        return [np.full(VOCABULARY // 32, 0x55555555, dtype=np.int32)]

    def forced(self) -> bytes:
        return b""

    def advance(self, token_id: int) -> None:
        assert token_id % 2 == 0


class Run:
    """Runs sequences together to their ends, over a cache of some blocks of four tokens."""

    def __init__(self, network: Any, *, blocks: int = 128, budget: int = 64) -> None:
        cache = KVCache(probe(network), blocks=blocks + 1, block_size=4, device=torch.device("cpu"))
        self.model = PagedModel(network, cache)
        self.scheduler = Scheduler(
            Blocks(count=blocks + 1, size=4), max_running=8, max_waiting=8, token_budget=budget
        )
        self.preempted = False

    def finish(self, sequences: list[Sequence]) -> dict[Sequence, list[Sampled]]:
        answers: dict[Sequence, list[Sampled]] = {each: [] for each in sequences}
        for each in sequences:
            self.scheduler.add(each)
        while slices := self.scheduler.plan():
            self.preempted |= any(answers[each] and not each.blocks for each in sequences if self.runs(each))
            masks = {each: each.constraint.masks()[0] for each in sequences if each.constraint}
            sampled = self.model.step(slices, partial(dict, masks))
            self.scheduler.settle(slices)
            for sequence, (chosen,) in sampled.items():
                answers[sequence].append(chosen)
                sequence.append(chosen.token_id)
                if sequence.constraint:
                    sequence.constraint.advance(chosen.token_id)
                if not self.runs(sequence):
                    self.scheduler.remove(sequence)
        return answers

    def runs(self, sequence: Sequence) -> bool:
        return sequence.generated < NEW


def sequences(kind: str, *, do_sample: bool, bound: bool) -> list[Sequence]:
    return [
        Sequence(
            prompt,
            max_new_tokens=NEW,
            sampling=Sampling(do_sample=do_sample, seed=place, top_n=3, **KINDS[kind]),
            constraint=EvenTokens() if bound else None,
        )
        for place, prompt in enumerate(PROMPTS)
    ]


def token_ids(answers: dict[Sequence, list[Sampled]]) -> list[list[int]]:
    return [[each.token_id for each in answer] for answer in answers.values()]


@pytest.mark.parametrize("bound", [False, True], ids=["free", "grammar"])
@pytest.mark.parametrize("do_sample", [False, True], ids=["greedy", "sampled"])
@pytest.mark.parametrize("kind", KINDS)
def test_an_answer_is_the_same_alone_together_and_preempted(
    network: Any, kind: str, do_sample: bool, bound: bool
) -> None:
    def asked() -> list[Sequence]:
        return sequences(kind, do_sample=do_sample, bound=bound)

    alone = [token_ids(Run(network).finish([each]))[0] for each in asked()]
    assert token_ids(Run(network).finish(asked())) == alone
    tight = Run(network, blocks=34)
    assert token_ids(tight.finish(asked())) == alone
    assert tight.preempted


def test_every_kind_together_gives_what_each_gives_alone(network: Any) -> None:
    kinds = list(KINDS)[1:8]
    batch = [sequences(kind, do_sample=True, bound=index % 2 == 0)[0] for index, kind in enumerate(kinds)]
    together = token_ids(Run(network).finish(batch))
    for index, kind in enumerate(kinds):
        (alone,) = token_ids(Run(network).finish([sequences(kind, do_sample=True, bound=index % 2 == 0)[0]]))
        assert together[index] == alone


@pytest.mark.parametrize(("blocks", "budget"), [(128, 256), (128, 7), (34, 16)])
def test_a_prompt_is_scored_as_by_a_plain_forward_pass(
    plain_logprobs: list[list[float]], network: Any, blocks: int, budget: int
) -> None:
    run = Run(network, blocks=blocks, budget=budget)
    for _ in range(2):  # the second time, the prompts could be found in the cache
        asked = [Sequence(prompt, max_new_tokens=NEW, prompt_logprobs=True) for prompt in PROMPTS]
        answers = token_ids(run.finish(asked))
        for each, expected in zip(asked, plain_logprobs, strict=True):
            assert each.prompt_logprobs is not None
            assert each.prompt_logprobs.values.tolist() == pytest.approx(expected, abs=1e-3)
    assert answers == token_ids(Run(network).finish([Sequence(each, max_new_tokens=NEW) for each in PROMPTS]))
    assert run.preempted == (blocks == 34)
