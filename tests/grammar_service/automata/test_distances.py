"""Endings against a search of all configurations."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grammar_service.automata.distances import with_endings
from grammar_service.compiler import compile_grammar
from grammar_service.limits import Limits
from protos import grammar_pb2
from protos.automaton import Automaton, Configuration
from protos.endings import ACCEPTED
from protos.errors import InvalidRequestError
from protos.ways import Ways

ROOMY = 1000
"""A depth that no search here reaches."""


@st.composite
def automata(draw: st.DrawFn) -> Automaton:
    """Any transitions at all, also such as no grammar has. The bytes up to 5 are told apart."""
    states = draw(st.integers(2, 6))
    calls = draw(st.integers(0, 3))
    labels = draw(st.integers(0, 2))
    cell = st.integers(-calls, states + labels - 1) | st.integers(0, states - 1)
    row = st.lists(cell, min_size=5, max_size=5)
    rows = draw(st.lists(row, min_size=states - 1, max_size=states - 1))
    some_states = st.lists(st.integers(0, states - 1), min_size=labels + 3, max_size=labels + 3)
    entries = st.lists(st.integers(1, states - 1), min_size=calls, max_size=calls)
    places = st.lists(st.integers(0, 2), min_size=calls, max_size=calls)
    return with_endings(
        Automaton(
            byte_classes=np.minimum(np.arange(256), 4).astype(np.uint8),
            transitions=np.array([[0] * 5, *rows], dtype=np.int32),
            accepting=np.array(
                [False, *draw(st.lists(st.booleans(), min_size=states - 1, max_size=states - 1))]
            ),
            start=1,
            call_entries=np.array(draw(entries), dtype=np.int32),
            call_rows=np.array(draw(places), dtype=np.int32),
            returns=np.array(draw(some_states), dtype=np.int32),
            max_depth=ROOMY,
        )
    )


def fewest_bytes(automaton: Automaton, configuration: Configuration, *, height: int) -> int | None:
    """The length of the shortest ending over stacks of at most `height` rows, by trying all."""
    lower = replace(automaton, max_depth=height)
    bytes_ = np.unique(automaton.byte_classes, return_index=True)[1].tolist()
    seen, frontier, length = {configuration}, [configuration], 0
    while frontier:
        if any(automaton.ends(each) for each in frontier):
            return length
        reached = {lower.step(each, byte) for each in frontier for byte in bytes_}
        frontier = [each for each in reached if each and each not in seen]
        seen.update(frontier)
        length += 1
    return None


def assert_ends(automaton: Automaton, configuration: Configuration, text: bytes) -> None:
    after: Configuration | None = configuration
    for byte in text:
        assert after is not None
        after = automaton.step(after, byte)
    assert after is not None
    assert automaton.ends(after)


def assert_shortest(automaton: Automaton, configuration: Configuration, *, height: int) -> None:
    ways = Ways(automaton)
    stack = ways.frame(configuration.stack)
    way = ways.shortest(configuration.state, stack)
    tried = fewest_bytes(automaton, configuration, height=height)
    if way is None:
        assert tried is None
        return
    text = ways.ending(configuration.state, stack)
    assert text is not None
    assert len(text) == way.length
    assert_ends(replace(automaton, max_depth=way.depth), configuration, text)
    if way.depth <= height:
        assert tried == way.length
    else:
        assert tried is None or tried > way.length


@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_endings_of_any_automaton_are_the_shortest(data: st.DataObject) -> None:
    automaton = data.draw(automata())
    rows = automaton.call_rows.tolist()
    stack = data.draw(st.lists(st.sampled_from(rows), max_size=3)) if rows else []
    state = data.draw(st.integers(1, automaton.num_states - 1))
    assert_shortest(automaton, Configuration(state, tuple(stack)), height=6)


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_who_has_an_ending_within_the_depth_keeps_one(data: st.DataObject) -> None:
    automaton = replace(data.draw(automata()), max_depth=data.draw(st.integers(0, 4)))
    ways = Ways(automaton)
    text = ways.ending(automaton.start, None)
    if text is not None:
        assert automaton.accepts(text)


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_every_state_has_the_endings_that_it_has_alone(data: st.DataObject) -> None:
    """Each label of a state, on a stack from which only that label leads on."""
    automaton = data.draw(automata())
    labels = max(1, int(automaton.transitions.max()) - automaton.num_states + 1)
    state = data.draw(st.integers(1, automaton.num_states - 1))
    endings = automaton.endings
    mine = slice(*endings.first[state : state + 2])
    lengths = dict(zip(endings.labels[mine].tolist(), endings.lengths[mine].tolist(), strict=True))
    assert len(lengths) == len(endings.labels[mine])
    for label in range(labels):
        # Beside its own rows the stack has one from which that label alone leads to an accepting state.
        returns = np.append(automaton.returns, [0] * labels).astype(np.int32)
        returns[len(automaton.returns) + label] = automaton.num_states
        table = np.where(
            automaton.transitions >= automaton.num_states, automaton.transitions + 1, automaton.transitions
        )
        other = replace(
            automaton,
            transitions=np.append(table, [[0] * 5], axis=0).astype(np.int32),
            accepting=np.append(np.zeros(automaton.num_states, dtype=np.bool_), True),
            returns=returns,
        )
        start = Configuration(state, (len(automaton.returns),))
        tried = fewest_bytes(other, start, height=7)
        assert tried is None or lengths[label + 1] <= tried
        assert label + 1 in lengths or tried is None
    assert (ACCEPTED in lengths) or not automaton.accepting[state]


TREE = {
    "$ref": "#/$defs/tree",
    "$defs": {
        "tree": {
            "properties": {
                "value": {"type": "integer", "minimum": 12},
                "children": {"type": "array", "items": {"$ref": "#/$defs/tree"}, "minItems": 0},
            },
            "required": ["value"],
        }
    },
}
CALLS = {
    "anyOf": [
        {
            "properties": {"name": {"const": "a"}, "x": {"type": "object", "required": ["é"]}},
            "required": ["name", "x"],
        },
        {
            "properties": {"name": {"const": "b"}, "x": {"type": "array", "minItems": 3}},
            "required": ["name", "x"],
        },
        {"properties": {"name": {"const": "c"}, "x": {"pattern": "^.{4}$"}}, "required": ["name", "x"]},
    ]
}
GRAMMARS = [
    {"json_schema": json.dumps(TREE)},
    {"json_schema": json.dumps(CALLS)},
    {"json_schema": json.dumps(CALLS), "strict": False, "whitespace": grammar_pb2.WHITESPACE_FLEXIBLE},
    {"json_schema": json.dumps({"enum": ["日本", "é" * 9, "x" * 7, [1, {"a": None}]]})},
    {"json_schema": "{}", "whitespace": grammar_pb2.WHITESPACE_COMPACT},
    {"regex": "(a|é){3,}[0-9]?z"},
    {"regex": "([aé]{80}|[bé]{70}|[日本]{75})x"},  # more calls of one procedure than are looked at one by one
    {
        "tagged": grammar_pb2.Tagged(
            tags=[
                grammar_pb2.Tag(
                    begin="<é>", content=grammar_pb2.Grammar(json_schema=json.dumps(TREE)), end="!"
                ),
                grammar_pb2.Tag(begin="<éa", content=grammar_pb2.Grammar(regex="[a-z]{8}"), end=">"),
            ],
            at_least_one=True,
        )
    },
    {"choice": grammar_pb2.Choice(values=["étoile", "ébauche d'un serpent", "日", "日本"])},
]


@pytest.fixture(scope="module", params=range(len(GRAMMARS)))
def compiled(request: pytest.FixtureRequest) -> tuple[Automaton, grammar_pb2.Summary]:
    grammar = grammar_pb2.Grammar(**GRAMMARS[request.param])
    outcome = compile_grammar(grammar, Limits(max_states=50_000))
    return Automaton.from_message(outcome.automaton), outcome.summary


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_endings_of_grammars_are_the_shortest(
    compiled: tuple[Automaton, grammar_pb2.Summary], data: st.DataObject
) -> None:
    automaton = compiled[0]
    configuration = Configuration(automaton.start)
    for _ in range(data.draw(st.integers(0, 30))):
        steps = [automaton.step(configuration, byte) for byte in range(256)]
        allowed = sorted({following for following in steps if following is not None})
        if not allowed:
            break
        configuration = data.draw(st.sampled_from(allowed))
    assert_shortest(automaton, configuration, height=len(configuration.stack) + 3)


def test_the_shortest_answer_is_one(compiled: tuple[Automaton, grammar_pb2.Summary]) -> None:
    automaton, summary = compiled
    assert automaton.accepts(summary.shortest_answer.encode())
    assert len(summary.shortest_answer.encode()) == summary.shortest_answer_bytes
    assert summary.shortest_answer_bytes == fewest_bytes(automaton, Configuration(automaton.start), height=4)


@pytest.mark.parametrize(
    ("fields", "answer"),
    [
        ({"regex": "[a-z]{3}|x+"}, "x"),
        ({"json_schema": json.dumps(TREE)}, '{"value": 12}'),
        ({"json_schema": '{"type": "string", "minLength": 3}'}, '"000"'),
        ({"json_schema": '{"const": "é"}'}, '"é"'),
        ({"choice": grammar_pb2.Choice(values=["", "b"])}, ""),
    ],
)
def test_the_shortest_answer_is_what_one_would_say(fields: dict[str, object], answer: str) -> None:
    grammar = grammar_pb2.Grammar(**fields)  # type: ignore[arg-type]
    assert compile_grammar(grammar, Limits()).summary.shortest_answer == answer


def test_a_grammar_whose_shortest_answer_nests_too_deeply_is_refused() -> None:
    nested = {"type": "array", "minItems": 1, "items": {"type": "array"}}
    grammar = grammar_pb2.Grammar(json_schema=json.dumps(nested))
    assert compile_grammar(grammar, Limits(max_depth=2)).summary.shortest_answer == "[[]]"
    with pytest.raises(InvalidRequestError, match="more than 1 calls at once"):
        compile_grammar(grammar, Limits(max_depth=1))
