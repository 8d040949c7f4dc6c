"""Models with the chat templates of real ones, shortened to what matters."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from router.model import Model

SPECIAL_TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}


def serving(**templates: str) -> Model:
    """A model with these chat templates."""
    return Model(
        id="m",
        sha=None,
        dtype="float32",
        device="cpu",
        max_input_tokens=100,
        max_total_tokens=200,
        version="1",
        chat_templates=templates,
        special_tokens=SPECIAL_TOKENS,
    )


@pytest.fixture(name="serving")
def serving_templates() -> Callable[..., Model]:
    return serving


@pytest.fixture
def model() -> Callable[[str], Model]:
    """The model whose template is in the folder beside this file."""

    def named(name: str) -> Model:
        return serving(default=(Path(__file__).parent / "templates" / f"{name}.jinja").read_text())

    return named
