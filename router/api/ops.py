"""What operators ask: GET /health and GET /info."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from router.api.tgi_schema import Info
from router.errors import ErrorResponse, RequestError
from router.generation import Generator, GrammarCompiler
from router.settings import Settings

logger = logging.getLogger(__name__)

UNHEALTHY = ErrorResponse(error="unhealthy", error_type="healthcheck")
UNAVAILABLE: dict[int | str, dict[str, Any]] = {
    503: {"model": ErrorResponse, "description": "A service behind the router is not serving"}
}


class OpsRoutes:
    """Reports on the services behind the router, as they are at the time of the call."""

    def __init__(self, *, grammars: GrammarCompiler, generator: Generator, settings: Settings) -> None:
        self._grammars = grammars
        self._generator = generator
        self._settings = settings
        self.router = APIRouter(tags=["Text Generation Inference"])
        self.router.add_api_route("/health", self.health, responses=UNAVAILABLE)
        self.router.add_api_route("/info", self.info, response_model=Info, responses=UNAVAILABLE)

    async def health(self) -> Response:
        """Whether a request would be answered now."""
        shard, grammars = await asyncio.gather(self._generator.healthy(), self._grammars.healthy())
        if shard and grammars:
            return Response()
        logger.warning("unhealthy: shard %s, grammar service %s", shard, grammars)
        return JSONResponse(UNHEALTHY.model_dump(), status_code=503)

    async def info(self) -> Response:
        """The model that is served, and the limits on requests."""
        try:
            model = await self._generator.model()
        except RequestError:
            return JSONResponse(UNHEALTHY.model_dump(), status_code=503)
        info = Info(
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
            max_client_batch_size=1,
            router="guiderail-router",
            version=model.version,
            sha=None,
            docker_label=None,
        )
        return JSONResponse(info.model_dump())
