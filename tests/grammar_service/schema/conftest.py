"""Schemas compiled as callers would have them compiled."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from grammar_service.compiler import compile_grammar
from grammar_service.limits import Limits
from protos import grammar_pb2
from protos.automaton import Automaton

Compile = Callable[..., Automaton]


@pytest.fixture
def compile_schema() -> Compile:
    def compile_schema(schema: Any, **options: Any) -> Automaton:
        grammar = grammar_pb2.Grammar(json_schema=json.dumps(schema), **options)
        return Automaton.from_message(compile_grammar(grammar, Limits(max_states=100_000)).automaton)

    return compile_schema
