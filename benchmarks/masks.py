"""`python -m benchmarks.masks [MODEL]`: how long a token mask takes, at the first visit and afterwards.

Valid answers are read token by token through the masks of grammars of several kinds. A first visit walks the
vocabulary; whenever a configuration is met again, its mask is looked up. MODEL is what SHARD_MODEL may be;
only its tokenizer is loaded.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter_ns
from typing import Any, NamedTuple

import numpy as np

from grammar_service.compiler import compile_grammar
from grammar_service.limits import Limits
from protos import grammar_pb2
from protos.automaton_pb2 import Automaton
from shard.checkpoint import locate
from shard.masks import Constraint, GrammarMasks
from shard.settings import Settings
from shard.tokenizer import Tokenizer
from shard.vocabulary import Vocabulary

PROSE = (
    'She said: "The café in Zürich opens at 9, doesn\'t it?" — 12.50 €; then 東京 and 🙂,\n'
    "and a long line of ordinary words that nobody would ever want to read twice. "
)


class Case(NamedTuple):
    """A grammar and an answer that matches it."""

    name: str
    grammar: grammar_pb2.Grammar
    answer: str


class Timing(NamedTuple):
    """Nanoseconds of each mask, by whether it was computed or found; and of each step to the next token."""

    first: list[int]
    again: list[int]
    advance: list[int]


def cases() -> Iterator[Case]:
    """One of each kind."""
    for name, schema, value in json_cases():
        yield Case(
            name, grammar_pb2.Grammar(json_schema=json.dumps(schema)), json.dumps(value, ensure_ascii=False)
        )
    octet = r"(25[0-5]|2[0-4]\d|1?\d?\d)"
    yield Case(
        "regex: IPv4 address", grammar_pb2.Grammar(regex=rf"({octet}\.){{3}}{octet}"), "192.168.17.254"
    )
    words = r"[A-Za-z ,.]{1,200}"
    yield Case("regex: 200 letters", grammar_pb2.Grammar(regex=words), "It was a dark and stormy night, " * 5)
    cities = ["Berlin", "Bern", "Bergen", "Paris", "Parma", "Rome", "San Francisco", "São Paulo"]
    yield Case("choice of 8", grammar_pb2.Grammar(choice=grammar_pb2.Choice(values=cities)), "São Paulo")


def json_cases() -> Iterator[tuple[str, Any, Any]]:
    """(name, schema, value)."""
    text, integer = {"type": "string"}, {"type": "integer", "minimum": 1, "maximum": 5}
    animals = {
        "location": text,
        "activity": text,
        "animals_seen": integer,
        "animals": {"type": "array", "items": text},
    }
    seen = {
        "location": "park",
        "activity": "bike riding",
        "animals_seen": 3,
        "animals": ["dog", "cat", "raccoon"],
    }
    yield (
        "JSON: the guidance guide's",
        {"type": "object", "properties": animals, "required": [*animals]},
        seen,
    )
    yield "JSON: free strings", {"type": "array", "items": text}, [PROSE * 3, "", PROSE]
    yield "JSON: maxLength 500", {"type": "string", "maxLength": 500}, PROSE * 3
    yield (
        "JSON: maxLength 3",
        {"type": "array", "items": {"type": "string", "maxLength": 3}},
        ["", "ab", "né", "東京都"],
    )
    yield "JSON: anything", {}, {"a": [1, -2.5e3, {"b": [[], {}, [None, True]]}], "c": PROSE}
    tree = {
        "type": "object",
        "properties": {"name": text, "children": {"type": "array", "items": {"$ref": "#"}}},
    }
    leaf: Any = {"name": "leaf"}
    for depth in range(6):
        leaf = {"name": f"node {depth}", "children": [leaf, {"name": "other"}]}
    yield "JSON: recursive tree", tree, leaf
    optional = {f"property_{i}": {"type": ["number", "null"]} for i in range(40)}
    given = {name: None if i % 2 else i * 1.5 for i, name in enumerate(optional) if i % 3}
    yield "JSON: 40 optional", {"type": "object", "properties": optional}, given
    yield "JSON: enum of 300", {"enum": [f"item number {i}" for i in range(300)]}, "item number 217"


def read_through(constraint: Constraint, token_ids: list[int], seen: set[int], timing: Timing) -> None:
    """Follow one answer to its end, timing every mask and step."""
    for token_id in token_ids:
        start = perf_counter_ns()
        mask = constraint.mask()
        stop = perf_counter_ns()
        (timing.again if id(mask) in seen else timing.first).append(stop - start)
        seen.add(id(mask))
        start = perf_counter_ns()
        constraint.advance(token_id)
        timing.advance.append(perf_counter_ns() - start)


def measure(vocabulary: Vocabulary, automaton: Automaton, token_ids: list[int], *, rounds: int) -> Timing:
    """Follow the answer twice in each round: each time with nothing known, then with everything."""
    timing = Timing([], [], [])
    for _ in range(rounds):
        masks = GrammarMasks(vocabulary, max_automata=1, max_rows=10_000)
        seen: set[int] = set()
        for _ in range(2):
            read_through(masks.constraint(automaton, ""), token_ids, seen, timing)
    return timing


def microseconds(times: list[int]) -> str:
    p50, p99 = np.percentile(times, [50, 99]) / 1000 if times else (0.0, 0.0)
    return f"{p50:8.1f} {p99:8.1f}"


def main() -> None:
    """Print a table: one line a grammar, and one of all together."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model", nargs="?", help="Hub id, folder or .gguf file; default: the bundled model")
    parser.add_argument("--rounds", type=int, default=10, help="how often everything is measured")
    arguments = parser.parse_args()
    cache_dir: Path = Settings(model=arguments.model).cache_dir.expanduser()
    tokenizer: Tokenizer = locate(arguments.model, cache_dir=cache_dir).load_tokenizer()
    backend = tokenizer.transformers
    assert tokenizer.eos_id is not None
    vocabulary = Vocabulary.from_tokenizer(backend, size=len(backend), eos_ids=[tokenizer.eos_id])
    print(f"{vocabulary.size} tokens, {len(vocabulary.trie.byte)} nodes; microseconds, p50 and p99")
    print(f"{'grammar':28} {'states':>7} {'first visit':>17} {'visits':>7} {'known':>17} {'next token':>17}")
    total = Timing([], [], [])
    for name, grammar, answer in cases():
        automaton = compile_grammar(grammar, Limits()).automaton
        token_ids = backend.encode(answer, add_special_tokens=False)
        timing = measure(vocabulary, automaton, [*token_ids, tokenizer.eos_id], rounds=arguments.rounds)
        print_line(name, str(automaton.num_states), timing)
        for every, times in zip(total, timing, strict=True):
            every.extend(times)
    print_line("all together", "", total)


def print_line(name: str, states: str, timing: Timing) -> None:
    first, again, advance = (microseconds(times) for times in timing)
    print(f"{name:28} {states:>7} {first} {len(timing.first):7} {again} {advance}")


if __name__ == "__main__":
    main()
