"""The Jinja environment that chat templates are written for, and that keeps them from doing anything else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NoReturn

from jinja2 import Environment, TemplateError, nodes
from jinja2.exceptions import SecurityError
from jinja2.ext import Extension, LoopControlExtension
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace


def sandbox() -> Environment:
    """A new environment with what transformers gives to chat templates, and as closed as that one.

    Templates come with models, which come from anywhere. (See `render_jinja_template` in transformers.)
    """
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[GenerationTag, LoopControlExtension]
    )
    environment.filters["tojson"] = _tojson
    environment.globals.update(
        raise_exception=_raise, strftime_now=_strftime_now, dict=PlainDict(), namespace=PlainNamespace
    )
    return environment


class GenerationTag(Extension):
    """`{% generation %}` marks what the model wrote, for training; here it changes nothing."""

    tags = frozenset({"generation"})  # type: ignore[assignment] # jinja2 declares a set, and only reads it

    def parse(self, parser: Parser) -> list[nodes.Node]:
        """The nodes within the tag."""
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class PlainDict:
    """`dict`, but none of the attributes of the class."""

    def __call__(self, *args: Any, **kwargs: Any) -> dict[Any, Any]:
        return dict(*args, **kwargs)

    def fromkeys(self, *args: Any) -> dict[Any, Any]:
        """`dict.fromkeys`."""
        return dict.fromkeys(*args)


class PlainNamespace(Namespace):
    """`namespace`, but no attribute of it begins with an underscore: Python's own do."""

    def __init__(*args: Any, **kwargs: Any) -> None:  # so that an attribute may be called `self`
        own, *rest = args
        attributes: Mapping[Any, Any] = dict(*rest, **kwargs)
        for name in attributes:
            _check_name(name)
        Namespace.__init__(own, attributes)

    def __setitem__(self, name: str, value: Any) -> None:
        _check_name(name)
        super().__setitem__(name, value)


def _check_name(name: Any) -> None:
    if isinstance(name, str) and name.startswith("_"):
        raise SecurityError(f"a namespace cannot have an attribute {name!r}")


def _raise(message: str) -> NoReturn:
    raise TemplateError(message)


def _strftime_now(format: str) -> str:
    return datetime.now().strftime(format)


def _tojson(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """Unlike Jinja's own filter, this one is not for HTML: it leaves `<` alone, and keys where they are."""
    return json.dumps(
        value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
    )
