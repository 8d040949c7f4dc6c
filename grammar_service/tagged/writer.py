"""From tags to a program over bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from grammar_service.automata.speller import Speller
from grammar_service.automata.spelling import Spelling
from grammar_service.tagged.tags import Tag, Tags

WriteRest = Callable[[Tag, int, int], None]
"""Adds what a part is after its begin to the program, from one state to another."""


def write_tagged(
    tags: Tags, speller: Speller, start: int, final: int, write_rest: WriteRest
) -> dict[int, Tag]:
    """Add the answers that `tags` allow to the program, from `start` to `final`.

    Where something may follow a part, its content and end together must never be the beginning of another
    content with the end. So what has been read always says whether it is text or which part, and a byte that
    calls in one of them is never read plainly in another.

    Returns:
        The state in which the content of each tag begins.
    """
    program = speller.program
    begins = _trie(speller, [tag.begin for tag in tags.tags])
    after = program.state()
    for tag in tags.tags:
        write_rest(tag, begins[tag.begin], after)
    _write_around(tags, speller, begins, (start, after, final))
    return {begins[tag.begin]: tag for tag in tags.tags}


def _write_around(
    tags: Tags, speller: Speller, begins: Mapping[str, int], between: tuple[int, int, int]
) -> None:
    """Add what stands around parts: from the start, after a part, and to the end, which `between` names."""
    start, after, final = between
    epsilon = speller.program.epsilon
    opened = {trigger: begins[trigger] for trigger in tags.triggers if trigger != tags.open}
    if tags.open:
        opened[tags.open] = speller.program.state()
        epsilon[opened[tags.open]].append(begins[""])
    may_lack = None if tags.at_least_one else final
    if tags.text_before:
        first = _free_text(speller, opened, may_lack)
        epsilon[start].append(first)
    else:
        first = begins[""]
        write_text(speller, start, tags.open, first)
        if may_lack is not None:
            epsilon[start].append(final)
    if tags.stop_after_first or not tags.text_after:
        write_text(speller, after, tags.close, final)
    if tags.stop_after_first:
        return
    if tags.text_after:
        # Text that has a part before it may end, unlike text that waits for one.
        epsilon[after].append(_free_text(speller, opened, final) if tags.at_least_one else first)
    else:
        write_text(speller, after, tags.separator, begins[""])


def _trie(speller: Speller, words: Iterable[str]) -> dict[str, int]:
    """The states in which beginnings of the words have been read, by these beginnings."""
    states = {"": speller.program.state()}
    for word in words:
        for length in range(len(word)):
            before, read = word[:length], word[: length + 1]
            if read not in states:
                states[read] = speller.program.state()
                speller.character(states[before], word[length], Spelling.RAW, states[read])
    return states


def write_text(speller: Speller, source: int, text: str, target: int) -> None:
    """Add `text`, from `source` to `target`."""
    for character in text:
        following = speller.program.state()
        speller.character(source, character, Spelling.RAW, following)
        source = following
    speller.program.epsilon[source].append(target)


def _free_text(speller: Speller, opened: Mapping[str, int], final: int | None) -> int:
    """Add text in which none of some strings occurs; return the state it begins in.

    Where one of them is completed, the program goes on at the state that `opened` gives. Unless `final` is
    None, the text may end there, wherever it is.
    """
    program = speller.program
    moves = _matching(opened)
    states = {read: program.state() for read in moves}
    letters = sorted(set().union(*opened))
    for read, following in moves.items():
        for letter in letters:
            longer = following.get(letter, "")
            target = opened[longer] if longer in opened else states[longer]
            speller.character(states[read], letter, Spelling.RAW, target)
        speller.others(states[read], letters, Spelling.RAW, states[""])
        if final is not None:
            program.epsilon[states[read]].append(final)
    return states[""]


def _matching(words: Iterable[str]) -> dict[str, dict[str, str]]:
    """For each text that words go on after: by the letter that is read next, the longest end of both that any
    word begins with, if it is not empty. No word may contain another. (Aho and Corasick, "Efficient string
    matching", 1975.)
    """
    longer: dict[str, dict[str, str]] = {"": {}}
    for word in words:
        for length, letter in enumerate(word):
            longer.setdefault(word[:length], {})[letter] = word[: length + 1]
    moves: dict[str, dict[str, str]] = {}
    ends = {"": ""}  # of each text the longest one that is shorter, and that a word begins with
    for read in sorted(longer, key=len):
        before = moves[ends[read]] if read else {}
        for letter, more in longer[read].items():
            ends[more] = before.get(letter, "")
        moves[read] = before | longer[read]
    return moves
