"""Tagged grammars against a matcher that tries every way to part an answer."""

from __future__ import annotations

import json
import re
from functools import cache

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from grammar_service.compiler import compile_grammar
from grammar_service.limits import Limits
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

LETTERS = "ab{é"
words = st.text(LETTERS, min_size=1, max_size=4)
contents = (
    st.sampled_from(["[ab]{1,2}", "a|b{2}", "é*b", "[^a]+a", "[ab{]*"]).map(
        lambda regex: Grammar(regex=regex)
    )
    | st.lists(st.text(LETTERS, max_size=3), min_size=1, max_size=3).map(
        lambda values: Grammar(choice=Choice(values=values))
    )
    | st.just(Grammar(json_object=JsonObject()))
    | st.sampled_from([["a", "é"], ["", {"a": 1}], [1, 12]]).map(
        lambda values: Grammar(json_schema=json.dumps({"enum": values}))
    )
)
tags = st.builds(Tag, begin=words, content=contents, end=words | st.just(""))
grammars = st.builds(
    Tagged,
    tags=st.lists(tags, min_size=1, max_size=3),
    triggers=st.just([]) | st.lists(st.text(LETTERS, min_size=1, max_size=2), max_size=2),
    at_least_one=st.booleans(),
    stop_after_first=st.booleans(),
    free_text=st.sampled_from([FREE_TEXT_ANYWHERE, FREE_TEXT_BEFORE, FREE_TEXT_NOWHERE]),
    separator=st.text(LETTERS, max_size=2),
    open=st.just("") | st.text(LETTERS, max_size=2),
    close=st.just("") | st.text(LETTERS, max_size=2),
)


def contains(content: Grammar, text: str) -> bool:
    if content.WhichOneof("source") == "regex":
        return re.fullmatch(content.regex, text, re.DOTALL) is not None
    if content.WhichOneof("source") == "choice":
        return text in content.choice.values
    try:
        value = json.loads(text)
    except ValueError:
        return False
    if content.WhichOneof("source") == "json_object":
        return isinstance(value, dict) and text in (json.dumps(value), json.dumps(value, ensure_ascii=False))
    written = {json.dumps(value, ensure_ascii=False) for value in json.loads(content.json_schema)["enum"]}
    return text in written


def allows(tagged: Tagged, answer: str) -> bool:
    """Whether `answer` is one, by the words of `grammar.proto`."""
    triggers = [tagged.open] if tagged.open else tagged.triggers or [tag.begin for tag in tagged.tags]

    def part(position: int) -> bool:
        return any(
            contains(tag.content, answer[begun:ended])
            and answer.startswith(tag.end, ended)
            and after(ended + len(tag.end))
            for tag in tagged.tags
            if answer.startswith(tag.begin, position)
            for begun in [position + len(tag.begin)]
            for ended in range(begun, len(answer) + 1)
        )

    @cache
    def text(position: int, had_part: bool) -> bool:
        opened = [
            (place + len(trigger), place)
            for trigger in triggers
            if (place := answer.find(trigger, position)) >= 0
        ]
        return part(min(opened)[1] + len(tagged.open)) if opened else had_part or not tagged.at_least_one

    @cache
    def after(position: int) -> bool:
        closed = answer[position:] == tagged.close
        if tagged.stop_after_first:
            return closed
        if tagged.free_text == FREE_TEXT_ANYWHERE:
            return text(position, True)
        if closed:
            return True
        return answer.startswith(tagged.separator, position) and part(position + len(tagged.separator))

    if tagged.free_text != FREE_TEXT_NOWHERE:
        return text(0, False)
    begun = answer.startswith(tagged.open) and part(len(tagged.open))
    return begun or (not answer and not tagged.at_least_one)


def samples(content: Grammar) -> list[str]:
    if content.WhichOneof("source") == "choice":
        return list(content.choice.values)
    if content.WhichOneof("source") == "json_schema":
        return [json.dumps(value, ensure_ascii=False) for value in json.loads(content.json_schema)["enum"]]
    return ["{}", '{"a": {}}', "a", "bb", "ééb", "é{a", "ab"]


# Many random tags are refused: what may follow their content could be part of it.
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(tagged=grammars, data=st.data())
def test_what_is_accepted_is_what_the_definition_allows(tagged: Tagged, data: st.DataObject) -> None:
    try:
        outcome = compile_grammar(Grammar(tagged=tagged), Limits(max_states=50_000))
    except InvalidRequestError:
        assume(False)
    automaton = Automaton.from_message(outcome.automaton)
    assert allows(tagged, outcome.summary.shortest_answer)
    parts = [tag.begin + sample + tag.end for tag in tagged.tags for sample in samples(tag.content)]
    around = [tagged.separator, tagged.open, tagged.close, *tagged.triggers]
    pieces = st.sampled_from([*parts, *parts, *around, *LETTERS, *parts[0]])
    for _ in range(10):
        answer = "".join(data.draw(st.lists(pieces, max_size=5)))
        assert automaton.accepts(answer.encode()) is allows(tagged, answer), answer
