"""Models of every kind are built small, and get the verdict that the shard would give."""

from __future__ import annotations

import re

import pytest
from typer.testing import CliRunner

from benchmarks.architectures import USAGE_ERROR, Way, app, judge
from benchmarks.miniature import build, model_types

runner = CliRunner()


def test_every_causal_language_model_type_is_known() -> None:
    assert {"llama", "qwen3_next", "mamba", "bloom", "gpt2"} < set(model_types())
    assert len(model_types()) > 150


@pytest.mark.parametrize("model_type", ["llama", "deepseek_v3", "gemma3", "qwen3_next", "mamba"])
def test_models_are_built_small_and_the_same_each_time(model_type: str) -> None:
    first, second = (sum(float(p.detach().sum()) for p in build(model_type).parameters()) for _ in range(2))
    assert first == second
    assert sum(p.numel() for p in build(model_type).parameters()) < 1_000_000


@pytest.mark.parametrize(
    ("model_type", "way", "why"),
    [
        ("llama", Way.PAGED, "^$"),
        ("qwen3_next", Way.PLAIN, "outputs differ"),
        ("bloom", Way.PLAIN, "no attention layer that can be paged"),
        ("openai-gpt", Way.REFUSED, "keeps nothing"),
    ],
)
def test_each_kind_gets_its_verdict(model_type: str, way: Way, why: str) -> None:
    verdict = judge(model_type)
    assert verdict.way is way
    assert re.search(why, verdict.why)


def test_the_command_judges_in_a_process_of_its_own_and_prints_the_sums() -> None:
    result = runner.invoke(app, ["--only", "llama", "--only", "mamba"])
    assert result.exit_code == 0, result.output
    assert "1 paged, 1 plain runner, 0 refused, 0 not built, 0 failed" in result.output


def test_a_type_that_does_not_exist_is_refused() -> None:
    result = runner.invoke(app, ["--only", "abacus"])
    assert result.exit_code == USAGE_ERROR
    assert "abacus" in result.output
