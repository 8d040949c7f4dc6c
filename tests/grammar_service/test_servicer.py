"""The grammar service over real gRPC: what an internal caller, or grpcurl, sees."""

from __future__ import annotations

from collections.abc import AsyncIterator

import grpc
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from grammar_service.grammar import CanonicalGrammar, GrammarReader
from grammar_service.library import GrammarLibrary
from grammar_service.limits import Limits
from grammar_service.memory import MemoryCache
from grammar_service.outcome import Compiled, Outcome, Refused
from grammar_service.servicer import SERVICE, GrammarServicer
from protos import automaton_pb2, grammar_pb2, grammar_pb2_grpc
from protos.channel import open_channel
from protos.errors import OverloadedError
from protos.server import Server


class FakeCompiler:
    """Does what the regex says."""

    async def compile(self, grammar: CanonicalGrammar) -> Outcome:
        regex = grammar_pb2.Grammar.FromString(grammar.message).regex
        if regex == "refuse":
            return Refused("regex: no, at position 3")
        if regex == "overload":
            raise OverloadedError("too many grammars are being compiled")
        if regex == "bug":
            raise RuntimeError("secret details")
        size = 8 << 20 if regex == "large" else 8
        automaton = automaton_pb2.Automaton(format_version=2, transitions=bytes(size))
        return Compiled(automaton, grammar_pb2.Summary(num_states=7, shortest_answer="a"))


@pytest.fixture
async def channel() -> AsyncIterator[grpc.aio.Channel]:
    reader = GrammarReader(limits=Limits(), compiler_version="1", max_source_bytes=1_000_000)
    memory = MemoryCache(max_entries=10, max_bytes=1_000_000, passing_seconds=60.0)
    library = GrammarLibrary(compiler=FakeCompiler(), memory=memory, redis=None, patience_seconds=1.0)
    servicer = GrammarServicer(reader=reader, library=library)
    server = Server(
        lambda server: grammar_pb2_grpc.add_GrammarServiceServicer_to_server(servicer, server),
        service=SERVICE,
    )
    port = await server.start("127.0.0.1:0")
    async with open_channel(f"127.0.0.1:{port}") as channel:
        yield channel
    await server.stop(grace=0)


async def compile_regex(channel: grpc.aio.Channel, regex: str) -> grammar_pb2.CompileReply:
    stub = grammar_pb2_grpc.GrammarServiceStub(channel)
    reply: grammar_pb2.CompileReply = await stub.Compile(
        grammar_pb2.CompileRequest(grammar=grammar_pb2.Grammar(regex=regex))
    )
    return reply


async def test_the_reply_has_the_automaton_its_name_and_its_origin(channel: grpc.aio.Channel) -> None:
    first, again = [await compile_regex(channel, "a+") for _ in range(2)]
    assert len(first.automaton_id) == 64
    assert first.automaton_id == again.automaton_id
    assert first.automaton == again.automaton
    assert first.automaton.format_version == 2
    assert first.summary == again.summary == grammar_pb2.Summary(num_states=7, shortest_answer="a")
    assert (first.origin, again.origin) == (grammar_pb2.ORIGIN_COMPILED, grammar_pb2.ORIGIN_MEMORY)


async def test_an_automaton_above_grpcs_default_limit_arrives(channel: grpc.aio.Channel) -> None:
    assert len((await compile_regex(channel, "large")).automaton.transitions) == 8 << 20


@pytest.mark.parametrize(
    ("regex", "code", "details"),
    [
        ("refuse", grpc.StatusCode.INVALID_ARGUMENT, "regex: no, at position 3"),
        ("x" * 1_000_001, grpc.StatusCode.INVALID_ARGUMENT, "grammar: 1000001 bytes are more than"),
        ("overload", grpc.StatusCode.RESOURCE_EXHAUSTED, "too many grammars are being compiled"),
        ("bug", grpc.StatusCode.INTERNAL, "internal error: RuntimeError"),
    ],
)
async def test_failures_have_a_status_and_say_what_is_wrong(
    channel: grpc.aio.Channel, regex: str, code: grpc.StatusCode, details: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await compile_regex(channel, regex)
    assert caught.value.code() == code
    assert str(caught.value.details()).startswith(details)


async def test_a_request_without_a_grammar_is_refused(channel: grpc.aio.Channel) -> None:
    stub = grammar_pb2_grpc.GrammarServiceStub(channel)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.Compile(grammar_pb2.CompileRequest())
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("service", ["", "guiderail.grammar.v1.GrammarService"])
async def test_the_health_service_says_serving(channel: grpc.aio.Channel, service: str) -> None:
    check = channel.unary_unary(
        "/grpc.health.v1.Health/Check",
        request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
        response_deserializer=health_pb2.HealthCheckResponse.FromString,
    )
    reply = await check(health_pb2.HealthCheckRequest(service=service))
    assert reply.status == health_pb2.HealthCheckResponse.SERVING


async def test_reflection_tells_the_services_and_their_methods(channel: grpc.aio.Channel) -> None:
    requests = [
        reflection_pb2.ServerReflectionRequest(list_services=""),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol=SERVICE),
    ]
    reflect = channel.stream_stream(
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )
    services, files = [reply async for reply in reflect(iter(requests))]
    assert SERVICE in {service.name for service in services.list_services_response.service}
    (description,) = [
        file
        for file in map(FileDescriptorProto.FromString, files.file_descriptor_response.file_descriptor_proto)
        if file.name == "protos/grammar.proto"
    ]
    assert [method.name for method in description.service[0].method] == ["Compile"]
