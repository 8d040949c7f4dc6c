"""LangChain's ChatOpenAI: structured output and bound tools."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture(scope="module")
def answers(told: Callable[[str, dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
    return told("langchain_client.py", {})


@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
def test_structured_output_is_the_model_that_was_asked_for(answers: dict[str, Any], method: str) -> None:
    assert answers[method]["sky"] in ("sunny", "cloudy")
    assert -50 <= answers[method]["degrees"] <= 60


def test_a_bound_tool_is_called_and_streamed_alike(answers: dict[str, Any]) -> None:
    assert answers["reason"] == "tool_calls"
    assert answers["call"]["name"] == "get_weather"
    assert answers["call"]["args"] == answers["streamed"]["args"]
    assert answers["usage"]["output_tokens"] > 0


def test_the_result_of_a_call_is_answered_in_text(answers: dict[str, Any]) -> None:
    assert answers["answer"]
