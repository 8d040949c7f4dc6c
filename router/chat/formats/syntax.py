"""The text of tool calls: what stands around names and arguments."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from router.chat.conversation import Call
from router.chat.tools import ToolUse
from router.grammar import Tag, Tagged


@dataclass(frozen=True, kw_only=True)
class CallSyntax:
    """A call is `before_name`, the name, `before_arguments`, the arguments as JSON, and `end`.

    Arguments are objects, which end with themselves, and no call begins like another; so a text tells its
    calls while it is read.
    """

    before_name: str
    before_arguments: str
    end: str
    quoted: bool = True
    """Whether the name is a JSON string."""
    separator: str = ""
    """Between two calls."""
    open: str = ""
    """Before the first call."""
    close: str = ""
    """After the last one."""
    trigger: str = ""
    """What every call begins with and text never contains, if there is no `open`."""

    def begin(self, name: str) -> str:
        """The text of a call of the tool `name`, up to its arguments."""
        written = json.dumps(name, ensure_ascii=False) if self.quoted else name
        return f"{self.before_name}{written}{self.before_arguments}"

    @property
    def first(self) -> str:
        """What ends the text before the calls of an answer: where it stands, they begin."""
        return self.open or self.trigger

    def write(self, calls: Iterable[Call]) -> str:
        """`calls`, as the model would have written them."""
        written = (f"{self.begin(call.name)}{call.arguments}{self.end}" for call in calls)
        return f"{self.open}{self.separator.join(written)}{self.close}"

    def grammar(self, use: ToolUse, *, text_first: bool) -> Tagged:
        """Answers that call the tools as `use` says, after text if `text_first`.

        Raises:
            RequestError: the schema of a tool cannot be written as JSON.
        """
        return Tagged(
            tags=tuple(
                Tag(begin=self.begin(tool.name), content=tool.arguments(), end=self.end) for tool in use.tools
            ),
            triggers=(self.trigger,) if self.trigger and text_first else (),
            at_least_one=use.required,
            stop_after_first=not use.several,
            free_text="before" if text_first else "nowhere",
            separator=self.separator if use.several else "",
            open=self.open,
            close=self.close,
        )
