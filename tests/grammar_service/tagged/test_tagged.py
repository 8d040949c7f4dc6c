"""Tagged grammars as callers need them, and those that are refused."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

import pytest

from grammar_service.compiler import compile_grammar
from grammar_service.limits import Limits
from protos import grammar_pb2
from protos.automaton import Automaton
from protos.errors import InvalidRequestError
from protos.grammar_pb2 import (
    FREE_TEXT_ANYWHERE,
    FREE_TEXT_BEFORE,
    FREE_TEXT_NOWHERE,
    Choice,
    Grammar,
    JsonObject,
    Tag,
    Tagged,
)

ANY_OBJECT = Grammar(json_object=JsonObject())


def compiled(tagged: Tagged) -> Automaton:
    outcome = compile_grammar(Grammar(tagged=tagged), Limits(max_states=50_000))
    return Automaton.from_message(outcome.automaton)


def accepted(tagged: Tagged, answers: Sequence[str]) -> list[str]:
    automaton = compiled(tagged)
    return [answer for answer in answers if automaton.accepts(answer.encode())]


def call_of(name: str) -> dict[str, object]:
    """The schema of a call of one tool."""
    arguments = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    properties = {"name": {"const": name}, "arguments": arguments}
    return {"type": "object", "properties": properties, "required": ["name", "arguments"]}


EITHER = {"anyOf": [call_of("weather"), call_of("news")]}
WEATHER = '{"name": "weather", "arguments": {"city": "Köln"}}'
NEWS = '{"name": "news", "arguments": {"city": "日本"}}'

HERMES = Tag(begin="<tool_call>\n", content=Grammar(json_schema=json.dumps(EITHER)), end="\n</tool_call>")
TEXTS = ["", "hello", 'a { [ " < <tool <tool_cal> é', "</tool_call>"]
CALL, OTHER_CALL = f"<tool_call>\n{WEATHER}\n</tool_call>", f"<tool_call>\n{NEWS}\n</tool_call>"
BROKEN = [
    "<tool_call>",
    "<tool_call>x",
    "<tool_call>\n{}\n</tool_call>",
    CALL[:-1],
    CALL.replace("weather", "wether"),
]


def test_tools_may_be_called_anywhere_in_text() -> None:
    valid = [
        *TEXTS,
        CALL,
        CALL + OTHER_CALL,
        f"a{CALL}\n{OTHER_CALL}b",
        *(text + CALL + text for text in TEXTS),
    ]
    tagged = Tagged(tags=[HERMES], triggers=["<tool_call>"])
    assert accepted(tagged, [*valid, *BROKEN, CALL + BROKEN[0]]) == valid


def test_without_triggers_only_what_begins_a_tag_is_no_text() -> None:
    automaton = compiled(Tagged(tags=[HERMES]))
    assert automaton.accepts(b"<tool_call>{}")
    assert not automaton.accepts(b"<tool_call>\n{}")


def test_a_tool_can_be_required_after_text_or_at_once() -> None:
    first = Tagged(tags=[HERMES], at_least_one=True)
    assert accepted(first, [*TEXTS, "a" + CALL, CALL + OTHER_CALL + "b"]) == [
        "a" + CALL,
        CALL + OTHER_CALL + "b",
    ]
    nothing_else = Tagged(tags=[HERMES], at_least_one=True, free_text=FREE_TEXT_NOWHERE, separator="\n")
    answers = [*TEXTS, CALL, "a" + CALL, CALL + "\n" + OTHER_CALL, CALL + OTHER_CALL, CALL + "\n"]
    assert accepted(nothing_else, answers) == [CALL, CALL + "\n" + OTHER_CALL]


def test_an_answer_can_stop_after_its_first_call() -> None:
    tagged = Tagged(tags=[HERMES], stop_after_first=True)
    assert accepted(tagged, [*TEXTS, "a" + CALL, CALL + "b", CALL + CALL]) == [*TEXTS, "a" + CALL]
    alone = Tagged(tags=[HERMES], stop_after_first=True, at_least_one=True, free_text=FREE_TEXT_NOWHERE)
    assert accepted(alone, [*TEXTS, CALL, "a" + CALL, CALL + CALL]) == [CALL]


def test_text_can_be_kept_to_what_comes_before_the_calls() -> None:
    tagged = Tagged(tags=[HERMES], triggers=["<tool_call>"], free_text=FREE_TEXT_BEFORE, separator="\n")
    valid = [*TEXTS, CALL, "a" + CALL, "a" + CALL + "\n" + OTHER_CALL]
    assert accepted(tagged, [*valid, CALL + "a", CALL + "\n", CALL + "\na", CALL + CALL]) == valid


def test_reasoning_comes_before_an_answer_in_json() -> None:
    tag = Tag(begin="</think>", content=Grammar(json_schema='{"type": ["integer", "object"]}'))
    tagged = Tagged(tags=[tag], at_least_one=True, stop_after_first=True)
    answers = ["hm {1}</think>5", "</think>{}", "5", "</think>", "a</think>5 b", "a</thin</think>15"]
    assert accepted(tagged, answers) == ["hm {1}</think>5", "</think>{}", "a</thin</think>15"]


def test_mistrals_calls_are_one_list() -> None:
    for most, valid in ((None, 2), (1, 1)):
        calls: dict[str, object] = {"type": "array", "items": EITHER, "minItems": 1}
        content = Grammar(json_schema=json.dumps(calls if most is None else {**calls, "maxItems": most}))
        tagged = Tagged(tags=[Tag(begin="[TOOL_CALLS] ", content=content)], stop_after_first=True)
        answers = [f"hi[TOOL_CALLS] [{WEATHER}]", f"[TOOL_CALLS] [{WEATHER}, {NEWS}]"]
        assert accepted(tagged, [*answers, "[TOOL_CALLS] []", "[TOOL_CALLS]x [] y"]) == [
            *answers[:valid],
            "[TOOL_CALLS]x [] y",
        ]


def in_one_list(**options: Any) -> Tagged:
    """Calls of the tools a and b as Mistral's models write them."""
    schema = {"properties": {"city": {"$ref": "#/$defs/place"}}, "$defs": {"place": {"enum": ["é"]}}}
    arguments = Grammar(json_schema=json.dumps(schema))
    tags = [Tag(begin=f'{{"name": "{name}", "arguments": ', content=arguments, end="}") for name in "ab"]
    return Tagged(tags=tags, open="[TOOL_CALLS][", close="]", **options)


