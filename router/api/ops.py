"""What operators and clients ask of the server itself: health, info, models and metrics."""

from __future__ import annotations

import asyncio
import logging
from typing import Annotated

from fastapi import APIRouter, HTTPException, Path, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST

from router.api.body import shown
from router.api.ops_schema import Info, ModelCard, Models
from router.api.responses import failures
from router.errors import ErrorResponse, RequestError
from router.generation import Generator, GrammarCompiler
from router.metrics import Metrics
from router.model import Model
from router.settings import Settings

logger = logging.getLogger(__name__)

UNAVAILABLE = failures({503: "A service behind the router is not serving"})
MAX_NAME = 4096
"""The longest name of a model, in characters: it may be a path."""


class OpsRoutes:
    """Reports on the services behind the router, as they are at the time of the call."""

    def __init__(
        self, *, grammars: GrammarCompiler, generator: Generator, metrics: Metrics, settings: Settings
    ) -> None:
        self._grammars = grammars
        self._generator = generator
        self._metrics = metrics
        self._settings = settings
        self.router = APIRouter(tags=["Operations"])
        for path in ("/health", "/", "/ping"):
            self.router.add_api_route(
                path,
                self.health,
                response_class=Response,
                responses={200: {"description": "It is"}, **UNAVAILABLE},
            )
        self.router.add_api_route("/info", self.info, response_model=Info, responses=UNAVAILABLE)
        self.router.add_api_route("/v1/models", self.models, response_model=Models, responses=UNAVAILABLE)
        self.router.add_api_route(
            "/v1/models/{model_id:path}",  # names have slashes
            self.model,
            response_model=ModelCard,
            responses=failures({404: "Another model is served", 422: "No model's name is so long"})
            | UNAVAILABLE,
        )
        self.router.add_api_route("/metrics", self.metrics, response_class=PlainTextResponse)

    async def health(self) -> Response:
        """Whether a request would be answered now."""
        shard, grammars = await asyncio.gather(self._generator.healthy(), self._grammars.healthy())
        if shard and grammars:
            return Response()
        logger.warning("unhealthy: shard %s, grammar service %s", shard, grammars)
        return _unhealthy()

    async def info(self) -> Response:
        """The model that is served, and the limits on requests."""
        try:
            model = await self._generator.model()
        except RequestError:
            return _unhealthy()
        return JSONResponse(self._info(model).model_dump())

    def _info(self, model: Model) -> Info:
        return Info(
            model_id=model.id,
            model_sha=model.sha,
            model_pipeline_tag="text-generation",
            model_dtype=model.dtype,
            model_device_type=model.device,
            max_concurrent_requests=self._settings.max_concurrent_requests,
            max_best_of=self._settings.max_best_of,
            max_stop_sequences=self._settings.max_stop_sequences,
            max_input_tokens=model.max_input_tokens,
            max_total_tokens=model.max_total_tokens,
            validation_workers=1,
            max_client_batch_size=self._settings.max_client_batch_size,
            router="guiderail-router",
            version=model.version,
            sha=None,
            docker_label=None,
        )

    async def models(self) -> Response:
        """The one model that is served. Requests may name any other: they are answered by this one."""
        try:
            model = await self._generator.model()
        except RequestError:
            return _unhealthy()
        return JSONResponse(Models(object="list", data=[_card(model)]).model_dump())

    async def model(self, model_id: Annotated[str, Path(max_length=MAX_NAME)]) -> Response:
        """The model that is served, if that is its name."""
        try:
            model = await self._generator.model()
        except RequestError:
            return _unhealthy()
        if model_id != model.id:
            raise HTTPException(404, f"The model `{shown(model_id)}` is not served here, `{model.id}` is")
        return JSONResponse(_card(model).model_dump())

    async def metrics(self) -> Response:
        """Metrics for Prometheus; those of the shard only while it tells them."""
        try:
            statistics = await self._generator.statistics()
        except RequestError:
            statistics = None
        return Response(self._metrics.text(statistics), media_type=CONTENT_TYPE_LATEST)


def _card(model: Model) -> ModelCard:
    return ModelCard(id=model.id, object="model", created=0, owned_by=model.id)


def _unhealthy() -> Response:
    body = ErrorResponse(error="unhealthy", error_type="healthcheck")
    return JSONResponse(body.model_dump(), status_code=503)
