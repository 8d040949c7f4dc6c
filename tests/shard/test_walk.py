"""The allowed tokens, compared with reading every token byte by byte."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from grammar_service.automata.distances import with_endings
from protos.automaton import Automaton, Configuration
from shard.checkpoint import bundled_model
from shard.trie import Trie
from shard.vocabulary import Vocabulary
from shard.walk import FEW_NODES, Walk

PIECES = [
    b"a",
    b"b",
    b'"',
    b"[",
    b"]",
    b",",
    b"t",
    "é".encode(),
    "中".encode(),
    "🙂".encode(),
    b"\xe4",
    b"\xb8\xad",
]
SMALL = [
    *(b"".join(pieces) for length in (1, 2, 3) for pieces in product(PIECES, repeat=length)),
    *(b"a" * length for length in range(4, 130, 3)),
    b'"]]]',
    b'"],["',
    b'a"],"b',
    b"[[[[[[[",
]


def by_reading(
    automaton: Automaton, configuration: Configuration, tokens: Iterable[bytes | None]
) -> set[int]:
    """The definition: a token is allowed if the automaton reads all of its bytes."""
    allowed = set()
    for token_id, text in enumerate(tokens):
        following: Configuration | None = configuration
        for byte in text or b"":
            following = automaton.step(following, byte) if following else None
        if text and following:
            allowed.add(token_id)
    return allowed


def by_walking(walk: Walk, trie: Trie, configuration: Configuration) -> list[int]:
    begins, ends = walk.allowed(configuration)
    assert (begins < ends).all()
    return [int(i) for begin, end in zip(begins, ends, strict=True) for i in trie.token_ids[begin:end]]


def assert_walk_is_exact(
    automaton: Automaton, configurations: Iterable[Configuration], trie: Trie, tokens: Sequence[bytes | None]
) -> None:
    walk = Walk(trie, automaton)
    for configuration in configurations:
        walked = by_walking(walk, trie, configuration)
        assert len(walked) == len(set(walked))
        assert set(walked) == by_reading(automaton, configuration, tokens)


class Sketch:
    """An automaton in the making: transitions are written down before the number of states is known."""

    def __init__(self) -> None:
        self.rows: list[dict[int, tuple[str, int]]] = [{}]
        self.entries: list[int] = []
        self.call_rows: list[int] = []
        self.returns: list[int] = []

    def state(self) -> int:
        self.rows.append({})
        return len(self.rows) - 1

    def go(self, state: int, bytes_: Iterable[int], target: int) -> None:
        self.rows[state].update(dict.fromkeys(bytes_, ("go", target)))

    def give_back(self, state: int, bytes_: Iterable[int], label: int = 0) -> None:
        self.rows[state].update(dict.fromkeys(bytes_, ("return", label)))

    def call(self, state: int, bytes_: Iterable[int], entry: int, *continuations: int) -> None:
        """Go to `entry`, and come back to `continuations[label]`."""
        self.rows[state].update({byte: ("call", len(self.entries)) for byte in bytes_})
        self.entries.append(entry)
        self.call_rows.append(len(self.returns))
        self.returns.extend((*continuations, *[0] * (2 - len(continuations))))

    def automaton(self, *, start: int, accepting: int, max_depth: int) -> Automaton:
        states = len(self.rows)
        table = np.zeros((states, 256), dtype=np.int32)
        for state, row in enumerate(self.rows):
            for byte, (kind, value) in row.items():
                table[state, byte] = {"go": value, "return": states + value, "call": -value - 1}[kind]
        columns, classes = np.unique(table, axis=1, return_inverse=True)
        return Automaton.from_message(
            with_endings(
                Automaton(
                    byte_classes=classes.astype(np.uint8),
                    transitions=columns,
                    accepting=np.arange(states) == accepting,
                    start=start,
                    call_entries=np.array(self.entries, dtype=np.int32),
                    call_rows=np.array(self.call_rows, dtype=np.int32),
                    returns=np.array(self.returns, dtype=np.int32),
                    max_depth=max_depth,
                )
            ).to_message()
        )


class Json(Sketch):
    """Nested arrays of strings and `t`; containers, strings, escapes, characters of several bytes are calls.

    An empty array returns with label 1, and may not be followed by another element.
    """

    def __init__(self, *, characters: int | None = None) -> None:
        super().__init__()
        self.one, self.two, self.three = self.state(), self.state(), self.state()
        self.escape = self.state()
        self.give_back(self.one, range(0x80, 0xC0))
        self.go(self.two, range(0x80, 0xC0), self.one)
        self.go(self.three, range(0x80, 0xC0), self.two)
        self.after_e0, self.after_ed, self.after_f0, self.after_f4 = (self.state() for _ in range(4))
        self.go(self.after_e0, range(0xA0, 0xC0), self.one)
        self.go(self.after_ed, range(0x80, 0xA0), self.one)
        self.go(self.after_f0, range(0x90, 0xC0), self.two)
        self.go(self.after_f4, range(0x80, 0x90), self.two)
        self.give_back(self.escape, b'"\\/bfnrt')
        self.string = self.string_of(characters)
        self.first, self.element, self.between, self.closing = (self.state() for _ in range(4))
        self.value(self.first)
        self.give_back(self.first, b"]", 1)
        self.value(self.element)
        self.go(self.between, b",", self.element)
        self.give_back(self.between, b"]")
        self.give_back(self.closing, b"]")

    def string_of(self, characters: int | None) -> int:
        """What follows a quotation mark: any number of characters, or at most so many."""
        states = [self.state() for _ in range(1 if characters is None else characters + 1)]
        for state, following in zip(states, states if characters is None else states[1:], strict=False):
            self.character(state, following)
        for state in states:
            self.give_back(state, b'"')
        return states[0]

    def character(self, state: int, following: int) -> None:
        self.go(state, set(range(0x20, 0x7F)) - set(b'"\\'), following)
        self.call(state, range(0xC2, 0xE0), self.one, following)
        self.call(state, {*range(0xE1, 0xED), 0xEE, 0xEF}, self.two, following)
        self.call(state, range(0xF1, 0xF4), self.three, following)
        for first, entry in zip(b"\xe0\xed\xf0\xf4\\", self.narrow, strict=True):
            self.call(state, [first], entry, following)

    @property
    def narrow(self) -> list[int]:
        return [self.after_e0, self.after_ed, self.after_f0, self.after_f4, self.escape]

    def value(self, state: int) -> None:
        self.go(state, b"t", self.between)
        self.call(state, b'"', self.string, self.between)
        self.call(state, b"[", self.first, self.between, self.closing)

    def finish(self, *, max_depth: int) -> Automaton:
        start, end = self.state(), self.state()
        self.call(start, b"[", self.first, end, end)
        return self.automaton(start=start, accepting=end, max_depth=max_depth)


def after(automaton: Automaton, text: bytes) -> Configuration:
    configuration = Configuration(automaton.start)
    for byte in text:
        following = automaton.step(configuration, byte)
        assert following
        configuration = following
    return configuration


@pytest.fixture(scope="module")
def small() -> Trie:
    trie = Trie.from_tokens(SMALL)
    assert trie.size[0] > FEW_NODES
    return trie


@pytest.fixture(scope="module")
def smollm2() -> Vocabulary:
    path = bundled_model()
    tokenizer = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
    return Vocabulary.from_tokenizer(tokenizer, size=49152, eos_ids=[2])


@pytest.mark.parametrize("characters", [None, 0, 1, 2, 5, 30, 120])
@pytest.mark.parametrize("max_depth", [2, 3, 4, 16])
def test_masks_in_nested_json_equal_reading_every_token(
    small: Trie, characters: int | None, max_depth: int
) -> None:
    automaton = Json(characters=characters).finish(max_depth=max_depth)
    texts = [b"", b"[", b'["', b"[t", b"[t,"]
    texts += [b'["a', b'["\xc3', b'["\\'] if characters != 0 and max_depth > 2 else []
    texts += [b"[[", b'[["', b"[[t", b"[[]"] if max_depth > 2 else []
    texts += [b'[[["', b'[t,[t,["aaaa'] if max_depth > 3 and characters is None else []

    assert_walk_is_exact(automaton, [after(automaton, text) for text in texts], small, SMALL)


def test_a_token_may_close_as_many_containers_as_are_open_and_no_more(small: Trie) -> None:
    automaton = Json().finish(max_depth=9)
    walk = Walk(small, automaton)

    for opened, allowed in ((b'[[["', True), (b'[["', False), (b'[[[["', True)):
        walked = by_walking(walk, small, after(automaton, opened))
        assert (SMALL.index(b'"]]]') in walked) is allowed


def test_no_token_opens_more_containers_than_the_depth_allows(small: Trie) -> None:
    automaton = Json().finish(max_depth=7)
    walk = Walk(small, automaton)

    assert SMALL.index(b"[[[[[[[") in by_walking(walk, small, after(automaton, b""))
    assert SMALL.index(b"[[[[[[[") not in by_walking(walk, small, after(automaton, b"["))


def test_a_string_at_the_depth_limit_has_no_characters_that_are_calls(small: Trie) -> None:
    automaton = Json().finish(max_depth=2)

    walked = by_walking(Walk(small, automaton), small, after(automaton, b'["'))

    assert SMALL.index(b"ab") in walked
    assert SMALL.index("é".encode()) not in walked


def test_a_call_back_into_the_same_state_counts_towards_the_depth(small: Trie) -> None:
    """In brackets the same characters are read, but at the depth limit none of several bytes."""
    sketch = Json()
    text = sketch.state()
    sketch.character(text, text)
    sketch.call(text, b"[", text, text)
    sketch.give_back(text, b"]")
    automaton = sketch.automaton(start=text, accepting=text, max_depth=2)

    assert_walk_is_exact(automaton, [after(automaton, opened) for opened in (b"", b"[", b"[[")], small, SMALL)


@pytest.mark.parametrize("characters", [None, 3, 100])
def test_masks_over_the_real_vocabulary_equal_reading_every_token(
    smollm2: Vocabulary, characters: int | None
) -> None:
    automaton = Json(characters=characters).finish(max_depth=8)
    texts = [b"", b"[", b'["', b'["a', b'["\xe4', b'[[t,"', b"[[[["]

    assert_walk_is_exact(
        automaton, [after(automaton, text) for text in texts], smollm2.trie, smollm2.token_bytes
    )


@st.composite
def automata(draw: st.DrawFn) -> Automaton:
    """Any transitions at all; the bytes of the small vocabulary fall into a few classes."""
    states = draw(st.integers(2, 6))
    calls = draw(st.integers(0, 3))
    labels = draw(st.integers(0, 2))
    classes = draw(st.integers(1, 6))
    cell = st.integers(-calls, states + labels - 1) | st.integers(0, states - 1)
    row = st.lists(cell, min_size=classes, max_size=classes)
    rows = draw(st.lists(row, min_size=states - 1, max_size=states - 1))
    byte_classes = np.zeros(256, dtype=np.uint8)
    for byte in sorted({byte for piece in PIECES for byte in piece}):
        byte_classes[byte] = draw(st.integers(0, classes - 1))
    returns = draw(st.lists(st.integers(0, states - 1), min_size=labels + 3, max_size=labels + 3))
    return Automaton.from_message(
        with_endings(
            Automaton(
                byte_classes=byte_classes,
                transitions=np.array([[0] * classes, *rows], dtype=np.int32),
                accepting=np.zeros(states, dtype=np.bool_),
                start=1,
                call_entries=np.array(draw(entries(calls, states)), dtype=np.int32),
                call_rows=np.array(
                    draw(st.lists(st.integers(0, 2), min_size=calls, max_size=calls)), dtype=np.int32
                ),
                returns=np.array(returns, dtype=np.int32),
                max_depth=draw(st.integers(0, 4)),
            )
        ).to_message()
    )


def entries(calls: int, states: int) -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(1, states - 1), min_size=calls, max_size=calls)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_masks_of_any_automaton_equal_reading_every_token(small: Trie, data: st.DataObject) -> None:
    automaton = data.draw(automata())
    rows = automaton.call_rows.tolist()
    depth = data.draw(st.integers(0, automaton.max_depth)) if rows else 0
    stack = tuple(data.draw(st.lists(st.sampled_from(rows or [0]), min_size=depth, max_size=depth)))
    state = data.draw(st.integers(1, automaton.num_states - 1))

    assert_walk_is_exact(automaton, [Configuration(state, stack)], small, SMALL)


@settings(max_examples=60, deadline=None)
@given(
    looping=st.sets(st.sampled_from(sorted({byte for piece in PIECES for byte in piece}))),
    lengths=st.lists(st.integers(1, 5), min_size=1, max_size=3),
)
def test_masks_of_counted_characters_equal_reading_every_token(
    small: Trie, looping: set[int], lengths: list[int]
) -> None:
    """Strings whose characters are all alike but for some, counted off state by state."""
    sketch = Json()
    states = [sketch.state() for _ in range(sum(lengths) + 1)]
    for i, (state, following) in enumerate(pairwise(states)):
        sketch.character(state, following)
        if i in lengths:
            sketch.go(state, looping, state)
    sketch.go(states[-1], looping, states[-1])
    automaton = sketch.automaton(start=states[0], accepting=states[-1], max_depth=1)

    assert_walk_is_exact(automaton, [Configuration(states[0]), Configuration(states[-1])], small, SMALL)


def test_a_vocabulary_of_few_nodes_is_read_one_by_one() -> None:
    tokens = [b"[", b'["', b'"', b"]", b'"]', b"t"]
    trie = Trie.from_tokens(tokens)
    automaton = Json().finish(max_depth=4)
    assert trie.size[0] <= FEW_NODES

    assert_walk_is_exact(automaton, [after(automaton, text) for text in (b"", b"[", b'["')], trie, tokens)


def test_returns_without_any_call_are_dead() -> None:
    """A hostile automaton: its labels are far out of the range of its (absent) table of returns."""
    table = np.zeros((2, 2), dtype=np.int32)
    table[1] = [2_000_000_000, 1]
    automaton = Automaton(
        byte_classes=(np.arange(256) == ord("a")).astype(np.uint8),
        transitions=table,
        accepting=np.array([False, True]),
        start=1,
        call_entries=np.zeros(0, dtype=np.int32),
        call_rows=np.zeros(0, dtype=np.int32),
        returns=np.zeros(0, dtype=np.int32),
        max_depth=4,
    )
    trie = Trie.from_tokens(SMALL)

    walked = by_walking(Walk(trie, automaton), trie, Configuration(1))

    assert {SMALL[token_id] for token_id in walked} == {text for text in SMALL if set(text) == {ord("a")}}
