"""The tags of a tagged grammar, checked: which there are, and what opens them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

from protos import grammar_pb2
from protos.errors import InvalidRequestError

MAX_TAGS = 128
MAX_CHARACTERS = 256
"""The longest text around a part: what begins, ends, triggers or separates it."""


@dataclass(frozen=True, eq=False)
class Tag:
    """One kind of part."""

    field: str
    """Where it stands in the grammar, for errors."""
    begin: str
    content: grammar_pb2.Grammar
    end: str


@dataclass(frozen=True, eq=False)
class Tags:
    """The kinds of parts of one grammar, and where these may stand.

    No begin is the beginning of another. Each begins with one of the triggers, of which none contains
    another; so while text is read, at most one trigger is completed at a time, and then it is certain.
    """

    tags: tuple[Tag, ...]
    triggers: tuple[str, ...]
    """What free text cannot contain; without free text, none."""
    at_least_one: bool
    stop_after_first: bool
    text_before: bool
    """Whether free text may stand before the first part."""
    text_after: bool
    """Whether free text may stand after each part."""
    separator: str
    """What stands between parts where free text does not."""
    open: str
    """What stands before the first part; if there is such a thing, it is what free text cannot contain."""
    close: str
    """What stands after the last part."""

    @classmethod
    def read(cls, tagged: grammar_pb2.Tagged) -> Tags:
        """The tags that `tagged` speaks of.

        Raises:
            InvalidRequestError: they contradict one another, or there are none or too many.
        """
        if not 0 < len(tagged.tags) <= MAX_TAGS:
            raise InvalidRequestError(f"tagged.tags: there must be 1 to {MAX_TAGS}, not {len(tagged.tags)}")
        tags = tuple(
            Tag(f"tagged.tags[{index}]", tag.begin, tag.content, tag.end)
            for index, tag in enumerate(tagged.tags)
        )
        for name, text in _texts(tagged, tags):
            if len(text) > MAX_CHARACTERS:
                raise InvalidRequestError(f"{name} is longer than {MAX_CHARACTERS} characters")
        _check_begins(tags)
        where = tagged.free_text or grammar_pb2.FREE_TEXT_ANYWHERE
        if where not in grammar_pb2.FreeText.values():
            raise InvalidRequestError(f"tagged.free_text: {where} is nothing that this service knows")
        if tagged.separator and (where == grammar_pb2.FREE_TEXT_ANYWHERE or tagged.stop_after_first):
            raise InvalidRequestError("tagged.separator: no part ever follows another one directly")
        if (tagged.open or tagged.close) and where == grammar_pb2.FREE_TEXT_ANYWHERE:
            raise InvalidRequestError(
                "tagged.open and tagged.close: parts stand anywhere, so none is the last"
            )
        return cls(
            tags=tags,
            triggers=_triggers(tagged, tags) if where != grammar_pb2.FREE_TEXT_NOWHERE else _none(tagged),
            at_least_one=tagged.at_least_one,
            stop_after_first=tagged.stop_after_first,
            text_before=where != grammar_pb2.FREE_TEXT_NOWHERE,
            text_after=where == grammar_pb2.FREE_TEXT_ANYWHERE,
            separator=tagged.separator,
            open=tagged.open,
            close=tagged.close,
        )


def _texts(tagged: grammar_pb2.Tagged, tags: Sequence[Tag]) -> Iterator[tuple[str, str]]:
    for tag in tags:
        yield f"{tag.field}.begin", tag.begin
        yield f"{tag.field}.end", tag.end
    for index, trigger in enumerate(tagged.triggers):
        yield f"tagged.triggers[{index}]", trigger
    yield "tagged.separator", tagged.separator
    yield "tagged.open", tagged.open
    yield "tagged.close", tagged.close


def _check_begins(tags: Sequence[Tag]) -> None:
    for tag in tags:
        if not tag.begin:
            raise InvalidRequestError(f"{tag.field}.begin is empty")
    # Sorted, what something is the beginning of comes right after it.
    for tag, other in pairwise(sorted(tags, key=lambda tag: tag.begin)):
        if other.begin == tag.begin:
            raise InvalidRequestError(f"{other.field}.begin is the same as {tag.field}.begin")
        if other.begin.startswith(tag.begin):
            raise InvalidRequestError(f"{tag.field}.begin is how {other.field}.begin begins, too")


def _triggers(tagged: grammar_pb2.Tagged, tags: Sequence[Tag]) -> tuple[str, ...]:
    """What free text cannot contain, by the name of the field that says so."""
    if tagged.open:
        if tagged.triggers:
            raise InvalidRequestError("tagged.triggers: tagged.open is the only one there is")
        return (tagged.open,)
    named = {text: f"tagged.triggers[{index}]" for index, text in enumerate(tagged.triggers)}
    if "" in named:
        raise InvalidRequestError(f"{named['']} is empty")
    for tag in tags if named else ():
        if not tag.begin.startswith(tuple(named)):
            raise InvalidRequestError(f"{tag.field}.begin begins with none of tagged.triggers")
    for text, name in named.items():
        if not any(tag.begin.startswith(text) for tag in tags):
            raise InvalidRequestError(f"{name} begins no tag")
    named = named or {tag.begin: f"{tag.field}.begin" for tag in tags}
    for (text, name), (other, other_name) in combinations(named.items(), 2):
        if text in other or other in text:
            inner, outer = (name, other_name) if text in other else (other_name, name)
            raise InvalidRequestError(f"{outer} contains {inner}, which free text cannot contain")
    return tuple(named)


def _none(tagged: grammar_pb2.Tagged) -> tuple[str, ...]:
    if tagged.triggers:
        raise InvalidRequestError("tagged.triggers: there is no free text to look for them in")
    return ()
