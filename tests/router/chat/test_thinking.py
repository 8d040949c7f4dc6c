"""Reasoning before an answer."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.chat.thinking import Thinking, ThinkingReader, thinking_of
from router.grammar import Regex, Tag, Tagged

THINK = Thinking(begin="<think>", end="</think>", gap="\n\n", begun=False)
BEGUN = Thinking(begin="<think>", end="</think>", gap="\n\n", begun=True)
TEMPLATE = "... <think> ..."


def read(thinking: Thinking, text: str, cuts: list[int], *, certain: bool = False) -> tuple[str, str]:
    reader = ThinkingReader(thinking, certain=certain)
    ends = [0, *sorted(cut % (len(text) + 1) for cut in cuts), len(text)]
    pieces = [reader.add(text[begin:end]) for begin, end in pairwise(ends)]
    reasoning, answer = zip(*pieces, reader.end(), strict=True)
    return "".join(reasoning), "".join(answer)


@pytest.mark.parametrize(
    ("thinking", "text", "told"),
    [
        (THINK, "<think>\nHm. </thin\n</think>\n\nYes. </think>", ("Hm. </thin", "Yes. </think>")),
        (THINK, "\n<think>Hm", ("Hm", "")),
        (THINK, "<think>\n\n</think>\n\nYes ", ("", "Yes ")),
        (THINK, " <thin", ("", " <thin")),
        (THINK, " Yes\n<think>", ("", " Yes\n<think>")),
        (THINK, "", ("", "")),
        (BEGUN, "\nHm.\n</think>Yes", ("Hm.", "Yes")),
        (BEGUN, "<think>\nHm.</think>Yes", ("Hm.", "Yes")),
        (BEGUN, "Hm. </think", ("Hm. </think", "")),
    ],
)
@given(cuts=st.lists(st.integers(0, 50), max_size=8))
def test_reasoning_is_told_from_the_answer(
    thinking: Thinking, text: str, told: tuple[str, str], cuts: list[int]
) -> None:
    assert read(thinking, text, cuts) == told


@given(cuts=st.lists(st.integers(0, 50), max_size=8))
def test_what_comes_before_a_constrained_answer_is_reasoning(cuts: list[int]) -> None:
    assert read(THINK, "Hm.</think>\n\n{}", cuts, certain=True) == ("Hm.", "{}")
    assert read(THINK, "<thi", cuts, certain=True) == ("<thi", "")


def test_reasoning_is_told_as_it_comes() -> None:
    reader = ThinkingReader(THINK, certain=False)
    pieces = [
        reader.add(text) for text in ("<think>", "\nHm", ", so ", "it is</", "think>", "\n\n", "4", "2")
    ]
    assert pieces == [
        ("", ""),
        ("Hm", ""),
        (", so", ""),
        (" it is", ""),
        ("", ""),
        ("", ""),
        ("", "4"),
        ("", "2"),
    ]


@pytest.mark.parametrize(
    ("template", "prompt", "thinking"),
    [
        ("no marks", "<assistant>", None),
        (TEMPLATE, "<assistant>\n", THINK),
        (TEMPLATE, "<assistant>\n<think>\n", BEGUN),
        (TEMPLATE, "<assistant>\n<think>\n\n</think>\n\n", None),
        ("[THINK]", "[INST]a[/INST]", Thinking(begin="[THINK]", end="[/THINK]", gap="", begun=False)),
    ],
)
def test_the_template_and_the_prompt_say_whether_there_is_reasoning(
    template: str, prompt: str, thinking: Thinking | None
) -> None:
    assert thinking_of(template, prompt) == thinking


def test_a_grammar_begins_behind_the_reasoning() -> None:
    assert THINK.before(Regex(pattern="a")) == Tagged(
        tags=(Tag(begin="</think>\n\n", content=Regex(pattern="a")),),
        triggers=("</think>",),
        at_least_one=True,
        stop_after_first=True,
        free_text="before",
    )
