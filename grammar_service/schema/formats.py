"""The strings that JSON Schema's `format` allows."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from grammar_service.automata.dfa import Dfa
from grammar_service.formats import (
    address,
    clock,
    domain,
    expression,
    internationalised,
    mail,
    pointer,
    resource,
)

_LANGUAGES: dict[str, Callable[[], Dfa]] = {
    "date": clock.date,
    "date-time": clock.date_time,
    "duration": clock.duration,
    "email": mail.email,
    "hostname": domain.hostname,
    "idn-email": mail.idn_email,
    "idn-hostname": internationalised.idn_hostname,
    "ipv4": address.ipv4,
    "ipv6": address.ipv6,
    "iri": resource.iri,
    "iri-reference": resource.iri_reference,
    "json-pointer": pointer.json_pointer,
    "regex": expression.regex,
    "relative-json-pointer": pointer.relative_json_pointer,
    "time": clock.time,
    "uri": resource.uri,
    "uri-reference": resource.uri_reference,
    "uri-template": resource.uri_template,
    "uuid": address.uuid,
}

KNOWN_FORMATS = tuple(_LANGUAGES)
"""The formats of draft 2020-12, all of which are enforced."""


@lru_cache(maxsize=len(_LANGUAGES))
def format_language(name: str) -> Dfa | None:
    """The strings of a format; None if it is not known, so that it says nothing.

    No string is in it that the format's standard does not allow. Exact are: date, ipv4, ipv6, iri,
    iri-reference, json-pointer, uri, uri-reference, uuid. The others refuse some valid strings, as the
    docstrings of their functions in `grammar_service.formats` say exactly; in short:

    - date-time: leap seconds with an offset other than -12:00 to 00:00 in whole hours.
    - time: leap seconds with an offset that is not of whole half-hours.
    - duration: lower case.
    - email: domains over 127 characters, or of many long labels.
    - hostname: the same over 191 characters; labels in Punycode (`xn--`).
    - idn-hostname, idn-email: domains of more than 9 to 63 characters, by script; rarer scripts; Punycode.
    - regex: groups nested more than two deep, names, back-references, and more.
    - relative-json-pointer: the shift of an index, as in `0-1/a`.
    - uri-template: the operators that are reserved.
    """
    language = _LANGUAGES.get(name)
    return None if language is None else language()
