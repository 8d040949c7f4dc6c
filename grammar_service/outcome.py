"""What compiling a grammar came to, and the bytes it is kept and sent as."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import TypeAlias

from google.protobuf.message import DecodeError

from protos import automaton_pb2, grammar_pb2

_HEADER = struct.Struct(">4scI")
_MAGIC = b"GRL2"
"""Four bytes that name the layout; another layout gets another name."""
_COMPILED = b"A"
_REFUSED = b"R"


@dataclass(frozen=True)
class Compiled:
    """The grammar is an automaton."""

    automaton: automaton_pb2.Automaton
    summary: grammar_pb2.Summary
    """What there is to know about it, and about how it was made."""

    @property
    def payload(self) -> bytes:
        reply = grammar_pb2.CompileReply(automaton=self.automaton, summary=self.summary)
        return reply.SerializeToString(deterministic=True)


@dataclass(frozen=True)
class Refused:
    """The grammar is none that can be served; `message` tells the caller why."""

    message: str
    lasting: bool = True
    """Whether it would be refused again anywhere; not so when time, memory or luck ran out."""

    @property
    def payload(self) -> bytes:
        return self.message.encode("utf-8", errors="backslashreplace")


Outcome: TypeAlias = Compiled | Refused


class DamagedError(ValueError):
    """Bytes that are not an outcome as `encode` writes them."""


def encode(outcome: Outcome) -> bytes:
    """A header (layout, kind, CRC-32 of the rest), and the automaton with its summary or a refusal's text."""
    kind = _COMPILED if isinstance(outcome, Compiled) else _REFUSED
    payload = outcome.payload
    return _HEADER.pack(_MAGIC, kind, zlib.crc32(payload)) + payload


def decode(data: bytes) -> Outcome:
    """The outcome that `encode` wrote.

    Raises:
        DamagedError: it did not write these bytes, or something has changed them since.
    """
    if len(data) < _HEADER.size:
        raise DamagedError(f"{len(data)} bytes are too few")
    magic, kind, checksum = _HEADER.unpack_from(data)
    payload = data[_HEADER.size :]
    if magic != _MAGIC or kind not in (_COMPILED, _REFUSED):
        raise DamagedError("the header is none of ours")
    if checksum != zlib.crc32(payload):
        raise DamagedError("the checksum is wrong")
    try:
        if kind == _COMPILED:
            reply = grammar_pb2.CompileReply.FromString(payload)
            return Compiled(reply.automaton, reply.summary)
        return Refused(payload.decode("utf-8"))
    except (DecodeError, UnicodeDecodeError) as error:
        raise DamagedError(str(error)) from error
