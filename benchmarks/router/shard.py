"""`python -m benchmarks.router.shard ADDRESS`: a shard without a model, as fast as gRPC lets it be.

Like a real one it gives every running answer a token at each step. The text of a token is when it was sent.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from time import monotonic_ns
from typing import Any

from protos import generation_pb2, generation_pb2_grpc
from protos.server import serve

SERVICE = "guiderail.generation.v1.GenerationService"


class Steps:
    """Everyone who waits is woken by the next step, which is `truncate` µs after the one before it.

    (`truncate` means nothing to a shard without a tokenizer, so it tells the pace: 0 or unset is no pause.)
    """

    def __init__(self) -> None:
        self._waiting: dict[int, asyncio.Future[None]] = {}

    async def next(self, microseconds: int) -> None:
        """Wait for the next step of this pace."""
        if not microseconds:
            return
        step = self._waiting.get(microseconds)
        if step is None:
            loop = asyncio.get_running_loop()
            step = self._waiting[microseconds] = loop.create_future()
            seconds = microseconds / 1e6
            loop.call_at((loop.time() // seconds + 1) * seconds, self._wake, microseconds)
        await asyncio.shield(step)

    def _wake(self, microseconds: int) -> None:
        self._waiting.pop(microseconds).set_result(None)


class TokenSource(generation_pb2_grpc.GenerationServiceServicer):
    """Answers `max_new_tokens` tokens, whatever the prompt."""

    def __init__(self) -> None:
        self._steps = Steps()

    async def Generate(  # noqa: N802
        self, request: generation_pb2.GenerateRequest, context: Any
    ) -> AsyncIterator[generation_pb2.GenerateEvent]:
        count = request.stopping.max_new_tokens
        for number in range(1, count + 1):
            await self._steps.next(request.truncate)
            token = generation_pb2.Token(id=number, text=f" {monotonic_ns()}", logprob=-0.3 / number)
            yield generation_pb2.GenerateEvent(
                token=token, completion=_completion(count) if number == count else None
            )

    async def Info(self, request: generation_pb2.InfoRequest, context: Any) -> generation_pb2.InfoReply:  # noqa: N802
        return generation_pb2.InfoReply(model_id="fake", max_input_tokens=1000, max_total_tokens=2000)


def _completion(count: int) -> generation_pb2.Completion:
    return generation_pb2.Completion(
        text="text", finish_reason=generation_pb2.FINISH_REASON_LENGTH, generated_tokens=count, input_tokens=1
    )


def main() -> None:
    """Serve until SIGTERM."""
    with suppress(KeyboardInterrupt):
        asyncio.run(
            serve(
                lambda server: generation_pb2_grpc.add_GenerationServiceServicer_to_server(
                    TokenSource(), server
                ),
                service=SERVICE,
                address=sys.argv[1],
                grace=0,
            )
        )


if __name__ == "__main__":
    main()
