"""Drafts: split as the tokenizer splits, kept as far as the model agrees, and no answer is other for them."""

from __future__ import annotations

import asyncio
import json
from array import array
from collections.abc import Callable, Iterable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM, LlamaConfig

from grammar_service.compiler import compile_grammar
from grammar_service.limits import Limits
from protos import automaton_pb2, generation_pb2, grammar_pb2
from shard.answer import Answer, Sampled
from shard.blocks import Blocks
from shard.counters import Counters
from shard.deadline import Budget
from shard.detokenizer import Detokenizer
from shard.drafts import MOST_TOKENS, Drafter, verified
from shard.engine import Engine
from shard.kv_cache import KVCache
from shard.masks import GrammarMasks
from shard.model import PagedModel, probe
from shard.scheduler import Scheduler
from shard.sequence import Sampling, Sequence, Slice, Watermark
from shard.stopping import StopStrings
from shard.vocabulary import Vocabulary

EOS = 0
MERGES = ['"name', '": ', ', "', '"}', '{"', "tr", "ue", "true", "ab", "[]", "], ", "12", ", ", "nam", "e"]
TEXTS = [None, *(chr(code) for code in range(32, 127)), *MERGES, "é", "\n"]
BYTES = [text.encode() if text else None for text in TEXTS]
SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"enum": ["ab", "true é", "nam", ""]},
        "tree": {"type": "array", "items": {"$ref": "#"}},
    },
    "required": ["name"],
}
GRAMMARS = [
    grammar_pb2.Grammar(json_schema=json.dumps(SCHEMA)),
    grammar_pb2.Grammar(regex='(\\{"name": true, "ab": \\[12, (12|true)\\]\\} ){1,3}'),
    grammar_pb2.Grammar(choice=grammar_pb2.Choice(values=['{"name": "ab"}', '{"name": "abab, "}'])),
]


def encode(text: str) -> list[int]:
    """The longest token first, wherever that leads."""
    token_ids: list[int] = []
    while text:
        token = max((each for each in TEXTS if each and text.startswith(each)), key=len)
        token_ids.append(TEXTS.index(token))
        text = text[len(token) :]
    return token_ids


class Forcing:
    """Forces one text, and knows nothing of masks."""

    def __init__(self, text: str) -> None:
        self._text = text.encode()

    @property
    def known(self) -> bool:
        raise NotImplementedError

    def masks(self, drafts: Iterable[int] = ()) -> list[Any]:
        raise NotImplementedError

    def advance(self, token_id: int) -> None:
        raise NotImplementedError

    def forced(self) -> bytes:
        return self._text


def proposed(text: str, *, after: str = "x", new: int = 99) -> list[str | None]:
    token_ids = [TEXTS.index(character) for character in after]
    sequence = Sequence(token_ids, max_new_tokens=new, constraint=Forcing(text))
    return [TEXTS[token_id] for token_id in Drafter(encode, BYTES).propose(sequence)]


def test_forced_text_is_split_as_the_tokenizer_splits_it() -> None:
    assert proposed('{"name": true') == ['{"', "nam", "e", '": ', "true"]


def test_it_is_split_behind_what_is_there_already() -> None:
    assert proposed('name": ', after='"') == ["nam", "e", '": '], "the quotation mark is a token of its own"
    assert proposed(", ", after="]") == [", "], "what joins both is passed over"


def test_there_are_no_more_drafts_than_the_answer_has_tokens_left_but_one() -> None:
    assert proposed("abab", new=2) == ["ab"]
    assert proposed("abab", new=1) == []
    assert len(proposed("x" * 100)) == MOST_TOKENS


def test_characters_that_are_not_whole_are_left_out() -> None:
    class Cut(Forcing):
        def forced(self) -> bytes:
            return b"ab\xc3"

    sequence = Sequence([1], max_new_tokens=9, constraint=Cut(""))
    assert list(Drafter(encode, BYTES).propose(sequence)) == [TEXTS.index("ab")]


def test_what_is_not_constrained_has_no_drafts() -> None:
    assert list(Drafter(encode, BYTES).propose(Sequence([1], max_new_tokens=9))) == []


