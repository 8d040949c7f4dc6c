"""The settings of the grammar service."""

import pytest

from grammar_service.limits import Limits
from grammar_service.settings import Settings


def test_every_limit_is_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    names = list(Limits.__dataclass_fields__)
    for number, name in enumerate(names):
        monkeypatch.setenv(f"GRAMMAR_{name.upper()}", str(number + 1))
    assert Settings().limits() == Limits(**{name: number + 1 for number, name in enumerate(names)})
