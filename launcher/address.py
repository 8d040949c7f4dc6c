"""A host and a port: where something listens, how it is reached, whether it is still free."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from dataclasses import dataclass

_EVERY_INTERFACE = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}


@dataclass(frozen=True)
class Address:
    """A TCP address; the host of an IPv6 one is without brackets."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read host:port or [host]:port.

        Raises:
            ValueError: it is neither.
        """
        host, separator, port = text.rpartition(":")
        if not separator or not port.isdecimal() or int(port) > 65535:
            raise ValueError(f"{text!r} is not host:port")
        return cls(host.removeprefix("[").removesuffix("]"), int(port))

    @property
    def reachable(self) -> Address:
        """Where a client on this machine connects to: the loopback if this means every interface."""
        return Address(_EVERY_INTERFACE.get(self.host, self.host), self.port)

    def require_free(self) -> None:
        """Raise OSError, with the reason, if nothing can listen here."""
        family, kind, protocol, _, where = socket.getaddrinfo(
            self.host or None, self.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as listener:
            # as servers do: connections of an ended server that linger must not count
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(where)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def local_address(port: int) -> Address:
    """`port` on the loopback, or, if that is taken, a free one, for as long as nobody takes it."""
    address = Address("127.0.0.1", port)
    try:
        address.require_free()
    except OSError:
        (address,) = free_addresses(1)
    return address


def free_addresses(count: int) -> list[Address]:
    """`count` different free addresses on the loopback; they stay free only as long as nobody takes them."""
    with ExitStack() as stack:
        listeners = [stack.enter_context(socket.socket()) for _ in range(count)]
        for listener in listeners:
            listener.bind(("127.0.0.1", 0))
        return [Address("127.0.0.1", listener.getsockname()[1]) for listener in listeners]