def test_what_stands_around_all_calls_can_be_given() -> None:
    one, other = (f'{{"name": "{name}", "arguments": {{"city": "é"}}}}' for name in "ab")
    valid = ["", 'no {"name": "a", "arguments": 5', f"[TOOL_CALLS][{one}]", f"[[TOOL_CALLS][{other}, {one}]"]
    wrong = ["[TOOL_CALLS][]", f"[TOOL_CALLS][{one}", f"[TOOL_CALLS][{one}]]", f"[TOOL_CALLS][{one}{one}]"]
    after_text = in_one_list(free_text=FREE_TEXT_BEFORE, separator=", ")
    assert accepted(after_text, [*valid, *wrong]) == valid
    required = in_one_list(free_text=FREE_TEXT_NOWHERE, at_least_one=True, separator=", ")
    assert accepted(required, [*valid, *wrong]) == [valid[2]]
    single = in_one_list(free_text=FREE_TEXT_NOWHERE, stop_after_first=True)
    assert accepted(single, [*valid, *wrong]) == ["", valid[2]]


def test_llamas_calls_are_objects_between_separators() -> None:
    arguments = Grammar(json_schema=json.dumps(call_of("")["properties"]["arguments"]))  # type: ignore[index]
    tags = [
        Tag(begin=f'{{"name": "{name}", "parameters": ', content=arguments, end="}")
        for name in ("weather", "weather_tomorrow")
    ]
    tagged = Tagged(tags=tags, triggers=['{"name": '], free_text=FREE_TEXT_BEFORE, separator="; ")
    calls = [
        f'{{"name": "{name}", "parameters": {{"city": "é"}}}}' for name in ("weather", "weather_tomorrow")
    ]
    valid = ["{}", 'a {"name"', calls[0], "text " + calls[1], "; ".join([*calls, *calls])]
    assert (
        accepted(tagged, [*valid, calls[0] + calls[1], calls[0][:-1], calls[0].replace("weather", "x")])
        == valid
    )


