"""Reading a folder of the form of the JSON-Schema-Test-Suite."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.suite import DRAFTS, read_cases


def write(folder: Path, path: str, schema: Any) -> None:
    file = folder / "tests" / path
    file.parent.mkdir(parents=True, exist_ok=True)
    tests = [{"description": "a string", "data": "é", "valid": True}]
    file.write_text(json.dumps([{"description": "about types", "schema": schema, "tests": tests}]))


def test_each_schema_says_its_draft_and_optional_tests_are_left_out(tmp_path: Path) -> None:
    write(tmp_path, "draft7/type.json", {"type": "string"})
    write(tmp_path, "draft7/optional/type.json", {"type": "number"})
    write(tmp_path, "draft2020-12/type.json", {"$schema": "of its own", "type": "string"})
    write(tmp_path, "draft2020-12/boolean_schema.json", True)
    cases = {case.group: case for case in read_cases(tmp_path)}
    assert {group: json.loads(case.schema) for group, case in cases.items()} == {
        "draft7/type": {"$schema": DRAFTS["draft7"], "type": "string"},
        "draft2020-12/type": {"$schema": "of its own", "type": "string"},
        "draft2020-12/boolean_schema": True,
    }
    assert cases["draft7/type"].name == "draft7/type[0], about types"
    assert cases["draft7/type"].instances[0].text == '"\\u00e9"'
