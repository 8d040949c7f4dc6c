"""The canonical form of a grammar: equal grammars have equal ones, and one name."""

from __future__ import annotations

import hashlib
import json
import math
import re
from dataclasses import asdict, dataclass

from google.protobuf.message import Message

from grammar_service.limits import Limits
from protos import grammar_pb2
from protos.errors import InvalidRequestError

_SOURCES = grammar_pb2.Grammar.DESCRIPTOR.oneofs_by_name["source"].fields
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
        self._check_size(_source_bytes(grammar))
        message = _canonical(grammar, "grammar").SerializeToString(deterministic=True)
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


def _source_bytes(grammar: grammar_pb2.Grammar) -> int:
    """The size of what the caller wrote: of one text its UTF-8, of anything else its message."""
    source = grammar.WhichOneof("source")
    if source is None:
        return 0
    value: str | Message = getattr(grammar, source)
    return len(value.encode()) if isinstance(value, str) else value.ByteSize()


def _canonical(grammar: grammar_pb2.Grammar, place: str) -> grammar_pb2.Grammar:
    """The same grammar with every option set that is read. `place` is how errors begin."""
    canonical = grammar_pb2.Grammar()
    match grammar.WhichOneof("source"):
        case "json_schema":
            canonical.json_schema = _compact_json(grammar.json_schema, place)
            canonical.strict = grammar.strict if grammar.HasField("strict") else True
            canonical.whitespace = _whitespace(grammar.whitespace, place)
        case "json_object":
            canonical.json_object.SetInParent()
            canonical.whitespace = _whitespace(grammar.whitespace, place)
        case "regex":
            canonical.regex = grammar.regex
        case "choice":
            if not grammar.choice.values:
                raise InvalidRequestError(f"{place}: choice has no values")
            canonical.choice.CopyFrom(grammar.choice)
        case "tagged":
            canonical.tagged.CopyFrom(_canonical_tagged(grammar.tagged, place))
        case _:
            sources = ", ".join(field.name for field in _SOURCES)
            raise InvalidRequestError(f"{place}: one of {sources} must be set")
    return canonical


def _canonical_tagged(tagged: grammar_pb2.Tagged, place: str) -> grammar_pb2.Tagged:
    canonical = grammar_pb2.Tagged()
    canonical.CopyFrom(tagged)
    canonical.free_text = tagged.free_text or grammar_pb2.FREE_TEXT_ANYWHERE
    for index, tag in enumerate(canonical.tags):
        here = f"{place}: tagged.tags[{index}].content"
        if tag.content.WhichOneof("source") == "tagged":
            raise InvalidRequestError(f"{here}: a tagged grammar cannot stand inside another one")
        tag.content.CopyFrom(_canonical(tag.content, here))
    return canonical


def _whitespace(value: grammar_pb2.Whitespace, place: str) -> grammar_pb2.Whitespace:
    if value not in grammar_pb2.Whitespace.values():
        raise InvalidRequestError(f"{place}: {value} is no whitespace that this service knows")
    return value or grammar_pb2.WHITESPACE_SINGLE


def _compact_json(source: str, place: str) -> str:
    """`source` without the whitespace between its tokens, and otherwise as it is written."""
    try:
        json.loads(source, parse_float=_finite, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise InvalidRequestError(f"{place}: json_schema is not JSON: {error}") from error
    except RecursionError as error:
        raise InvalidRequestError(f"{place}: json_schema is nested too deeply") from error
    except _ForeignNumberError as error:
        raise InvalidRequestError(f"{place}: json_schema {error}") from error
    except ValueError as error:  # an integer of more digits than Python reads
        raise InvalidRequestError(f"{place}: json_schema has a number of too many digits") from error
    return _STRING_OR_SPACE.sub(r"\1", source)


class _ForeignNumberError(ValueError):
    """A number that Python reads and JSON does not have."""


def _finite(literal: str) -> float:
    number = float(literal)
    if math.isinf(number):
        raise _ForeignNumberError(f"has a number out of range: {literal[:40]}")
    return number


def _refuse_constant(literal: str) -> float:
    raise _ForeignNumberError(f"is not JSON: {literal} is no JSON number")
