"""Client channels with the options every caller of these services needs."""

from __future__ import annotations

import grpc

MAX_MESSAGE_BYTES = 64 * 1024 * 1024
"""Automata of large schemas pass gRPC's default of 4 MiB."""

OPTIONS: list[tuple[str, int]] = [
    ("grpc.enable_http_proxy", 0),  # services talk to each other directly
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
]


def open_channel(address: str) -> grpc.aio.Channel:
    """A channel to `address` (host:port) that finds a restarted service again within a second."""
    return grpc.aio.insecure_channel(
        address,
        options=[
            *OPTIONS,
            ("grpc.keepalive_time_ms", 20_000),
            ("grpc.keepalive_timeout_ms", 10_000),
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", 1_000),
            ("grpc.use_local_subchannel_pool", 1),
        ],
    )
