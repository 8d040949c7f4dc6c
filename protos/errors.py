"""The failures that travel between services, and the interceptor that sends them."""

from __future__ import annotations

import inspect
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, ClassVar, TypeAlias

import grpc
from grpc.aio import ServicerContext

logger = logging.getLogger(__name__)

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"


class ServiceError(Exception):
    """A failure the caller can act on; anything else is a bug and travels as INTERNAL.

    ServiceError
    ├── InvalidRequestError     the request itself is wrong; sending it again will not help
    ├── OverloadedError         too many requests at once; try again later
    ├── UnavailableError        the service is going down, or is not up yet; try again
    └── GenerationError         the generation failed half-way
    """

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.INTERNAL


class InvalidRequestError(ServiceError):
    """The request is wrong in itself. The message says what and where."""

    code = grpc.StatusCode.INVALID_ARGUMENT


class OverloadedError(ServiceError):
    """There is no room for one more request."""

    code = grpc.StatusCode.RESOURCE_EXHAUSTED


class UnavailableError(ServiceError):
    """The service cannot take requests now."""

    code = grpc.StatusCode.UNAVAILABLE


class GenerationError(ServiceError):
    """The generation failed after it had begun."""

    code = grpc.StatusCode.INTERNAL


class ErrorInterceptor(grpc.aio.ServerInterceptor):
    """Turns a `ServiceError` raised by any method, unary or streaming, into its gRPC status.

    A bug is logged with its traceback and sent as INTERNAL without it.
    """

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        handler = await continuation(handler_call_details)
        if handler is None or handler.request_streaming:
            return handler
        wrap, kind = (
            (_stream, grpc.unary_stream_rpc_method_handler)
            if handler.response_streaming
            else (_unary, grpc.unary_unary_rpc_method_handler)
        )
        method: Any = handler.unary_stream if handler.response_streaming else handler.unary_unary
        return kind(wrap(method), handler.request_deserializer, handler.response_serializer)


def _unary(method: Callable[..., Awaitable[Any]]) -> Callable[..., Any]:
    async def call(request: Any, context: ServicerContext[Any, Any]) -> Any:
        try:
            return await method(request, context)
        except Exception as error:
            await _abort(context, error)

    return call


def _stream(method: Callable[..., AsyncIterator[Any] | Awaitable[None]]) -> Callable[..., Any]:
    async def call(request: Any, context: ServicerContext[Any, Any]) -> AsyncIterator[Any]:
        try:
            answer = method(request, context)
            if inspect.isawaitable(answer):  # it writes its messages itself, as the Watch of health does
                await answer
                return
            async for message in answer:
                yield message
        except Exception as error:
            await _abort(context, error)

    return call


async def _abort(context: ServicerContext[Any, Any], error: Exception) -> None:
    if isinstance(error, grpc.aio.AbortError):
        raise error
    if isinstance(error, ServiceError):
        await context.abort(error.code, str(error))
    logger.error("unexpected failure", exc_info=error)
    await context.abort(grpc.StatusCode.INTERNAL, f"internal error: {type(error).__name__}")
