"""Calls are read whole, wherever the text that comes is cut."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.chat.call_parser import Arguments, CallBegins, CallParser, Piece, Text
from router.chat.conversation import Call
from router.chat.formats.format import Format
from router.chat.formats.hermes import HERMES
from router.chat.formats.llama3 import LLAMA3
from router.chat.formats.mistral import NAMES_AND_ARGUMENTS, mistral_format
from router.chat.formats.plain import PLAIN

LIST = mistral_format("[TOOL_CALLS] [")
assert LIST is not None
FORMATS = {"hermes": HERMES, "llama3": LLAMA3, "list": LIST, "args": NAMES_AND_ARGUMENTS, "plain": PLAIN}
NAMES = ("get", "get_all")
CALLS = [
    Call(id="", name="get", arguments='{"x": "}\\"{\\\\", "y": [{}, "\\u00e9é"], "z": "</tool_call>"}'),
    Call(id="", name="get_all", arguments="{}"),
    Call(id="", name="get", arguments='{"a": {"b": [[{}]]}}'),
]


def read(form: Format, text: str, cuts: list[int]) -> list[Piece]:
    parser = CallParser(form.syntax, NAMES, text_first=True)
    ends = [0, *sorted(cut % (len(text) + 1) for cut in cuts), len(text)]
    return [piece for begin, end in pairwise(ends) for piece in parser.add(text[begin:end])] + parser.end()


def told(pieces: list[Piece]) -> tuple[str, list[tuple[str, str]]]:
    """The text and the calls that the pieces make up."""
    text, calls = "", list[tuple[str, str]]()
    for piece in pieces:
        match piece:
            case Text(more):
                text += more
            case CallBegins(name):
                calls.append((name, ""))
            case Arguments(more):
                calls[-1] = (calls[-1][0], calls[-1][1] + more)
    return text, calls


@given(
    name=st.sampled_from(sorted(FORMATS)),
    before=st.sampled_from(["", "Let me see.\n\n", "{", '{"name": ', "<tool", "[TOOL_CALLS", "<tool_call"]),
    count=st.integers(0, 3),
    cuts=st.lists(st.integers(0, 400), max_size=12),
)
def test_text_and_calls_are_told_apart(name: str, before: str, count: int, cuts: list[int]) -> None:
    form = FORMATS[name]
    calls = CALLS[: count if form.several else min(count, 1)]
    text = before + form.syntax.write(calls) if calls else before
    found, called = told(read(form, text, cuts))
    assert called == [(call.name, call.arguments) for call in calls]
    assert found == (before.rstrip() if calls else before)


@pytest.mark.parametrize("form", FORMATS.values(), ids=FORMATS)
def test_a_call_that_is_cut_off_is_told_as_far_as_it_came(form: Format) -> None:
    whole = form.syntax.write(CALLS[:1])
    began = whole.index(CALLS[0].arguments)
    for end in range(len(whole)):
        text, calls = told(read(form, whole[:end], list(range(end))))
        expected = whole[began:end] if end <= began + len(CALLS[0].arguments) else CALLS[0].arguments
        assert calls == ([("get", expected)] if end >= began else [])
        assert whole.startswith(text)


def test_arguments_are_told_as_they_come() -> None:
    parser = CallParser(HERMES.syntax, NAMES, text_first=True)
    begin = '<tool_call>\n{"name": "get", "arguments": '
    assert parser.add(begin[:-1]) == []
    assert parser.add(" {") == [CallBegins("get"), Arguments("{")]
    assert parser.add('"a": ') == [Arguments('"a": ')]
    assert parser.add("1}}\n</too") == [Arguments("1}")]
    assert parser.add("l_call>") == []


def test_text_is_told_as_soon_as_it_cannot_begin_a_call() -> None:
    parser = CallParser(HERMES.syntax, NAMES, text_first=True)
    assert parser.add("a <") == [Text("a")]
    assert parser.add("tool>") == [Text(" <tool>")]
    assert parser.add(" \n") == []
    assert parser.add("b") == [Text(" \nb")]
    assert parser.end() == []


@pytest.mark.parametrize("form", FORMATS.values(), ids=FORMATS)
def test_what_can_only_be_a_call_is_never_told_as_text(form: Format) -> None:
    whole = form.syntax.write(CALLS[:1])
    for end in range(whole.index(CALLS[0].arguments)):
        parser = CallParser(form.syntax, NAMES, text_first=False)
        assert [*parser.add(whole[:end]), *parser.end()] == []
    parser = CallParser(form.syntax, NAMES, text_first=False)
    assert told(parser.add(whole)) == ("", [("get", CALLS[0].arguments)])


def test_what_no_grammar_allows_is_text() -> None:
    for text in ('<tool_call>{"name"', '<tool_call>\n{"name": "unknown"', "<tool_call>\nno"):
        assert told(read(HERMES, text, [])) == (text, [])
    call = HERMES.syntax.write(CALLS[1:2])
    assert told(read(HERMES, call + " and", [])) == (" and", [("get_all", "{}")])
