"""Which tools an answer may call."""

from __future__ import annotations

import pytest

from router.chat.tools import NO_PARAMETERS, AllowedTools, NamedTool, Tool, ToolChoice, ToolUse, tool_use
from router.errors import RequestError

A, B = (Tool(name=name, description=None, parameters=NO_PARAMETERS, strict=None) for name in "ab")


@pytest.mark.parametrize(
    ("choice", "use"),
    [
        ("auto", ToolUse(tools=(A, B), required=False, several=True)),
        ("required", ToolUse(tools=(A, B), required=True, several=True)),
        ("none", None),
        (NamedTool(name="b"), ToolUse(tools=(B,), required=True, several=False)),
        (AllowedTools(names=("b",), required=False), ToolUse(tools=(B,), required=False, several=True)),
        (AllowedTools(names=("b", "a"), required=True), ToolUse(tools=(A, B), required=True, several=True)),
    ],
)
def test_a_choice_says_what_may_be_called(choice: ToolChoice, use: ToolUse | None) -> None:
    assert tool_use([A, B], choice, several=True) == use


def test_without_tools_there_is_nothing_to_choose_from() -> None:
    assert tool_use([], "auto", several=True) is None
    assert tool_use([], "none", several=True) is None


@pytest.mark.parametrize(
    ("tools", "choice", "why"),
    [
        ([A, B], NamedTool(name="c"), "Tool with name c not found"),
        ([], NamedTool(name="c"), "Tool with name c not found"),
        ([A, B], AllowedTools(names=("a", "c"), required=False), "Tool with name c not found"),
        ([], "required", "A tool is required, but there are none"),
        ([A, B, A], "none", "Two tools have the name a"),
    ],
)
def test_a_choice_that_cannot_be_made_is_refused(tools: list[Tool], choice: ToolChoice, why: str) -> None:
    with pytest.raises(RequestError, match=why) as error:
        tool_use(tools, choice, several=True)
    assert error.value.part == "tool"


def test_arguments_are_objects_whatever_else_the_schema_says() -> None:
    any_of = Tool(name="a", description=None, parameters={"anyOf": [{}], "type": ["object"]}, strict=True)
    assert any_of.arguments().text == '{"anyOf": [{}], "type": "object"}'
    assert any_of.arguments().strict is True


def test_a_number_that_is_no_number_is_refused() -> None:
    endless = Tool(name="a", description=None, parameters={"maximum": float("inf")}, strict=None)
    with pytest.raises(RequestError, match="a: a number in its parameters is out of range"):
        endless.arguments()
