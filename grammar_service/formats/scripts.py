"""The letters of the main scripts in use today that IDNA 2008 allows, by where in a label they may stand."""

from __future__ import annotations

from enum import Enum, auto

from grammar_service.formats.composition import Ranges


class Kind(Enum):
    """Characters that are alike in where they may stand."""

    LOWER = auto()
    """Small ASCII letters but l."""
    L = auto()
    CAPITAL = auto()
    DIGIT = auto()
    HYPHEN = auto()
    DOT = auto()
    LETTER = auto()
    GREEK = auto()
    INDIC = auto()
    KANA_OR_HAN = auto()
    EXTENDED_DIGIT = auto()
    """Extended Arabic-Indic digits, whose direction is that of European ones."""
    VOWEL = auto()
    """Marks without a combining class."""
    COMBINING = auto()
    """Marks with one: two of them in a row might not be in Unicode's order."""
    VIRAMA = auto()
    JOINER = auto()
    NON_JOINER = auto()
    MIDDLE_DOT = auto()
    KERAIA = auto()
    KATAKANA_DOT = auto()
    HEBREW = auto()
    HEBREW_PUNCTUATION = auto()
    DUAL_JOINING = auto()
    RIGHT_JOINING = auto()
    UNJOINED = auto()
    ARABIC_DIGIT = auto()


def _ranges(listed: str) -> Ranges:
    """Read `0905-0939 0958`."""
    pairs = [item.partition("-") for item in listed.split()]
    return tuple((int(low, 16), int(high or low, 16)) for low, _, high in pairs)


# Capitals, compatibility characters and marks that compose with what precedes them (Unicode's NFC_QC) are
# left out, so that every sequence is in normal form C and stable under case folding.
_LATIN = (
    "00DF-00F6 00F8-00FF 0101 0103 0105 0107 0109 010B 010D 010F 0111 0113 0115 0117 0119 011B 011D "
    "011F 0121 0123 0125 0127 0129 012B 012D 012F 0131 0135 0137-0138 013A 013C 013E 0142 0144 0146 "
    "0148 014B 014D 014F 0151 0153 0155 0157 0159 015B 015D 015F 0161 0163 0165 0167 0169 016B 016D "
    "016F 0171 0173 0175 0177 017A 017C 017E"
)
_CYRILLIC, _TIBETAN_MARK, _HANGUL = "0430-045F", "0F0B", "AC00-D7A3"
_THAI = "0E01-0E30 0E32 0E40-0E46 0E50-0E59"

CHARACTERS: dict[Kind, Ranges] = {
    Kind.LOWER: _ranges("61-6B 6D-7A"),
    Kind.L: _ranges("6C"),
    Kind.CAPITAL: _ranges("41-5A"),
    Kind.DIGIT: _ranges("30-39"),
    Kind.HYPHEN: _ranges("2D"),
    Kind.DOT: _ranges("2E 3002 FF0E FF61"),
    Kind.LETTER: _ranges(f"{_LATIN} {_CYRILLIC} {_THAI} {_TIBETAN_MARK} 30FC {_HANGUL}"),
    Kind.GREEK: _ranges("0390 03AC-03CE"),
    Kind.INDIC: _ranges("0904-0939 093D 0950 0960-0961 0966-096F 0971-097F"),
    Kind.KANA_OR_HAN: _ranges("3005 3007 3041-3096 309D-309E 30A1-30FA 30FD-30FE 3400-4DBF 4E00-9FFF"),
    Kind.EXTENDED_DIGIT: _ranges("06F0-06F9"),
    Kind.VOWEL: _ranges(
        "0900-0903 093A-093B 093E-094C 094E-094F 0955-0957 0962-0963 0E31 0E34-0E37 0E47 0E4C-0E4E"
    ),
    Kind.COMBINING: _ranges("0E38-0E3A 0E48-0E4B"),
    Kind.VIRAMA: _ranges("094D"),
    Kind.JOINER: _ranges("200D"),
    Kind.NON_JOINER: _ranges("200C"),
    Kind.MIDDLE_DOT: _ranges("00B7"),
    Kind.KERAIA: _ranges("0375"),
    Kind.KATAKANA_DOT: _ranges("30FB"),
    Kind.HEBREW: _ranges("05D0-05EA"),
    Kind.HEBREW_PUNCTUATION: _ranges("05F3-05F4"),
    Kind.DUAL_JOINING: _ranges(
        "0620 0626 0628 062A-062E 0633-063F 0641-0647 0649-064A 066E-066F 0679-0687 069A-06BF 06C1-06C2 "
        "06CC 06CE 06D0-06D1 06FA-06FC 06FF"
    ),
    Kind.RIGHT_JOINING: _ranges(
        "0622-0625 0627 0629 062F-0632 0648 0671-0673 0688-0699 06C0 06C3-06CB 06CD 06CF 06D2-06D3 06D5 "
        "06EE-06EF"
    ),
    Kind.UNJOINED: _ranges("0621 06FD-06FE"),
    Kind.ARABIC_DIGIT: _ranges("0660-0669"),
}
COMBINING_DIACRITICS = _ranges("0300-033F 0342 0346-034E 0350-036F")
