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
ToolChoice: TypeAlias = Choices | NamedTool


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
        RequestError: two tools have one name, or the one that is to be called is not there.
    """
    names = [tool.name for tool in tools]
    repeated = next((name for index, name in enumerate(names) if name in names[:index]), None)
    if repeated is not None:
        raise RequestError.tool(f"Two tools have the name {repeated}")
    if isinstance(choice, NamedTool):
        chosen = tuple(tool for tool in tools if tool.name == choice.name)
        if not chosen:
            raise RequestError.tool(f"Tool with name {choice.name} not found")
        return ToolUse(tools=chosen, required=True, several=False)
    if choice == "required" and not tools:
        raise RequestError.tool("A tool is required, but there are none")
    if choice == "none" or not tools:
        return None
    return ToolUse(tools=tuple(tools), required=choice == "required", several=several)
