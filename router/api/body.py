"""JSON request bodies: read within a size limit, parsed within a depth limit, refused in TGI's words."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from email.message import Message
from typing import Annotated, Any

from fastapi import HTTPException, Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError, from_json

SHOWN_CHARACTERS = 100

Strings = Annotated[list[str], Field(fail_fast=True)]
"""A list that is given up at its first element that is no string: a body has room for many."""


class JsonObject(BaseModel):
    """A JSON object of known keys and exact types. It names the first unknown key and then gives up."""

    model_config = ConfigDict(
        strict=True, extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False
    )

    @model_validator(mode="before")
    @classmethod
    def _known(cls, data: Any) -> Any:
        # pydantic would report each of them, and a body has room for hundreds of thousands.
        names = [field.alias or name for name, field in cls.model_fields.items()]
        unknown = next((key for key in data if key not in names), None) if isinstance(data, dict) else None
        if unknown is not None:
            expected = ", ".join(f"`{name}`" for name in names)
            raise PydanticCustomError(
                "unknown_field",
                "unknown field `{field}`, expected one of {expected}",
                {"field": shown(unknown), "expected": expected},
            )
        return data


class Body(BaseModel):
    """What the router sends; every field is set, or left out of the JSON."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


def shown(text: str) -> str:
    """What callers sent, as short as an error message should be."""
    return text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + "..."


def json_route(*, limit: int) -> type[APIRoute]:
    """A route whose requests have JSON bodies of at most `limit` bytes."""

    class JsonRequest(Request):
        async def body(self) -> bytes:
            if not hasattr(self, "_body"):  # starlette's own cache
                if not _is_json(self.headers.get("content-type", "")):
                    raise HTTPException(415, "Expected request with `Content-Type: application/json`")
                self._body = await _read(self, limit=limit)
            return self._body

        async def json(self) -> Any:
            return _parsed(await self.body())

    class JsonRoute(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            handle = super().get_route_handler()

            async def handle_json(request: Request) -> Response:
                return await handle(JsonRequest(request.scope, request.receive))

            return handle_json

    return JsonRoute


def _is_json(content_type: str) -> bool:
    message = Message()
    message["content-type"] = content_type
    subtype = message.get_content_subtype()
    is_json = subtype == "json" or subtype.endswith("+json")
    return message.get_content_maintype() == "application" and is_json


async def _read(request: Request, *, limit: int) -> bytes:
    declared = request.headers.get("content-length", "")
    body = bytearray()
    if not declared.isdecimal() or int(declared[:20]) <= limit:
        async for chunk in request.stream():
            body += chunk
            if len(body) > limit:
                break
        else:
            # An empty body is not JSON either; FastAPI would call it a missing field.
            return bytes(body) or _parsed(b"")
    raise HTTPException(413, f"Failed to buffer the request body: length limit of {limit} bytes exceeded")


def _parsed(body: bytes) -> Any:
    try:
        # Unlike the standard library's parser, this one has no NaN, no lone surrogates and a limit to depth.
        return from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise HTTPException(400, f"Failed to parse the request body as JSON: {error}") from error
