"""`python -m benchmarks.router.profiled FILE`: the router, telling in FILE where its time went.

Every millisecond of CPU time the kernel interrupts it, and the innermost frame of a module below is what the
time is counted for. That costs little and distorts nothing, where tracing every call would do both.
"""

from __future__ import annotations

import json
import signal
import sys
from collections import Counter
from pathlib import Path
from types import FrameType

from router.__main__ import main as serve_router

PARTS = (
    ("/grpc/", "gRPC"),
    ("/google/protobuf/", "protobuf"),
    ("/protos/", "protobuf"),
    ("/router/shard_client", "events from messages"),
    ("/router/generation", "the use case"),
    ("/router/api/", "JSON"),
    ("/router/streaming", "SSE response"),
    ("/router/connection", "SSE response"),
    ("/router/", "the rest of the router"),
    ("/uvicorn/", "HTTP server"),
    ("/h11/", "HTTP server"),
    ("/starlette/", "HTTP framework"),
    ("/fastapi/", "HTTP framework"),
    ("/pydantic", "HTTP framework"),
    ("/asyncio/", "event loop, and native code that it calls"),
)

INTERVAL_SECONDS = 0.001


class Profile:
    """Counts where the process is found when its timer goes off."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def start(self) -> None:
        """Be interrupted from now on."""
        signal.signal(signal.SIGPROF, self._interrupted)
        signal.setitimer(signal.ITIMER_PROF, INTERVAL_SECONDS, INTERVAL_SECONDS)

    def stop(self) -> dict[str, int]:
        """How often each part was found."""
        signal.setitimer(signal.ITIMER_PROF, 0)
        return dict(self._counts.most_common())

    def _interrupted(self, _: int, frame: FrameType | None) -> None:
        self._counts[part(frame)] += 1


def part(frame: FrameType | None) -> str:
    """The part that the innermost known frame belongs to."""
    while frame is not None:
        name = next((name for path, name in PARTS if path in frame.f_code.co_filename), None)
        if name is not None:
            return name
        frame = frame.f_back
    return "the rest"


def main() -> None:
    """Serve until SIGTERM, then write what was found."""
    profile = Profile()
    profile.start()
    serve_router()
    Path(sys.argv[1]).write_text(json.dumps(profile.stop()))


if __name__ == "__main__":
    main()
