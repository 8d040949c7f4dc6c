"""The command, over a folder with a handful of schemas."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from benchmarks.coverage import app

PERSON = {"type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "integer"}}}


def entry(name: str, schema: Any, *instances: tuple[bool, Any]) -> dict[str, Any]:
    tests = [{"valid": valid, "data": data, "description": "as told"} for valid, data in instances]
    return {"id": name, "schema": schema, "tests": tests, "features": [], "raw_features": []}


def write(folder: Path, split: str, *entries: dict[str, Any]) -> None:
    with gzip.open(folder / f"{split}.jsonl.gz", "wt") as lines:
        lines.writelines(json.dumps(each) + "\n" for each in entries)


def run(folder: Path, *options: str) -> Result:
    return CliRunner().invoke(app, [str(folder), "--engine", "guiderail", "--workers", "1", *options])


def test_schemas_are_counted_by_what_came_of_them(tmp_path: Path) -> None:
    write(
        tmp_path,
        "First",
        entry("right", PERSON, (True, {"name": "Zoë", "age": 3}), (False, {"name": 3})),
        entry("reordered", PERSON, (True, {"age": 3, "name": "Ada"})),
    )
    write(
        tmp_path,
        "Second",
        entry("remote", {"$ref": "https://example.com/schema"}, (True, {})),
        entry("wrong label", {"type": "integer"}, (True, "no integer")),
        entry("contradiction", {"allOf": [{"type": "integer"}, {"type": "string"}]}, (False, 1)),
        entry("contradiction with a valid instance", False, (True, 1)),
    )
    output = tmp_path / "results.json"
    result = run(tmp_path, "--by-split", "--list-failures", "3", "--output", str(output))
    assert result.exit_code == 0, result.output
    assert "remote" in result.output
    assert "Second" in result.output
    (engine,) = json.loads(output.read_text())["engines"]
    assert engine["correctness"] == {
        "schemas": 6,
        "outcomes": {"compiled": 3, "refused": 2, "contradiction": 1, "hung": 0, "crashed": 0},
        "all_right": 1,
        "all_right_but_order": 2,
        "valid": 3,
        "invalid": 1,
        "judgements": {
            "right": 2,
            "valid, but refused": 1,
            "valid, but refused for its key order alone": 1,
            "invalid, but accepted": 0,
        },
    }
    assert engine["groups"]["First"]["schemas"] == 2
    assert engine["microseconds"]["compile"]["p50"] > 0


def test_an_invalid_instance_that_is_accepted_fails_the_command(tmp_path: Path) -> None:
    write(tmp_path, "Split", entry("unsound", {"type": "integer"}, (False, 7)), entry("unseen", {}))
    result = run(tmp_path, "--sample", "2", "--list-failures", "1")
    assert result.exit_code == 1
    assert "unsound: as told" in result.output


@pytest.mark.parametrize("names", [(), ("README.md",)])
def test_a_folder_without_schemas_is_an_error(tmp_path: Path, names: tuple[str, ...]) -> None:
    for name in names:
        (tmp_path / name).touch()
    result = run(tmp_path)
    assert result.exit_code == 2
    assert "no schemas" in result.output
