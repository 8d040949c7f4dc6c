"""Callers inside the company's network, who speak gRPC without the router."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import jsonschema
import pytest
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from protos import generation_pb2, generation_pb2_grpc, grammar_pb2, grammar_pb2_grpc, healthcheck

ROOT = Path(__file__).parents[2]
GRAMMAR_SERVICE = "guiderail.grammar.v1.GrammarService"
GENERATION_SERVICE = "guiderail.generation.v1.GenerationService"
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 12}, "people": {"type": "integer", "minimum": 1}},
    "required": ["city", "people"],
}


@pytest.fixture
def channel() -> Iterator[Callable[[str], grpc.Channel]]:
    """Opens channels; they are closed after the test."""
    opened: list[grpc.Channel] = []

    def open_one(address: str) -> grpc.Channel:
        opened.append(grpc.insecure_channel(address))
        return opened[-1]

    yield open_one
    for one in opened:
        one.close()


def test_compile_then_generate(server: Any, channel: Callable[[str], grpc.Channel]) -> None:
    grammars = grammar_pb2_grpc.GrammarServiceStub(channel(server.grammar_address))
    generation = generation_pb2_grpc.GenerationServiceStub(channel(server.shard_address))
    grammar = grammar_pb2.Grammar(json_schema=json.dumps(SCHEMA))
    compiled = grammars.Compile(grammar_pb2.CompileRequest(grammar=grammar), timeout=30)
    request = generation_pb2.GenerateRequest(
        inputs="The city of Paris in JSON: ",
        stopping=generation_pb2.Stopping(max_new_tokens=60),
        automaton=compiled.automaton,
        automaton_id=compiled.automaton_id,
    )
    *_, last = generation.Generate(request, timeout=60)
    assert last.completion.finish_reason == generation_pb2.FINISH_REASON_EOS_TOKEN
    jsonschema.validate(json.loads(last.completion.text), SCHEMA)


def test_the_same_grammar_is_compiled_once(server: Any, channel: Callable[[str], grpc.Channel]) -> None:
    grammars = grammar_pb2_grpc.GrammarServiceStub(channel(server.grammar_address))
    request = grammar_pb2.CompileRequest(grammar=grammar_pb2.Grammar(regex="compiled-once-[0-9]{3}"))
    first, second = (grammars.Compile(request, timeout=30) for _ in range(2))
    assert first.origin == grammar_pb2.ORIGIN_COMPILED
    assert second.origin == grammar_pb2.ORIGIN_MEMORY
    assert second.automaton_id == first.automaton_id


def test_a_bad_grammar_is_an_invalid_argument_that_says_what_is_wrong(
    server: Any, channel: Callable[[str], grpc.Channel]
) -> None:
    grammars = grammar_pb2_grpc.GrammarServiceStub(channel(server.grammar_address))
    grammar = grammar_pb2.Grammar(json_schema='{"properties": {"a": {"uniqueItems": true}}}')
    with pytest.raises(grpc.RpcError) as caught:
        grammars.Compile(grammar_pb2.CompileRequest(grammar=grammar), timeout=30)
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "uniqueItems" in (caught.value.details() or "")
    assert "/properties/a" in (caught.value.details() or "")


def test_info_and_tokenize_answer(server: Any, channel: Callable[[str], grpc.Channel]) -> None:
    generation = generation_pb2_grpc.GenerationServiceStub(channel(server.shard_address))
    info = generation.Info(generation_pb2.InfoRequest(), timeout=30)
    assert info.dtype == "float32"
    tokens = generation.Tokenize(generation_pb2.TokenizeRequest(inputs="1234"), timeout=30).tokens
    assert [token.text for token in tokens] == ["1", "2", "3", "4"]


@pytest.mark.parametrize(
    ("address", "service"), [("grammar_address", GRAMMAR_SERVICE), ("shard_address", GENERATION_SERVICE)]
)
def test_reflection_and_health_are_there(
    address: str, service: str, server: Any, channel: Callable[[str], grpc.Channel]
) -> None:
    where = getattr(server, address)
    database = ProtoReflectionDescriptorDatabase(channel(where))
    assert set(database.get_services()) >= {service, "grpc.health.v1.Health"}
    assert healthcheck.healthy(where)


def test_the_readmes_example_for_internal_callers_runs(server: Any) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    (example,) = (block for block in blocks if "import grpc" in block)
    for default, address in (("50052", server.grammar_address), ("50051", server.shard_address)):
        example = re.sub(rf"(localhost|127\.0\.0\.1):{default}", address, example)
    done = subprocess.run(
        [sys.executable, "-c", example], capture_output=True, text=True, timeout=60, env=os.environ
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout
