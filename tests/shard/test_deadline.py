"""No answer is cut off: masks near the end, compared with what tokens do byte by byte, on random grammars."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from grammar_service.compiler import compile_grammar
from grammar_service.limits import Limits
from protos import grammar_pb2
from protos.automaton import Automaton, Configuration
from protos.errors import InvalidRequestError
from protos.ways import Ways
from shard.deadline import Budget
from shard.grammar import Mask
from shard.masks import Constraint, GrammarMasks
from shard.needs import LONGEST_TEXT
from shard.vocabulary import Vocabulary

EOS = 0
PIECES = [
    '"',
    '": "',
    '", "',
    '"}',
    "}}",
    '{"',
    "a",
    "ab",
    "aaaa",
    "b",
    '"a": ',
    "1",
    "12",
    "0.",
    "[[",
    "]]",
    "],",
]
PIECES += ["é", "éa", "漢", "<t>", "</t", "true", "null", " ", ", "]
CUT = [b"\xc3", b"\xe6", b"\xe6\xbc", b"a\xe6", b'"\xc3', b"\xa9", b"\xbc\xa2", b"\xf0\x9f"]

BYTES = [bytes([value]) for value in range(256)]
FEW_BYTES = [b"a", b'"', b"{", b"}", b"\xa9"]


@st.composite
def vocabularies(draw: st.DrawFn) -> Vocabulary:
    """All bytes, or hardly any; and some longer tokens, not all of them whole characters."""
    bytes_ = draw(st.sampled_from(["all", "all", "all", "few"]))
    texts = [text.encode() for text in draw(st.lists(st.sampled_from(PIECES), max_size=8))]
    cut = draw(st.lists(st.sampled_from(CUT) | st.binary(min_size=1, max_size=3), max_size=4))
    return Vocabulary([None, *(BYTES if bytes_ == "all" else FEW_BYTES), *texts, *cut], eos_ids=[EOS])


TREE = {
    "type": "object",
    "properties": {"a": {"type": "array", "items": {"$ref": "#"}}, "b": {"type": ["integer", "null"]}},
    "required": ["a"],
}
SCHEMAS: list[Any] = [
    {"type": "string", "maxLength": 5},
    {"type": "string", "minLength": 3},
    {"type": "integer", "minimum": 5, "maximum": 300},
    {"type": "number"},
    {
        "type": "object",
        "properties": {"a": {"type": "string"}, "ab": {"type": "boolean"}},
        "required": ["ab"],
    },
    {"type": "array", "items": {"enum": ["aaaa", "ab", None, 12]}, "minItems": 2},
    {"anyOf": [{"const": "ab"}, {"type": "array", "items": {"type": "string"}}]},
    TREE,
    True,
]
REGEXES = ["a*b", "(ab|aaaab){2,3}", "[^b]{3}b", "é+(a|漢)?", "[0-9]{4}|12", "(.|\n){0,4}"]
sources = (
    st.sampled_from(SCHEMAS).map(lambda schema: grammar_pb2.Grammar(json_schema=json.dumps(schema)))
    | st.sampled_from(REGEXES).map(lambda regex: grammar_pb2.Grammar(regex=regex))
    | st.lists(st.text("ab1é", min_size=1, max_size=6), min_size=1, max_size=4).map(
        lambda values: grammar_pb2.Grammar(choice=grammar_pb2.Choice(values=values))
    )
)
tagged = st.builds(
    lambda content, at_least_one, stop: grammar_pb2.Grammar(
        tagged=grammar_pb2.Tagged(
            tags=[grammar_pb2.Tag(begin="<t>", content=content, end="</t>")],
            at_least_one=at_least_one,
            stop_after_first=stop,
        )
    ),
    content=sources,
    at_least_one=st.booleans(),
    stop=st.booleans(),
)


@cache
def _compiled(serialised: bytes) -> Any:
    try:
        return compile_grammar(grammar_pb2.Grammar.FromString(serialised), Limits()).automaton
    except InvalidRequestError:
        return None


def compiled(grammar: grammar_pb2.Grammar) -> Any:
    message = _compiled(grammar.SerializeToString(deterministic=True))
    assume(message is not None)
    return message


def allowed(mask: Mask) -> list[int]:
    bits = np.unpackbits(mask.view(np.uint8), bitorder="little")
    return np.flatnonzero(bits).tolist()


def after(automaton: Automaton, configuration: Configuration, text: bytes) -> Configuration | None:
    following: Configuration | None = configuration
    for byte in text:
        following = automaton.step(following, byte) if following else None
    return following


def fewest(tokens: set[bytes], text: bytes) -> float:
    """Tokens that the text takes, tried from its end."""
    counts = [0.0]
    for begin in reversed(range(len(text))):
        lengths = [end for end in range(1, len(text) - begin + 1) if text[begin : begin + end] in tokens]
        counts.insert(0, 1 + min((counts[length - 1] for length in lengths), default=float("inf")))
    return counts[0]


class Answers:
    """One grammar over one vocabulary, by definition."""

    def __init__(self, message: Any, vocabulary: Vocabulary) -> None:
        self.automaton = Automaton.from_message(message)
        self.vocabulary = vocabulary
        self.message = message
        self.masks = GrammarMasks(vocabulary, max_automata=2, max_rows=100)
        self._ways = Ways(self.automaton)
        self._tokens = {text for text in vocabulary.token_bytes if text}

    @property
    def start(self) -> Configuration:
        return Configuration(self.automaton.start)

    def needed(self, configuration: Configuration) -> float:
        text = self._ways.ending(configuration.state, self._ways.frame(configuration.stack))
        return float("inf") if text is None else fewest(self._tokens, text)

    def fewest(self) -> int:
        """Tokens of an answer, the end-of-sequence token not counted; tried in order of their number."""
        reached, tokens = {self.start}, 0
        while not any(map(self.automaton.ends, reached)):
            reached = {end for configuration in reached for _, end in self.following(configuration)}
            tokens += 1
            assume(reached and len(reached) < 20 and tokens < 12)  # else it takes too long
        return tokens

    def following(self, configuration: Configuration) -> Iterator[tuple[int, Configuration]]:
        for token_id, text in enumerate(self.vocabulary.token_bytes):
            end = after(self.automaton, configuration, text) if text else None
            if end:
                yield token_id, end

    def constraint(self, budget: Budget | None) -> Constraint:
        return self.masks.constraint(self.message, "", budget)


@settings(max_examples=150)
@given(grammar=sources | tagged, vocabulary=vocabularies(), data=st.data())
def test_every_answer_ends_valid_within_a_budget_in_which_one_fits(
    grammar: grammar_pb2.Grammar, vocabulary: Vocabulary, data: st.DataObject
) -> None:
    answers = Answers(compiled(grammar), vocabulary)
    needed = min(answers.needed(answers.start), answers.fewest())
    budget = data.draw(st.integers(max(1, int(needed)), 2 * int(needed) + 4), "budget")
    constraint = answers.constraint(Budget(tokens=budget))

    text = b""
    for _ in range(budget):
        token_id = data.draw(st.sampled_from(allowed(constraint.mask())), "token")
        constraint.advance(token_id)
        if constraint.finished:
            break
        text += vocabulary.token_bytes[token_id] or b""

    assert answers.automaton.accepts(text)


@settings(max_examples=100)
@given(grammar=sources | tagged, vocabulary=vocabularies())
def test_a_budget_is_refused_exactly_where_no_answer_fits(
    grammar: grammar_pb2.Grammar, vocabulary: Vocabulary
) -> None:
    answers = Answers(compiled(grammar), vocabulary)
    fewest = answers.fewest() + 1

    answers.constraint(Budget(tokens=fewest, required=True))
    if fewest > 1:
        with pytest.raises(
            InvalidRequestError, match=f"takes {fewest} tokens, the end-of-sequence token incl"
        ):
            answers.constraint(Budget(tokens=fewest - 1, required=True))


@settings(max_examples=100)
@given(grammar=sources | tagged, vocabulary=vocabularies(), data=st.data())
def test_only_tokens_after_which_the_answer_could_not_end_are_refused(
    grammar: grammar_pb2.Grammar, vocabulary: Vocabulary, data: st.DataObject
) -> None:
    answers = Answers(compiled(grammar), vocabulary)
    needed = answers.needed(answers.start)
    assume(needed < float("inf"))
    budget = data.draw(st.integers(int(needed) + 1, int(needed) + 6), "budget")
    constraint = answers.constraint(Budget(tokens=budget))

    configuration = answers.start
    for left in range(budget, 0, -1):
        mask = allowed(constraint.mask())
        ends = dict(answers.following(configuration))
        right = {token_id for token_id, end in ends.items() if answers.needed(end) <= max(0, left - 2)}
        chosen = set(mask) - {EOS}
        assert (EOS in mask) == answers.automaton.ends(configuration)
        assert chosen <= right
        # What is refused in spite of that ends within a character, of which only a bound is known.
        assert all(_is_cut(vocabulary.token_bytes[token_id]) for token_id in right - chosen)
        token_id = data.draw(st.sampled_from(mask), "token")
        if token_id == EOS:
            return
        constraint.advance(token_id)
        configuration = ends[token_id]


def _is_cut(text: bytes | None) -> bool:
    try:
        (text or b"").decode()
    except UnicodeDecodeError:
        return True
    return False


def answers_to(grammar: grammar_pb2.Grammar, *texts: bytes) -> Answers:
    message = compile_grammar(grammar, Limits()).automaton
    return Answers(message, Vocabulary([None, *BYTES, *texts], eos_ids=[EOS]))


def spelled(constraint: Constraint, vocabulary: Vocabulary, choose: Callable[[list[int]], int]) -> bytes:
    """The answer that choosing among the allowed tokens makes."""
    text = b""
    while not constraint.finished:
        token_id = choose(allowed(constraint.mask()))
        constraint.advance(token_id)
        text += vocabulary.token_bytes[token_id] or b""
    return text


def test_free_text_goes_on_to_the_last_token() -> None:
    tag = grammar_pb2.Tag(begin="<t>", content=grammar_pb2.Grammar(regex="a"), end="</t>")
    answers = answers_to(grammar_pb2.Grammar(tagged=grammar_pb2.Tagged(tags=[tag])))
    constraint = answers.constraint(Budget(tokens=3))

    constraint.advance(1 + ord("x"))
    constraint.advance(1 + ord("y"))

    assert {EOS, 1 + ord("z")} <= set(allowed(constraint.mask()))
    assert 1 + ord("<") in allowed(constraint.mask()), "it is text that only begins like a tag"


def test_a_tag_is_not_opened_where_it_could_not_be_closed() -> None:
    tag = grammar_pb2.Tag(begin="<t>", content=grammar_pb2.Grammar(regex="a{4}"), end="</t>")
    answers = answers_to(grammar_pb2.Grammar(tagged=grammar_pb2.Tagged(tags=[tag])), b"<t>")
    whole_tag = 1 + len(BYTES)

    assert whole_tag in allowed(answers.constraint(Budget(tokens=1 + 8 + 1)).mask())
    assert whole_tag not in allowed(answers.constraint(Budget(tokens=1 + 8)).mask())


def test_an_answer_that_fits_without_its_end_token_is_whole() -> None:
    answers = answers_to(grammar_pb2.Grammar(regex="a{2}b*"))
    constraint = answers.constraint(Budget(tokens=2))

    for _ in range(2):
        assert allowed(constraint.mask()) == [1 + ord("a")]
        constraint.advance(1 + ord("a"))


def test_without_a_budget_or_with_one_that_is_too_small_nothing_is_held_back() -> None:
    answers = answers_to(grammar_pb2.Grammar(regex="a{9}b*"))

    for budget in (None, Budget(tokens=3)):
        constraint = answers.constraint(budget)
        for _ in range(9):
            constraint.advance(1 + ord("a"))
        assert 1 + ord("b") in allowed(constraint.mask())


def test_an_answer_ends_in_time_where_one_without_a_budget_has_been_before() -> None:
    answers = answers_to(grammar_pb2.Grammar(regex="a|b{4}"))

    assert 1 + ord("b") in allowed(answers.constraint(None).mask())
    assert 1 + ord("b") not in allowed(answers.constraint(Budget(tokens=4)).mask())
    assert 1 + ord("b") in allowed(answers.constraint(Budget(tokens=5)).mask())


def test_an_answer_in_fewer_tokens_is_found_though_it_has_more_bytes() -> None:
    grammar = grammar_pb2.Grammar(choice=grammar_pb2.Choice(values=["xyz", "a longer one", "another"]))
    answers = answers_to(grammar, b"a longer", b" one", b"anoth")
    early = answers.constraint(Budget(tokens=4))
    assert {1 + ord("x"), 1 + ord("a")} & set(allowed(early.mask())) == {1 + ord("x")}

    tight = answers.constraint(Budget(tokens=3, required=True))

    text = spelled(tight, answers.vocabulary, choose=max)
    assert text == b"a longer one"
    assert spelled(early, answers.vocabulary, choose=min) == b"xyz"


def test_no_answer_opens_more_brackets_than_it_can_close() -> None:
    message = compile_grammar(grammar_pb2.Grammar(json_schema="{}"), Limits(max_depth=4)).automaton
    answers = Answers(message, Vocabulary([None, *BYTES, b"[[["], eos_ids=[EOS]))

    brackets = spelled(
        answers.constraint(Budget(tokens=30)),
        answers.vocabulary,
        choose=lambda tokens: max(tokens, key=lambda token_id: (token_id == 1 + ord("["), token_id != EOS)),
    )

    assert answers.automaton.accepts(brackets)


def test_endings_too_long_to_be_split_take_a_token_for_every_byte() -> None:
    answers = answers_to(grammar_pb2.Grammar(regex=f"a{{{LONGEST_TEXT + 100}}}"), b"aaaa")
    constraint = answers.constraint(Budget(tokens=LONGEST_TEXT + 101, required=True))
    assert allowed(constraint.mask()) == [1 + ord("a"), 1 + len(BYTES)]


def test_what_the_vocabulary_cannot_spell_is_refused_if_it_is_required() -> None:
    message = compile_grammar(grammar_pb2.Grammar(regex="ab"), Limits()).automaton
    answers = Answers(message, Vocabulary([None, b"a"], eos_ids=[EOS]))
    with pytest.raises(InvalidRequestError, match="takes more tokens than there are to spell it with"):
        answers.constraint(Budget(tokens=9, required=True))
    assert allowed(answers.constraint(Budget(tokens=9)).mask()) == [1]


def test_endings_that_lead_nowhere_are_refused() -> None:
    sound = answers_to(grammar_pb2.Grammar(regex="a{3}")).automaton
    endings = replace(sound.endings, first_bytes=np.full_like(sound.endings.first_bytes, ord("b")))
    answers = Answers(replace(sound, endings=endings).to_message(), Vocabulary([None, *BYTES], eos_ids=[EOS]))
    with pytest.raises(InvalidRequestError, match="endings do not lead to an end"):
        answers.constraint(Budget(tokens=3))
