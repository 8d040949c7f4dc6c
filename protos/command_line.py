"""The command line of a service: `--help` and nothing else, for what it does is set by its environment."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Iterator
from textwrap import fill
from typing import TypeVar

from pydantic import ValidationError
from pydantic_settings import BaseSettings, SettingsError

_INDENT = "      "

Settings = TypeVar("Settings", bound=BaseSettings)


def read_settings(kind: type[Settings], *, service: str) -> Settings:
    """The settings of `service`, a package that is run as a module, from the environment.

    Raises:
        SystemExit: `--help` was given, which lists the settings; or another argument; or a setting is wrong,
            and the message names its variable.
    """
    parser = ArgumentParser(
        prog=f"python -m {service}",
        description="Runs one service. Variables in its environment set it.",
        epilog="\n".join(("variables, with their defaults:", *_described(kind))),
        formatter_class=RawDescriptionHelpFormatter,
    )
    parser.parse_args()
    try:
        return kind()
    except ValidationError as error:
        sys.exit("\n".join(f"{service}: {problem}" for problem in _problems(kind, error)))
    except SettingsError as error:
        sys.exit(f"{service}: {_unparsed(kind, error)}")


def _variable(kind: type[BaseSettings], field: str) -> str:
    return f"{kind.model_config.get('env_prefix', '')}{field}".upper()


def _described(kind: type[BaseSettings]) -> Iterator[str]:
    for name, field in kind.model_fields.items():
        default = field.get_default(call_default_factory=True)
        yield f"  {_variable(kind, name)} [{'unset' if default is None else default}]"
        text = " ".join((field.description or "").split())
        yield fill(text, width=100, initial_indent=_INDENT, subsequent_indent=_INDENT)


def _problems(kind: type[BaseSettings], error: ValidationError) -> Iterator[str]:
    for problem in error.errors():
        field = str(problem["loc"][0])
        yield f"{_variable(kind, field)}: {problem['msg']}. Given: {problem['input']!r}"


def _unparsed(kind: type[BaseSettings], error: SettingsError) -> str:
    """What is wrong with a setting that is no JSON but must be. The error names it in its words only."""
    field = next((name for name in kind.model_fields if f'"{name}"' in str(error)), None)
    return f"{_variable(kind, field)}: it must be JSON: {error.__cause__}" if field else str(error)
