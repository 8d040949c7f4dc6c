"""Reasoning before an answer: where it is, and what is constrained behind it."""

from __future__ import annotations

from dataclasses import dataclass

from router.chat.undecided import undecided
from router.grammar import Tag, Tagged, UntaggedGrammar


@dataclass(frozen=True, kw_only=True)
class Thinking:
    """How a model marks its reasoning, and whether the prompt has begun it."""

    begin: str
    end: str
    gap: str
    """What the model writes between `end` and its answer."""
    begun: bool

    def before(self, grammar: UntaggedGrammar) -> Tagged:
        """Free reasoning up to its end, and then what `grammar` allows."""
        return Tagged(
            tags=(Tag(begin=self.end + self.gap, content=grammar),),
            triggers=(self.end,),
            at_least_one=True,
            stop_after_first=True,
            free_text="before",
        )


MARKS = (("<think>", "</think>", "\n\n"), ("[THINK]", "[/THINK]", ""))


def thinking_of(template: str, prompt: str) -> Thinking | None:
    """How the answer to `prompt` will reason; None if it will not.

    A template with the marks belongs to a model that reasons. Some prompts begin the reasoning themselves;
    one that ends it has been told to do without.
    """
    written = prompt.rstrip()
    for begin, end, gap in MARKS:
        if begin in template and not written.endswith(end):
            return Thinking(begin=begin, end=end, gap=gap, begun=written.endswith(begin))
    return None


class ThinkingReader:
    """Tells reasoning from the answer behind it, holding back only what may be one of the marks.

    White space around the marks belongs to neither.
    """

    def __init__(self, thinking: Thinking, *, certain: bool) -> None:
        """`certain` says that the answer reasons even if it does not begin with the mark."""
        self._thinking = thinking
        self._certain = certain or thinking.begun
        self._held = ""
        self._step = self._before
        self._begun = False

    def add(self, text: str) -> tuple[str, str]:
        """What is certain now: more of the reasoning, and more of the answer."""
        self._held += text
        return self._step()

    def end(self) -> tuple[str, str]:
        """What is left when the answer has ended."""
        held, self._held = self._held, ""
        if self._step == self._within or (self._step == self._before and self._certain):
            return held.rstrip(), ""
        return "", held

    def _before(self) -> tuple[str, str]:
        begin, text = self._thinking.begin, self._held.lstrip()
        if text.startswith(begin):
            self._held = text[len(begin) :]
            self._step = self._within
        elif begin.startswith(text):
            return "", ""
        else:
            self._step = self._within if self._certain else self._after
            self._begun = not self._certain
        return self._step()

    def _within(self) -> tuple[str, str]:
        reasoning, mark, rest = self._held.partition(self._thinking.end)
        if mark:
            self._held, self._step = rest, self._after
            self._begun, begun = False, self._begun
            _, answer = self._after()
            return (reasoning if begun else reasoning.lstrip()).rstrip(), answer
        text = self._held if self._begun else self._held.lstrip()
        certain = text[: len(text) - undecided(text, self._thinking.end)].rstrip()
        self._held = text[len(certain) :]
        self._begun = self._begun or bool(certain)
        return certain, ""

    def _after(self) -> tuple[str, str]:
        text = self._held if self._begun else self._held.lstrip()
        self._begun = self._begun or bool(text)
        self._held = ""
        return "", text
