"""From the tokens of an answer to what it says: reasoning, text and calls of tools."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from router.chat.call_parser import Arguments, CallBegins, CallParser, Piece, Text
from router.chat.prompt import Prompt
from router.chat.thinking import ThinkingReader
from router.token_event import TokenEvent


@dataclass(frozen=True, kw_only=True)
class CallDelta:
    """More of a call. Its id and name come with the first of its deltas only."""

    index: int
    """Which call of the answer this is, from 0."""
    arguments: str
    id: str | None = None
    name: str | None = None


@dataclass(frozen=True, kw_only=True)
class Delta:
    """What one token adds to an answer. Often nothing: it may be too early to tell."""

    reasoning: str = ""
    content: str = ""
    calls: tuple[CallDelta, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether it adds nothing."""
        return not (self.reasoning or self.content or self.calls)


class AnswerReader:
    """Reads one answer; all of its deltas together are the answer."""

    def __init__(self, prompt: Prompt, *, constrained: bool) -> None:
        """`constrained` says that the answer matches a grammar behind its reasoning."""
        self.calls = 0
        """Calls that have begun."""
        self._format = prompt.format
        thinking = prompt.thinking
        self._thinking = ThinkingReader(thinking, certain=constrained) if thinking else None
        names = [tool.name for tool in prompt.use.tools] if prompt.use else []
        self._parser = (
            CallParser(prompt.format.syntax, names, text_first=prompt.text_first) if names else None
        )
        self._read = 0

    def add(self, event: TokenEvent) -> Delta:
        """What the answer's next token adds."""
        text = "" if event.token.special else event.token.text
        if event.completion:
            # Characters may be held back until the end, and then they are in the whole text only.
            text = event.completion.text[self._read :]
        self._read += len(text)
        reasoning, answer = self._thinking.add(text) if self._thinking else ("", text)
        pieces = self._pieces(answer)
        if event.completion:
            rest = self._thinking.end() if self._thinking else ("", "")
            reasoning += rest[0]
            pieces += self._pieces(rest[1])
            pieces += self._parser.end() if self._parser else []
        return self._delta(reasoning, pieces)

    def _pieces(self, text: str) -> list[Piece]:
        return self._parser.add(text) if self._parser else [Text(text)]

    def _delta(self, reasoning: str, pieces: Iterable[Piece]) -> Delta:
        content, calls = "", dict[int, CallDelta]()
        for piece in pieces:
            match piece:
                case Text(text):
                    content += text
                case CallBegins(name):
                    calls[self.calls] = CallDelta(
                        index=self.calls, id=self._format.new_id(), name=name, arguments=""
                    )
                    self.calls += 1
                case Arguments(text):
                    index = self.calls - 1
                    call = calls.get(index, CallDelta(index=index, arguments=""))
                    calls[index] = replace(call, arguments=call.arguments + text)
        return Delta(reasoning=reasoning, content=content, calls=tuple(calls.values()))
