"""The key that callers must have, where the operator has set one."""

from __future__ import annotations

from hmac import compare_digest

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from router.errors import http_error


class ApiKey:
    """Lets only those who have the key send requests to answer, which are those by POST.

    They are turned away before their body is read. What the server tells of itself is open, as in TGI.
    """

    def __init__(self, app: ASGIApp, *, key: str) -> None:
        self._app = app
        self._expected = key.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "POST" and not self._has_key(scope):
            body = http_error(401, "The API key is missing or wrong")
            refusal = JSONResponse(body.model_dump(), status_code=401, headers={"www-authenticate": "Bearer"})
            await refusal(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _has_key(self, scope: Scope) -> bool:
        scheme, _, key = Headers(scope=scope).get("authorization", "").partition(" ")
        return scheme.lower() == "bearer" and compare_digest(key.encode(), self._expected)