def test_each_tool_may_have_a_tag_of_its_own() -> None:
    names = [f"tool_{number}" for number in range(40)]
    tags = [
        Tag(
            begin=f"<function={name}>",
            content=Grammar(json_schema=json.dumps({"const": name})),
            end="</function>",
        )
        for name in names
    ]
    call, wrong = '<function=tool_7>"tool_7"</function>', '<function=tool_8>"tool_7"</function>'
    assert accepted(Tagged(tags=tags), ["<function=tool_99>", call, wrong]) == ["<function=tool_99>", call]
    assert accepted(Tagged(tags=tags, triggers=["<function="]), ["<function=tool_99>", call, wrong]) == [call]


def test_tags_contain_grammars_of_all_kinds_each_with_its_options() -> None:
    tags = [
        Tag(
            begin="<o>", content=Grammar(json_object=JsonObject(), whitespace=grammar_pb2.WHITESPACE_COMPACT)
        ),
        Tag(begin="<s>", content=Grammar(json_schema='{"properties": {"a": {}}}', strict=False), end="\n"),
        Tag(begin="<r>", content=Grammar(regex="[a-z{é]+"), end="</r>"),
        Tag(begin="<c>", content=Grammar(choice=Choice(values=["ja", "nein", "ja!"])), end="."),
    ]
    valid = ['<o>{"a":1}', '<s>{"b": 1}\n', "<s>true\n", "<r>{é</r>{", "<c>ja!.<c>ja.", '<o>{}<o>{}{"']
    assert accepted(Tagged(tags=tags), [*valid, '<o>{"a": 1}', "<s>1", "<r></r>", "<c>jein."]) == valid


def test_characters_of_several_bytes_may_begin_tags() -> None:
    tags = [Tag(begin="→é", content=ANY_OBJECT), Tag(begin="→日→", content=ANY_OBJECT, end="←")]
    valid = ["→", "→→", "→è日本é", "→→é{}", "→日→é{}", "→日→{}←→日", "→日日→"]
    assert accepted(Tagged(tags=tags), [*valid, "→é", "→日→{}", "→日→é"]) == [
        "→",
        "→→",
        "→è日本é",
        "→→é{}",
        *valid[5:],
    ]


def tag_of(begin: str, content: Grammar = ANY_OBJECT, end: str = "") -> Tag:
    return Tag(begin=begin, content=content, end=end)


A = tag_of("<a>")
FIRST = "tagged.tags[0].content: "
GOES_ON = FIRST + "what it matches may go on right after"
NUMBER = FIRST + "a number may go on where it ends"


