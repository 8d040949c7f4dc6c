"""Addresses as they are written, listened on and connected to."""

from __future__ import annotations

import socket

import pytest

from launcher.address import Address, free_addresses, local_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:80", Address("127.0.0.1", 80)),
        ("[::1]:80", Address("::1", 80)),
        ("shard:0", Address("shard", 0)),
    ],
)
def test_an_address_reads_as_it_is_written(text: str, address: Address) -> None:
    assert Address.parse(text) == address
    assert str(address) == text


@pytest.mark.parametrize(
    ("host", "reachable"), [("0.0.0.0", "127.0.0.1"), ("::", "::1"), ("10.1.1.1", "10.1.1.1")]
)
def test_every_interface_is_reached_over_the_loopback(host: str, reachable: str) -> None:
    assert Address(host, 3000).reachable == Address(reachable, 3000)


def test_free_addresses_are_free_and_different() -> None:
    addresses = free_addresses(5)
    assert len(set(addresses)) == 5
    for address in addresses:
        address.require_free()


def test_a_taken_port_is_replaced_by_a_free_one() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        taken = listener.getsockname()[1]
        assert local_address(taken).port != taken
    assert local_address(taken).port == taken
