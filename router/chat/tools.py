"""The tools of a request: which of them the model may call, and whether it must."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from router.errors import RequestError
from router.grammar import JsonSchema

NO_PARAMETERS = {"type": "object", "properties": {}}


@dataclass(frozen=True, kw_only=True)
class Tool:
    """A function that the caller would run for the model."""

    name: str
    description: str | None
    parameters: dict[str, Any]
    """A JSON Schema whose values are objects."""
    strict: bool | None

    def described(self) -> dict[str, Any]:
        """What templates show the model of it: what the caller sent, with nothing that was left out."""
        description = {} if self.description is None else {"description": self.description}
        return {
            "type": "function",
            "function": {"name": self.name, **description, "parameters": self.parameters},
        }

    def arguments(self) -> JsonSchema:
        """The grammar of its arguments.

        Raises:
            RequestError: a number in the schema is out of range.
        """
        try:
            # Whatever else the schema says, arguments are an object: OpenAI's clients take nothing else.
            text = json.dumps({**self.parameters, "type": "object"}, ensure_ascii=False, allow_nan=False)
        except ValueError as error:
            raise RequestError.tool(f"{self.name}: a number in its parameters is out of range") from error
        return JsonSchema(text=text, strict=self.strict)


@dataclass(frozen=True, kw_only=True)
class NamedTool:
    """The choice of one tool."""

    name: str


Choices = Literal["auto", "none", "required"]


@dataclass(frozen=True, kw_only=True)
class AllowedTools:
    """The choice among some of the tools."""

    names: tuple[str, ...]
    required: bool
    """Whether one of them must be called."""


ToolChoice: TypeAlias = Choices | NamedTool | AllowedTools


@dataclass(frozen=True, kw_only=True)
class ToolUse:
    """What an answer may call: one of `tools`, which are never none, or `several` of them."""

    tools: tuple[Tool, ...]
    required: bool
    """Whether the answer must call one."""
    several: bool


def tool_use(tools: Sequence[Tool], choice: ToolChoice, *, several: bool) -> ToolUse | None:
    """What `choice` leaves of `tools`; None if the model is to know of none. A tool chosen by name is called
    once.

    Raises:
        RequestError: two tools have one name, or one that is chosen is not there.
    """
    names = [tool.name for tool in tools]
    repeated = next((name for index, name in enumerate(names) if name in names[:index]), None)
    if repeated is not None:
        raise RequestError.tool(f"Two tools have the name {repeated}")
    if isinstance(choice, NamedTool):
        return ToolUse(tools=_chosen(tools, [choice.name]), required=True, several=False)
    if isinstance(choice, AllowedTools):
        return ToolUse(tools=_chosen(tools, choice.names), required=choice.required, several=several)
    if choice == "required" and not tools:
        raise RequestError.tool("A tool is required, but there are none")
    if choice == "none" or not tools:
        return None
    return ToolUse(tools=tuple(tools), required=choice == "required", several=several)


def _chosen(tools: Sequence[Tool], names: Sequence[str]) -> tuple[Tool, ...]:
    known = {tool.name for tool in tools}
    missing = next((name for name in names if name not in known), None)
    if missing is not None:
        raise RequestError.tool(f"Tool with name {missing} not found")
    return tuple(tool for tool in tools if tool.name in names)
