"""Unicode's properties of characters: \\p{...} as ECMA-262 names them.

The tables are those of the `regex` package, for Python's own `unicodedata` has no scripts.
"""

from __future__ import annotations

import re
from functools import lru_cache

import regex

from grammar_service.automata.columns import END_OF_UNICODE, SURROGATES
from grammar_service.regex.tree import CharacterSet

_CATEGORY_NAMES = """
    L Letter LC Cased_Letter Lu Uppercase_Letter Ll Lowercase_Letter Lt Titlecase_Letter Lm Modifier_Letter
    Lo Other_Letter M Mark Combining_Mark Mn Nonspacing_Mark Mc Spacing_Mark Me Enclosing_Mark N Number
    Nd Decimal_Number digit Nl Letter_Number No Other_Number P Punctuation punct Pc Connector_Punctuation
    Pd Dash_Punctuation Ps Open_Punctuation Pe Close_Punctuation Pi Initial_Punctuation Pf Final_Punctuation
    Po Other_Punctuation S Symbol Sm Math_Symbol Sc Currency_Symbol Sk Modifier_Symbol So Other_Symbol
    Z Separator Zs Space_Separator Zl Line_Separator Zp Paragraph_Separator C Other Cc Control cntrl
    Cf Format Co Private_Use Cn Unassigned
"""
_BINARY_NAMES = """
    ASCII Any Assigned Alphabetic Alpha ASCII_Hex_Digit AHex Hex_Digit Hex Lowercase Lower Uppercase Upper
    White_Space space ID_Start ID_Continue XID_Start XID_Continue Dash Diacritic Dia Math
    Ideographic Ideo Emoji Emoji_Presentation EPres Extended_Pictographic ExtPict Quotation_Mark QMark
    Default_Ignorable_Code_Point DI Cased Case_Ignorable CI Noncharacter_Code_Point NChar
"""
_CATEGORIES = frozenset(_CATEGORY_NAMES.split())
_BINARY = frozenset(_BINARY_NAMES.split())
_CATEGORY_KEYS = ("General_Category", "gc")
_SCRIPT_KEYS = {"Script": "Script", "sc": "Script", "Script_Extensions": "scx", "scx": "scx"}


@lru_cache(maxsize=64)
def with_property(name: str) -> CharacterSet | None:
    """The characters that \\p{name} stands for; None if there is no such property."""
    key, equals, value = name.partition("=")
    if not equals:
        key, value = "General_Category" if name in _CATEGORIES else "", name
    if key in _CATEGORY_KEYS:
        return _matching(rf"\p{{gc={value}}}") if value in _CATEGORIES else None
    if key in _SCRIPT_KEYS:
        return _matching(rf"\p{{{_SCRIPT_KEYS[key]}={value}}}") if re.fullmatch(r"[A-Z]\w+", value) else None
    if key or value not in _BINARY:
        return None
    return CharacterSet(((0, 0x7F),)) if value == "ASCII" else _matching(rf"\p{{{value}}}")


def _matching(expression: str) -> CharacterSet | None:
    try:
        runs = regex.compile(f"{expression}+")
    except regex.error:  # how the package reports a name that it does not know
        return None
    return CharacterSet.of(
        (ord(run[0][0]), ord(run[0][-1])) for characters in _characters() for run in runs.finditer(characters)
    )


@lru_cache(maxsize=1)
def _characters() -> tuple[str, str]:
    """All characters: those before the surrogates, and those after."""
    return "".join(map(chr, range(SURROGATES[0]))), "".join(map(chr, range(SURROGATES[1], END_OF_UNICODE)))
