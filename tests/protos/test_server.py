"""The gRPC server that all services have."""

from __future__ import annotations

import socket

import pytest

from protos.server import serve


async def test_an_address_that_cannot_be_bound_is_named_and_ends_the_process() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(SystemExit) as ended:
            await serve(lambda server: None, service="nothing", address=address, grace=0)
    assert address in str(ended.value)