@pytest.mark.parametrize(
    ("chosen", "kept"),
    [([5, 6, 7], [5, 6, 7]), ([5, 6, 9], [5, 6, 9]), ([5, 9, 7], [5, 9]), ([9, 6, 7], [9])],
)
def test_choices_are_kept_up_to_the_first_that_was_not_drafted(chosen: list[int], kept: list[int]) -> None:
    sequence = Sequence([1, 2], max_new_tokens=9)
    each = Slice(sequence, 4, (sequence.ahead(5), sequence.ahead(5).ahead(6)))
    (found,) = verified([each], [Sampled(token_id, -1.0) for token_id in chosen]).values()
    assert [token.token_id for token in found] == kept


async def test_forced_text_takes_a_few_steps_only(serving: Any) -> None:
    text = "a forced answer of 32 characters"
    async with serving(drafts=True) as shard:
        assert await shard.text("xy", max_new_tokens=99, automaton=AUTOMATON, automaton_id=text) == text
        assert shard.model.steps == 2
        told = await shard.stub.Statistics(generation_pb2.StatisticsRequest())
        assert (told.steps, told.drafted_tokens, told.accepted_tokens) == (2, 31, 31)
        await shard.all_free()


AUTOMATON = automaton_pb2.Automaton(format_version=1)


class Guessing:
    """Drafts whatever it is told, right or wrong."""

    def __init__(self, guess: Callable[[Sequence], list[int]]) -> None:
        self._guess = guess

    def propose(self, sequence: Sequence) -> list[int]:
        return self._guess(sequence)[: sequence.max_new_tokens - sequence.generated - 1]


@pytest.fixture(scope="module")
def network() -> Any:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(TEXTS),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        max_position_embeddings=512,
        initializer_range=0.4,  # wide, so that no two logits are near each other
    )
    return AutoModelForCausalLM.from_config(config).eval()


@pytest.fixture(scope="module")
def automata() -> list[automaton_pb2.Automaton]:
    return [compile_grammar(grammar, Limits()).automaton for grammar in GRAMMARS]


class Run:
    """A few prompts, some with a grammar, answered together."""

    def __init__(
        self, network: Any, automata: list[automaton_pb2.Automaton], *, blocks: int, budget: int
    ) -> None:
        cache = KVCache(probe(network), blocks=blocks + 1, block_size=4, device=torch.device("cpu"))
        self._model = PagedModel(network, cache)
        self._masks = GrammarMasks(Vocabulary(BYTES, eos_ids=[EOS]), max_automata=8, max_rows=1000)
        self._automata = automata
        self._blocks, self._budget = blocks, budget
        self.counters = Counters()

    async def answers(self, sampling: Sampling, drafter: Any, *, new: int) -> list[list[int]]:
        scheduler = Scheduler(
            Blocks(count=self._blocks + 1, size=4), max_running=8, max_waiting=8, token_budget=self._budget
        )
        engine = Engine(self._model, scheduler, drafter=drafter, counters=self.counters)
        loop = asyncio.create_task(engine.run())
        sequences = [self._sequence(number, sampling, new) for number in range(5)]
        await asyncio.gather(*(self._finish(engine, each) for each in sequences))
        loop.cancel()
        await asyncio.wait([loop])
        assert scheduler.blocks.available == self._blocks
        return [sequence.tokens[sequence.input_length :].tolist() for sequence in sequences]

    def _sequence(self, number: int, sampling: Sampling, new: int) -> Sequence:
        constraint = None
        if number < 4:
            automaton = self._automata[number % len(self._automata)]
            constraint = self._masks.constraint(automaton, "", Budget(tokens=new))
        prompt = range(3 + number, 3 + 5 * number + 7)
        return Sequence(prompt, max_new_tokens=new, sampling=sampling, constraint=constraint)

    async def _finish(self, engine: Engine, sequence: Sequence) -> None:
        answer = Answer(
            max_new_tokens=sequence.max_new_tokens,
            detokenizer=Detokenizer(BYTES),
            stop_strings=StopStrings([]),
            eos_ids=[EOS],
            special_tokens={EOS: "<end>"},
        )
        async with engine.generation(sequence, answer) as events:
            async for _ in events:
                pass


