"""Schemas that nobody writes in good faith: as text, for not all of them are JSON."""

from __future__ import annotations

import json
from random import Random

from hypothesis import strategies as st

from benchmarks.fuzz.expressions import garbage

_NUMBERS = (
    *("1e400", "-1e400", "1e-400", "1e999999999", "1e-999999999", "-0", "0.0", "-0.0e-0", "NaN", "Infinity"),
    *("-Infinity", "1" + "0" * 5000, "0." + "0" * 5000 + "1", "9" * 399, "0." + "3" * 380, "1e399", "1E-399"),
    *("2147483648", "9223372036854775808", "1e12", "1.5", "-1", "01", "1.", ".5", "1e", "0x10", "1_0"),
)
_NUMERIC = (
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength"),
    *("minItems", "maxItems", "minProperties", "maxProperties", "minContains", "maxContains", "const"),
)
_STRINGS = (
    *(r"\ud800", r"\udc00\ud800", r"\u0000", r"\u12", r"\x41", "\x01", "\ufeff", r"\ud83d\ude00", "\u2028"),
    *("~", "~2", "%", "%zz", "#/%C3", "a" * 3000),
)
_STRING_KEYWORDS = (
    "pattern",
    "format",
    "$ref",
    "$id",
    "$anchor",
    "$schema",
    "const",
    "type",
    "title",
    "$dynamicRef",
)
_PATTERNS = (
    *("(a+)+$", "(a|a)*$", "^(a|aa)+$", "(.*)*", "(.*.*.*)*x", "((a{1,100}){1,100}){1,100}", "a{99999}"),
    *("(a?){500}a{500}", "^(?=.*a)(?=.*b)(?=.*c)(?=.*d)(?=.*e)(?=.*f).*$", "(a|b)*a(a|b){20}", "x{0,100000}"),
    *("(?!(?!(?!a)b)c)", "(?<=a{50})b", "[" * 500, "(" * 5000, "(?:" * 300 + ")" * 300, "|" * 5000),
    *(".{1000}.{1000}", r"\p{L}{300}", r"(?i)\w{200}", r"[\u0000-\uffff]{500}", "(?:a|b|c|d|e){0,5000}"),
    *(r"(\w+\s?){50}", r"^(([a-z0-9]+\.)*[a-z]+)*@", "(?=a{1000})(?=b{1000})", "(?:(?=a).)*(?:(?!b).)*" * 8),
)
_NESTED = (
    *(('{"items":', "}"), ('{"not":', "}"), ('{"allOf":[', "]}"), ('{"anyOf":[{},', "]}"), ("[", "]")),
    *(
        ('{"properties":{"a":', "}}"),
        ('{"additionalProperties":', "}"),
        ('{"const":[', "]}"),
        ('{"$defs":{"a":', "}}"),
    ),
    *(('{"if":{"minLength":1},"then":', "}"), ('{"contains":', "}"), ('{"oneOf":[{"type":"null"},', "]}")),
    *(('{"dependentSchemas":{"a":', "}}"), ('{"not":{"properties":{"a":', "}}}"), ('{"propertyNames":', "}")),
)
_WHOLE = (
    *(
        "",
        " ",
        "null",
        "0",
        '"a"',
        "[]",
        "{",
        "{}{}",
        "\ufeff{}",
        "{'a':1}",
        '{"a":1,}',
        "tru",
        "/**/{}",
        '{"a"}',
    ),
    '{"minimum":1,"minimum":2}',
    '{"properties":{"a":{},"a":false},"required":["a"]}',
    '{"$ref":"#"}',
    '{"$ref":"#/$defs/a","$defs":{"a":{"$ref":"#/$defs/b"},"b":{"$ref":"#/$defs/a"}}}',
    '{"allOf":[{"$ref":"#"}]}',
    '{"not":{"$ref":"#"}}',
    '{"if":{"$ref":"#"}}',
    '{"items":{"$ref":"#"},"not":{"items":{"$ref":"#"}}}',
    '{"properties":{"a":{"$ref":"#"}},"anyOf":[{"$ref":"#/properties/a"},{"required":["a"]}]}',
    '{"$ref":"#/$ref"}',
    '{"$ref":"#/properties","properties":{"type":{}}}',
    '{"$ref":"#/enum/0","enum":[{}]}',
    '{"$id":"http://[","$ref":"a"}',
    '{"$id":"a","$ref":"http://[::1"}',
    '{"$anchor":1}',
    '{"$id":1}',
    '{"$dynamicRef":"#a"}',
    '{"required":["a","a"]}',
    '{"type":["null","null"]}',
    '{"type":[["null"]]}',
    '{"type":{}}',
    '{"enum":[1,1.0,1e0,true]}',
)


