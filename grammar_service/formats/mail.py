"""Mail addresses of RFC 5321 and RFC 6531."""

from __future__ import annotations

from collections.abc import Iterator

from grammar_service.automata.columns import END_OF_UNICODE
from grammar_service.automata.dfa import Dfa
from grammar_service.formats.address import ipv4, ipv6
from grammar_service.formats.composition import MAX_STATES, Ranges, concatenation, machine, union
from grammar_service.formats.domain import dotted_labels
from grammar_service.formats.internationalised import internationalised_labels
from grammar_service.regex.automaton import fullmatch

MAX_LOCAL_PART = 64
_ENCODED: tuple[Ranges, ...] = (
    ((0, 0x7F),),
    ((0x80, 0x7FF),),
    ((0x800, 0xFFFF),),
    ((0x10000, END_OF_UNICODE - 1),),
)
"""The characters that take one octet in UTF-8, two, and so on."""


def email() -> Dfa:
    """`Mailbox` of RFC 5321: a local part of at most 64 octets, and a domain or the literal of an address.

    Refused are `General-address-literal`s, for no tag but `IPv6` is registered, and domains that are long and
    of many labels: see `dotted_labels`, of which one label is free here.
    """
    return _mailbox("", dotted_labels(free=1, punycode=True))


def idn_email() -> Dfa:
    """`Mailbox` of RFC 6531: `email` with characters beyond ASCII.

    The local part may have any of them; for the domain see `internationalised_labels`.
    """
    return _mailbox(r"\x80-\U0010ffff", internationalised_labels(composed=False))


def _mailbox(more: str, domain: Dfa) -> Dfa:
    atom = rf"[0-9A-Za-z!#$%&'*+\-/=?^_`{{|}}~{more}]+"
    quoted = rf'"(?:[ !#-\[\]-~{more}]|\\[ -~])*"'
    local = fullmatch(rf"{atom}(?:\.{atom})*|{quoted}")
    local = local.intersection(_octets(MAX_LOCAL_PART), max_states=MAX_STATES)
    literal = concatenation(
        r"\[", union(ipv4(), concatenation("[Ii][Pp][Vv]6:", ipv6(most_beside_gap=6))), r"\]"
    )
    return concatenation(local, "@", union(domain, literal)).minimised()


def _octets(most: int) -> Dfa:
    """The strings of at most so many octets in UTF-8."""

    def moves(count: int) -> Iterator[tuple[Ranges, int]]:
        for octets, ranges in enumerate(_ENCODED, start=1):
            if count + octets <= most:
                yield ranges, count + octets

    return machine(0, moves, lambda _: True)