SAMPLINGS = [
    Sampling(),
    Sampling(repetition_penalty=1.3),
    Sampling(do_sample=True, temperature=1.5, seed=7),
    Sampling(do_sample=True, top_k=5, top_p=0.9, repetition_penalty=0.8, seed=3),
    Sampling(frequency_penalty=0.7, presence_penalty=0.4, min_new_tokens=9, end_ids=(EOS,)),
    Sampling(do_sample=True, watermark=Watermark(gamma=0.5, delta=2), typical_p=0.9, top_n=2, seed=5),
]


@pytest.mark.parametrize("sampling", SAMPLINGS)
@pytest.mark.parametrize(("blocks", "budget"), [(200, 64), (40, 9)])
async def test_answers_are_the_same_with_drafts_and_without(
    network: Any, automata: list[automaton_pb2.Automaton], sampling: Sampling, blocks: int, budget: int
) -> None:
    run = Run(network, automata, blocks=blocks, budget=budget)
    without = await run.answers(sampling, None, new=50)
    assert run.counters.drafted_tokens == 0
    assert await run.answers(sampling, Drafter(encode, BYTES), new=50) == without
    assert 0 < run.counters.accepted_tokens < run.counters.drafted_tokens


@settings(max_examples=25)
@given(
    guesses=st.lists(st.lists(st.integers(0, len(TEXTS) - 1), max_size=6), min_size=1, max_size=9),
    sampling=st.sampled_from(SAMPLINGS),
    right=st.integers(0, 8),
    budget=st.sampled_from([7, 40]),
)
def test_no_answer_is_other_for_any_draft(
    network: Any,
    automata: list[automaton_pb2.Automaton],
    guesses: list[list[int]],
    sampling: Sampling,
    right: int,
    budget: int,
) -> None:
    async def compare() -> None:
        run = Run(network, automata, blocks=60, budget=budget)
        without = await run.answers(sampling, None, new=20)
        answers = {tuple(range(3 + number, 3 + 5 * number + 7)): each for number, each in enumerate(without)}

        def guess(sequence: Sequence) -> list[int]:
            """Some right tokens, then some others."""
            answer = answers[tuple(sequence.tokens[: sequence.input_length])]
            done = sequence.generated
            return answer[done : done + right] + guesses[done % len(guesses)]

        assert await run.answers(sampling, Guessing(guess), new=20) == without

    asyncio.run(compare())


def test_drafts_are_read_only_where_others_leave_room() -> None:
    blocks = Blocks(count=9, size=4)
    scheduler = Scheduler(blocks, max_running=8, max_waiting=8, token_budget=10)
    first, second = Sequence([1], max_new_tokens=20), Sequence([2] * 6, max_new_tokens=9)
    first.drafts = array("i", range(8))
    scheduler.add(first)
    scheduler.add(second)

    slices = scheduler.plan()

    assert [(each.sequence, each.count, len(each.drafts)) for each in slices] == [
        (first, 4, 3),
        (second, 6, 0),
    ]


def test_tokens_ahead_are_counted_apart() -> None:
    sequence = Sequence([1, 2], max_new_tokens=9, sampling=Sampling(frequency_penalty=1.0))
    ahead = sequence.ahead(2).ahead(2)
    assert sequence.tokens.tolist() == [1, 2]
    assert ahead.tokens.tolist() == [1, 2, 2, 2]
    assert sequence.counts
    assert sequence.counts.counts.tolist() == [0, 0]
    assert ahead.counts
    assert ahead.counts.counts.tolist() == [0, 2]


def test_drafts_preempt_nobody() -> None:
    scheduler = Scheduler(Blocks(count=3, size=4), max_running=8, max_waiting=8, token_budget=99)
    first, second = Sequence([1] * 4, max_new_tokens=5), Sequence([2] * 4, max_new_tokens=5)
    first.drafts = array("i", range(4))
    scheduler.add(first)
    scheduler.add(second)

    slices = scheduler.plan()

    assert [(each.sequence, each.count) for each in slices] == [(first, 4), (second, 4)]