def _blown_up(width: int, random: Random) -> str:
    """One keyword, very wide."""
    schemas = [{"const": f"{random.random()}"} for _ in range(width)]
    keyed = {f"key {number}": {"type": "integer"} for number in range(width)}
    wide = random.choice(
        [
            {"enum": [f"{random.random()}" for _ in range(width)]},
            {"anyOf": schemas},
            {"oneOf": schemas},
            {"allOf": [{"not": each} for each in schemas]},
            {"properties": keyed, "additionalProperties": False},
            {"properties": keyed, "required": list(keyed)[::2]},
            {"patternProperties": {f"a.{{{number}}}b": {} for number in range(width // 10)}},
            {"patternProperties": {f"^{number}": {"minimum": number} for number in range(width // 10)}},
            {"anyOf": [{"required": [key]} for key in keyed], "properties": keyed},
            {"oneOf": [{"required": [key]} for key in keyed], "properties": keyed},
            {"dependentRequired": {key: list(keyed)[:3] for key in keyed}, "properties": keyed},
            {"prefixItems": schemas, "uniqueItems": True},
            {"items": {"enum": list(range(width))}, "uniqueItems": True},
            {"contains": {"const": 1}, "minContains": width, "maxContains": width + 3},
            {
                "anyOf": [
                    {"properties": dict.fromkeys(list(keyed)[:number], False)} for number in range(width)
                ]
            },
            {"multipleOf": width * 1009, "maximum": 10**9},
            {"allOf": [{"multipleOf": prime} for prime in (7, 11, 13, 17, 19, 23)[: 1 + width // 50]]},
            {"allOf": [{"pattern": f"a.{{{number}}}b"} for number in range(width // 10)]},
            {"not": {"allOf": schemas}},
            {"items": {"items": {"maxItems": width}, "maxItems": width}, "maxItems": width},
            {"unevaluatedProperties": False, "anyOf": [{"properties": {key: {}}} for key in keyed]},
        ]
    )
    return json.dumps(wide)


def _damaged(text: str, random: Random) -> str:
    """The text with a few characters lost, doubled, swapped or replaced."""
    letters = list(text)
    for _ in range(random.randint(1, 4)):
        start = random.randrange(len(letters) + 1)
        stop = min(len(letters), start + random.choice([1, 1, 1, 5, 30]))
        letters[start:stop] = random.choice(
            [
                [],
                letters[start:stop] * 2,
                letters[start:stop][::-1],
                [random.choice('{}[],:"\\0e-.#/$\n\x00é')],
            ]
        )
    return "".join(letters)


def _keyword(keyword: str, text: str) -> str:
    return f'{{"{keyword}":{text}}}'


texts: st.SearchStrategy[str] = st.one_of(
    st.sampled_from(_WHOLE),
    st.builds(_keyword, st.sampled_from(_NUMERIC), st.sampled_from(_NUMBERS)),
    st.builds(
        lambda k, n, m: f'{{"{k}":{n},"type":"{m}"}}',
        st.sampled_from(_NUMERIC),
        st.sampled_from(_NUMBERS),
        st.sampled_from(["integer", "number", "string", "array", "object"]),
    ),
    st.builds(
        lambda k, t: _keyword(k, f'"{t}"'), st.sampled_from(_STRING_KEYWORDS), st.sampled_from(_STRINGS)
    ),
    st.builds(lambda t: f'{{"properties":{{"{t}":{{}}}},"required":["{t}"]}}', st.sampled_from(_STRINGS)),
    st.builds(lambda p: json.dumps({"pattern": p}), st.one_of(st.sampled_from(_PATTERNS), garbage)),
    st.builds(lambda p: json.dumps({"patternProperties": {p: {"type": "null"}}}), st.sampled_from(_PATTERNS)),
    st.builds(
        lambda p, q: json.dumps({"pattern": p, "not": {"pattern": q}}),
        st.sampled_from(_PATTERNS),
        st.sampled_from(_PATTERNS),
    ),
    st.builds(
        lambda ends, depth, inside: ends[0] * depth + inside + ends[1] * depth,
        st.sampled_from(_NESTED),
        st.sampled_from([5, 12, 30, 100, 400, 1000, 20_000]),
        st.sampled_from(['{"type":"string"}', "true", "{}", ""]),
    ),
    st.builds(_blown_up, st.sampled_from([10, 100, 1000, 5000]), st.randoms(use_true_random=False)),
)


def damaged(sound: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Sound texts with small damages."""
    return st.builds(_damaged, sound, st.randoms(use_true_random=False))


patterns = st.one_of(st.sampled_from(_PATTERNS), garbage)
