"""The gRPC face of the grammar service."""

from __future__ import annotations

from typing import Any

from grpc.aio import ServicerContext

from grammar_service.grammar import GrammarReader
from grammar_service.library import GrammarLibrary
from protos import grammar_pb2, grammar_pb2_grpc

SERVICE = grammar_pb2.DESCRIPTOR.services_by_name["GrammarService"].full_name


class GrammarServicer(grammar_pb2_grpc.GrammarServiceServicer):
    """Translates between messages and the library."""

    def __init__(self, *, reader: GrammarReader, library: GrammarLibrary) -> None:
        self._reader = reader
        self._library = library

    async def Compile(
        self, request: grammar_pb2.CompileRequest, context: ServicerContext[Any, Any]
    ) -> grammar_pb2.CompileReply:
        found = await self._library.find(self._reader.read(request.grammar))
        return grammar_pb2.CompileReply(
            automaton_id=found.automaton_id,
            automaton=found.automaton,
            origin=found.origin,
            summary=found.summary,
        )
