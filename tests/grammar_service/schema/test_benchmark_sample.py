"""Real schemas and their instances: a sample of what `python -m benchmarks.coverage` judges in full."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from protos import grammar_pb2
from protos.automaton import Automaton
from protos.errors import InvalidRequestError

Compile = Callable[..., Automaton]

LINES = (Path(__file__).parent / "benchmark" / "sample.jsonl").read_text().splitlines()
ENTRIES = [json.loads(line) for line in LINES]
REFUSED = {
    "Glaiveai2K---calculate_area_43c11cd0": "nothing can satisfy this grammar",
}


def compiled(compile_schema: Compile, entry: Any) -> Automaton:
    """As the benchmark has it."""
    return compile_schema(entry["schema"], strict=False, whitespace=grammar_pb2.WHITESPACE_FLEXIBLE)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: str(entry["id"]))
def test_a_real_schema_allows_its_valid_instances_and_no_others(compile_schema: Compile, entry: Any) -> None:
    if entry["id"] in REFUSED:
        with pytest.raises(InvalidRequestError, match=REFUSED[entry["id"]]):
            compiled(compile_schema, entry)
        return
    automaton = compiled(compile_schema, entry)
    for test in entry["tests"]:
        assert automaton.accepts(json.dumps(test["data"]).encode()) is test["valid"], test["data"]
