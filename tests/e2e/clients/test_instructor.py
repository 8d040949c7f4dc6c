"""instructor, in its two modes that ask OpenAI's API for the schema of a pydantic model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

WEATHER = {"place": str, "sky": str, "degrees": int}


@pytest.fixture(scope="module")
def answers(told: Callable[[str, dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
    return told("instructor_client.py", {})


@pytest.mark.parametrize("mode", ["tools", "json_schema"])
def test_an_answer_is_the_model_that_was_asked_for(answers: dict[str, Any], mode: str) -> None:
    assert {name: type(value) for name, value in answers[mode].items()} == WEATHER
