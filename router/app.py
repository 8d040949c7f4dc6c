"""The HTTP application: its routes, and an answer in JSON for whatever goes wrong."""

from __future__ import annotations

import logging
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi_offline import FastAPIOffline
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware

from router.api import document, openai_rules
from router.api.body import shown
from router.api.chat import ChatRoutes
from router.api.chat_schema import ALTERNATIVES
from router.api.completions import CompletionRoutes
from router.api.hosted import HostedRoutes
from router.api.ops import OpsRoutes
from router.api.tgi import TgiRoutes
from router.api.tgi_rules import Limits
from router.api.tokens import TokenRoutes
from router.api_key import ApiKey
from router.errors import ErrorResponse, RequestError, http_error, tgi_error
from router.generation import Generations, Generator, GrammarCompiler
from router.metrics import Metrics
from router.served import ServedModel
from router.settings import Settings

logger = logging.getLogger(__name__)

DESCRIPTION = "Answers of a language model that match a grammar, over the API of Text Generation Inference."


def create_app(*, grammars: GrammarCompiler, generator: Generator, settings: Settings) -> FastAPI:
    """The application in front of a grammar service and a shard. Swagger at /docs needs no other host."""
    app = FastAPIOffline(
        title="Guiderail", version=version("guiderail"), description=DESCRIPTION, redoc_url=None
    )
    metrics = Metrics()
    generations = Generations(
        grammars=grammars,
        generator=generator,
        limit=settings.max_concurrent_requests,
        metrics=metrics,
    )
    limits = Limits(
        max_best_of=settings.max_best_of,
        max_stop_sequences=settings.max_stop_sequences,
        max_top_n_tokens=settings.max_top_n_tokens,
    )
    tgi = TgiRoutes(
        generations,
        metrics=metrics,
        limits=limits,
        compute_type=settings.compute_type,
        payload_limit=settings.payload_limit,
    )
    served = ServedModel(generator)
    openai_limits = openai_rules.Limits(
        max_choices=settings.max_choices,
        max_stop_sequences=settings.max_stop_sequences,
        max_logprobs=settings.max_logprobs,
        max_prompts=settings.max_client_batch_size,
    )
    completions = CompletionRoutes(
        generations,
        metrics=metrics,
        served=served,
        limits=openai_limits,
        compute_type=settings.compute_type,
        payload_limit=settings.payload_limit,
    )
    chat = ChatRoutes(
        generations,
        metrics=metrics,
        served=served,
        limits=openai_limits,
        compute_type=settings.compute_type,
        payload_limit=settings.payload_limit,
    )
    hosted = HostedRoutes(tgi=tgi, chat=chat, completions=completions, payload_limit=settings.payload_limit)
    tokens = TokenRoutes(generator, served=served, payload_limit=settings.payload_limit)
    ops = OpsRoutes(grammars=grammars, generator=generator, metrics=metrics, settings=settings)
    app.include_router(tgi.router)
    app.include_router(chat.router)
    app.include_router(completions.router)
    app.include_router(tokens.router)
    app.include_router(hosted.router)
    app.include_router(ops.router)
    document.complete(app)
    if settings.api_key is not None:
        app.add_middleware(ApiKey, key=settings.api_key.get_secret_value())
    app.add_middleware(
        CORSMiddleware,
        allow_origins=settings.cors_allow_origin,
        allow_methods=("GET", "POST"),
        allow_headers=("authorization", "content-type"),
    )
    app.add_exception_handler(RequestError, _failed)
    app.add_exception_handler(RequestValidationError, _mistyped)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(Exception, _broken)
    return app


async def _failed(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestError)
    status, body = tgi_error(error)
    logger.info("refused with %d: %s", status, shown(body.error))
    return JSONResponse(body.model_dump(), status_code=status)


async def _mistyped(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    location = first["loc"][1:-1] if first["type"] == "missing" else first["loc"][1:]
    names = [str(part) for part in location if part not in ALTERNATIVES]
    where = [".".join(names)] if names else []
    begin = ["Failed to deserialize the JSON body into the target type"] if first["loc"][0] == "body" else []
    text = ": ".join([*begin, *where, _problem(first)])
    return JSONResponse(ErrorResponse(error=text, error_type="validation").model_dump(), status_code=422)


def _problem(error: dict[str, Any]) -> str:
    """What pydantic found, in the words of TGI's own parser where clients may look for them."""
    match error["type"]:
        case "missing":
            return f"missing field `{error['loc'][-1]}`"
        case "union_tag_not_found":
            return f"missing field {error['ctx']['discriminator'].replace(chr(39), '`')}"
        case "union_tag_invalid":
            expected = error["ctx"]["expected_tags"].replace("'", "`")
            return f"unknown variant `{shown(error['ctx']['tag'])}`, expected one of {expected}"
        case _:
            return str(error["msg"])


async def _refused(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    body = http_error(error.status_code, error.detail)
    methods = request.app.openapi()["paths"].get(request.url.path) if error.status_code == 405 else None
    # Starlette names the methods of only one of a path's routes.
    headers = {"allow": ", ".join(sorted(methods)).upper()} if methods else error.headers
    return JSONResponse(body.model_dump(), status_code=error.status_code, headers=headers)


async def _broken(_: Request, __: Exception) -> JSONResponse:
    # The server logs the traceback once this is sent.
    body = ErrorResponse(error="Internal server error", error_type="internal")
    return JSONResponse(body.model_dump(), status_code=500)
