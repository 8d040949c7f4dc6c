"""The canonical form of a grammar: equal grammars have equal ones, and one name."""

from __future__ import annotations

import hashlib
import json
import math
import re
from dataclasses import asdict, dataclass

from grammar_service.limits import Limits
from protos import grammar_pb2
from protos.errors import InvalidRequestError

_STRING_OR_SPACE = re.compile(r'("[^"\\]*(?:\\.[^"\\]*)*")|[ \t\n\r]+', re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class CanonicalGrammar:
    """A grammar that was checked for form: its source is set, of a size to work with and, if JSON, parses."""

    automaton_id: str
    """SHA-256, in hex, of everything that decides what compiling gives."""
    message: bytes
    """The serialised `grammar_pb2.Grammar`, every option set."""


class GrammarReader:
    """Brings grammars as callers send them to their canonical form."""

    def __init__(self, *, limits: Limits, compiler_version: str, max_source_bytes: int) -> None:
        self._limits = limits
        self._compiler_version = compiler_version
        self._max_source_bytes = max_source_bytes

    def read(self, grammar: grammar_pb2.Grammar) -> CanonicalGrammar:
        """The canonical form of `grammar`.

        Raises:
            InvalidRequestError: it has no source, or one that is too large or not the JSON it must be.
        """
        canonical = grammar_pb2.Grammar()
        match grammar.WhichOneof("source"):
            case "json_schema":
                self._check_size(len(grammar.json_schema.encode()))
                canonical.json_schema = _compact_json(grammar.json_schema)
                canonical.strict = grammar.strict if grammar.HasField("strict") else True
                canonical.whitespace = _whitespace(grammar.whitespace)
            case "regex":
                self._check_size(len(grammar.regex.encode()))
                canonical.regex = grammar.regex
            case "choice":
                if not grammar.choice.values:
                    raise InvalidRequestError("grammar: choice has no values")
                self._check_size(grammar.choice.ByteSize())
                canonical.choice.CopyFrom(grammar.choice)
            case _:
                raise InvalidRequestError("grammar: one of json_schema, regex and choice must be set")
        message = canonical.SerializeToString(deterministic=True)
        return CanonicalGrammar(automaton_id=self._name(message), message=message)

    def _check_size(self, size: int) -> None:
        if size > self._max_source_bytes:
            raise InvalidRequestError(
                f"grammar: {size} bytes are more than the {self._max_source_bytes} that this service accepts"
            )

    def _name(self, message: bytes) -> str:
        # The version is part of the name, so that a shard that remembers automata by name never mixes up
        # those of two compilers while the services are being upgraded one by one.
        settings = json.dumps([self._compiler_version, asdict(self._limits)], sort_keys=True)
        return hashlib.sha256(settings.encode() + b"\0" + message).hexdigest()


def _whitespace(value: grammar_pb2.Whitespace) -> grammar_pb2.Whitespace:
    if value not in grammar_pb2.Whitespace.values():
        raise InvalidRequestError(f"grammar: {value} is no whitespace that this service knows")
    return value or grammar_pb2.WHITESPACE_SINGLE


def _compact_json(source: str) -> str:
    """`source` without the whitespace between its tokens, and otherwise as it is written."""
    try:
        json.loads(source, parse_float=_finite, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise InvalidRequestError(f"grammar: json_schema is not JSON: {error}") from error
    except RecursionError as error:
        raise InvalidRequestError("grammar: json_schema is nested too deeply") from error
    except ValueError as error:  # an integer of more digits than Python reads
        raise InvalidRequestError("grammar: json_schema has a number of too many digits") from error
    return _STRING_OR_SPACE.sub(r"\1", source)


def _finite(literal: str) -> float:
    number = float(literal)
    if math.isinf(number):
        raise InvalidRequestError(f"grammar: json_schema has a number out of range: {literal[:40]}")
    return number


def _refuse_constant(literal: str) -> float:
    raise InvalidRequestError(f"grammar: json_schema is not JSON: {literal} is no JSON number")
