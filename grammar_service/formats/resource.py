"""URIs, IRIs and URI templates."""

from __future__ import annotations

from grammar_service.automata.dfa import Dfa
from grammar_service.formats.address import ipv6
from grammar_service.formats.composition import concatenation, union
from grammar_service.regex.automaton import fullmatch

_PLANES = "".join(f"\\U{plane:04x}0000-\\U{plane:04x}fffd" for plane in range(1, 14))
_UCSCHAR = rf"\u00a0-\ud7ff\uf900-\ufdcf\ufdf0-\uffef{_PLANES}\U000e1000-\U000efffd"
_PRIVATE = r"\ue000-\uf8ff\U000f0000-\U000ffffd\U00100000-\U0010fffd"
_ESCAPED = "%[0-9A-Fa-f]{2}"
_UNRESERVED = r"0-9A-Za-z\-._~"
_SUB_DELIMITERS = "!$&'()*+,;="


def uri() -> Dfa:
    """`URI` of RFC 3986."""
    return _identifiers("", "", reference=False)


def uri_reference() -> Dfa:
    """`URI-reference` of RFC 3986."""
    return _identifiers("", "", reference=True)


def iri() -> Dfa:
    """`IRI` of RFC 3987, whose advice on bidirectional text has no part in its syntax."""
    return _identifiers(_UCSCHAR, _PRIVATE, reference=False)


def iri_reference() -> Dfa:
    """`IRI-reference` of RFC 3987."""
    return _identifiers(_UCSCHAR, _PRIVATE, reference=True)


def _identifiers(more: str, private: str, *, reference: bool) -> Dfa:
    """With `more` characters beside the unreserved ones, and `private` ones in queries too."""
    registered = f"[{_UNRESERVED}{more}{_SUB_DELIMITERS}]|{_ESCAPED}"
    segment = f"(?:{registered}|[:@])"
    fragment = f"(?:{segment}|[/?])*"
    query = f"(?:{segment}|[/?{private}])*"
    end = rf"(?:\?{query})?(?:#{fragment})?"
    scheme = r"[A-Za-z][A-Za-z0-9+.\-]*:"
    before_host = f"//(?:(?:{registered}|:)*@)?"
    after_host = f"(?::[0-9]*)?(?:/{segment}*)*{end}"
    rootless = f"{segment}+(?:/{segment}*)*"
    no_host = f"(?:/(?:{rootless})?|{rootless})?{end}"
    plain = f"{scheme}(?:{before_host}(?:{registered})*{after_host}|{no_host})"
    if reference:
        no_host = f"(?:/(?:{rootless})?|(?:{registered}|@)+(?:/{segment}*)*)?{end}"
        plain = f"(?:{plain}|{before_host}(?:{registered})*{after_host}|{no_host})"
        scheme = f"(?:{scheme})?"
    later_version = f"[Vv][0-9A-Fa-f]+[.][{_UNRESERVED}{_SUB_DELIMITERS}:]+"
    literal = union(ipv6(), later_version)
    return union(plain, concatenation(rf"{scheme}{before_host}\[", literal, rf"\]{after_host}")).minimised()


def uri_template() -> Dfa:
    """`URI-Template` of RFC 6570 with its erratum on the apostrophe.

    The operators = , ! @ | are refused: the RFC reserves them, and an expression with one is an error.
    """
    literal = rf"[!#$&'()*+,\-./0-9:;=?@A-Z\[\]_a-z~{_UCSCHAR}{_PRIVATE}]|{_ESCAPED}"
    name_character = f"(?:[0-9A-Za-z_]|{_ESCAPED})"
    name = rf"{name_character}(?:\.?{name_character})*"
    variable = rf"{name}(?::[1-9][0-9]{{0,3}}|\*)?"
    return fullmatch(rf"(?:{literal}|\{{[+#./;?&]?{variable}(?:,{variable})*\}})*")