@pytest.mark.parametrize(
    ("tagged", "why"),
    [
        (Tagged(), "tagged.tags: there must be 1 to 128, not 0"),
        (Tagged(tags=[tag_of(f"<{n}>") for n in range(129)]), "tagged.tags: there must be 1 to 128, not 129"),
        (Tagged(tags=[A, tag_of("")]), "tagged.tags[1].begin is empty"),
        (Tagged(tags=[tag_of("x" * 257)]), "tagged.tags[0].begin is longer than 256 characters"),
        (Tagged(tags=[tag_of("x", end="x" * 257)]), "tagged.tags[0].end is longer than 256 characters"),
        (Tagged(tags=[A, A]), "tagged.tags[1].begin is the same as tagged.tags[0].begin"),
        (Tagged(tags=[A, tag_of("<a")]), "tagged.tags[1].begin is how tagged.tags[0].begin begins, too"),
        (Tagged(tags=[A, tag_of("x<a>")]), "tagged.tags[1].begin contains tagged.tags[0].begin"),
        (Tagged(tags=[A], triggers=[""]), "tagged.triggers[0] is empty"),
        (Tagged(tags=[A], triggers=["<", "x"]), "tagged.triggers[1] begins no tag"),
        (
            Tagged(tags=[A, tag_of("b")], triggers=["<"]),
            "tagged.tags[1].begin begins with none of tagged.triggers",
        ),
        (
            Tagged(tags=[A, tag_of("a")], triggers=["<a", "a"]),
            "tagged.triggers[0] contains tagged.triggers[1]",
        ),
        (Tagged(tags=[A], triggers=["<a>" * 99]), "tagged.triggers[0] is longer than 256 characters"),
        (
            Tagged(tags=[A], triggers=["<"], free_text=FREE_TEXT_NOWHERE),
            "tagged.triggers: there is no free text",
        ),
        (Tagged(tags=[A], separator=","), "tagged.separator: no part ever follows another one directly"),
        (
            Tagged(tags=[A], separator=",", free_text=FREE_TEXT_BEFORE, stop_after_first=True),
            "tagged.separator: no part ever follows another one directly",
        ),
        (Tagged(tags=[A], open="["), "tagged.open and tagged.close: parts stand anywhere"),
        (Tagged(tags=[A], close="]"), "tagged.open and tagged.close: parts stand anywhere"),
        (
            Tagged(tags=[A], open="[", triggers=["<"], free_text=FREE_TEXT_BEFORE),
            "tagged.triggers: tagged.open is the only one there is",
        ),
        (Tagged(tags=[A], separator="x" * 257), "tagged.separator is longer than 256 characters"),
        (
            Tagged.FromString(Tagged(tags=[A]).SerializeToString() + b"\x28\x07"),
            "tagged.free_text: 7 is nothing",
        ),
        (Tagged(tags=[A, tag_of("b", Grammar())]), "tagged.tags[1].content: the grammar is empty"),
        (
            Tagged(tags=[tag_of("b", Grammar(tagged=Tagged(tags=[A])))]),
            "tagged.tags[0].content: a tagged grammar cannot stand inside another one",
        ),
        (
            Tagged(tags=[A, tag_of("b", Grammar(json_schema='{"properties": {"a": {"$ref": "#/x"}}}'))]),
            'tagged.tags[1].content: "$ref" at "/properties/a"',
        ),
        (
            Tagged(tags=[A, tag_of("b", Grammar(json_schema="false"))]),
            "tagged.tags[1].content: nothing can satisfy it",
        ),
        (Tagged(tags=[tag_of("b", Grammar(regex="a^b"))]), "tagged.tags[0].content: nothing can satisfy it"),
        (
            Tagged(tags=[tag_of("b", Grammar(regex="a*"))]),
            GOES_ON,
        ),
        (
            Tagged(tags=[tag_of("b", Grammar(regex=".*"), ">")]),
            GOES_ON,
        ),
        (
            Tagged(
                tags=[tag_of("b", Grammar(choice=Choice(values=["a", "a>"])), ">")],
                free_text=FREE_TEXT_BEFORE,
            ),
            GOES_ON,
        ),
        (Tagged(tags=[tag_of("b", Grammar(json_schema="{}"))]), NUMBER),
        (Tagged(tags=[tag_of("b", Grammar(json_schema="{}"), "5")], stop_after_first=True), NUMBER),
        (
            Tagged(tags=[tag_of("b", Grammar(json_schema='{"type": "number"}'), "end")]),
            NUMBER,
        ),
    ],
)
def test_a_tagged_grammar_that_cannot_be_served_says_why(tagged: Tagged, why: str) -> None:
    with pytest.raises(InvalidRequestError, match=re.escape(why)):
        compiled(tagged)


def test_a_content_of_any_length_is_no_problem_where_nothing_follows() -> None:
    tags = [
        tag_of("b", Grammar(regex="a*")),
        tag_of("c", Grammar(json_schema="{}")),
        tag_of("d", Grammar(regex=".*"), ">"),
    ]
    valid = ["xbaa", "c12", "d>{}>"]
    assert accepted(Tagged(tags=tags, stop_after_first=True), [*valid, "bab", "c[", "d>{"]) == valid


def test_the_same_trigger_twice_counts_once() -> None:
    assert accepted(
        Tagged(tags=[A], triggers=["<", "<"], free_text=FREE_TEXT_ANYWHERE), ["a", "<", "<a>{}"]
    ) == [
        "a",
        "<a>{}",
    ]


def test_an_end_may_begin_like_more_of_the_content() -> None:
    tags = [tag_of("<", Grammar(regex="[ab]{1,2}"), "bc")]
    assert accepted(Tagged(tags=tags), ["<abc", "<bbc", "<bbbc", "<abbcx", "<ab", "<bc"]) == [
        "<abc",
        "<bbc",
        "<bbbc",
        "<abbcx",
    ]
