"""What a service says on its command line of itself and of its settings."""

from __future__ import annotations

import pytest
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from protos.command_line import read_settings


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="PRINTER_", use_attribute_docstrings=True)

    port: int = Field(default=9100, ge=0)
    """Where jobs
    come in."""
    tray: str | None = None
    """Where paper is."""
    colours: tuple[str, ...] = ("black",)
    """What can be printed."""


@pytest.fixture(autouse=True)
def arguments(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    given = ["printer"]
    monkeypatch.setattr("sys.argv", given)
    return given


def ending() -> object:
    """The exit code, or the message, with which reading the settings ends the process."""
    with pytest.raises(SystemExit) as ended:
        read_settings(Settings, service="printer")
    return ended.value.code


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRINTER_PORT", "3")
    assert read_settings(Settings, service="printer") == Settings(port=3)


def test_help_lists_every_variable_with_its_default_and_meaning(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    arguments.append("--help")
    assert ending() == 0
    printed = capsys.readouterr().out
    assert "python -m printer" in printed
    assert "  PRINTER_PORT [9100]\n      Where jobs come in.\n" in printed
    assert "  PRINTER_TRAY [unset]\n      Where paper is.\n" in printed


def test_an_argument_is_refused_and_not_ignored(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    arguments.append("--port=3")
    assert ending() == 2
    assert "--port=3" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("variable", "value", "why"),
    [
        ("PRINTER_PORT", "-1", "PRINTER_PORT: Input should be greater than or equal to 0. Given: '-1'"),
        ("PRINTER_COLOURS", "red", "PRINTER_COLOURS: it must be JSON: Expecting value: line 1 column 1"),
    ],
)
def test_a_wrong_setting_is_named_in_a_line(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, why: str
) -> None:
    monkeypatch.setenv(variable, value)
    message = str(ending())
    assert message.startswith("printer: ")
    assert why in message
    assert "\n" not in message
