"""The strings that a schema allows."""

from __future__ import annotations

from dataclasses import dataclass

from grammar_service.automata.dfa import Dfa, TooManyStatesError
from grammar_service.regex.automaton import search
from grammar_service.schema.formats import format_language


@dataclass(frozen=True)
class Demand:
    """Something that a string must be, or (`negated`) must not be."""

    keyword: str
    """"pattern", an ECMA-262 expression to be found somewhere in it; or "format"."""
    argument: str
    negated: bool = False

    def language(self) -> Dfa:
        """The strings that meet it."""
        language = search(self.argument) if self.keyword == "pattern" else format_language(self.argument)
        assert language is not None  # the reader asked before it made the demand
        return language.complement() if self.negated else language


@dataclass(frozen=True)
class StringShape:
    """A set of strings; lengths count characters."""

    min_length: int = 0
    max_length: int | None = None
    demands: tuple[Demand, ...] = ()
    """All must be met."""
    excluded: frozenset[str] = frozenset()
    """Not these."""
    values: tuple[str, ...] | None = None
    """If given, only these; all else has been applied to them."""

    def intersection(self, other: StringShape) -> StringShape | None:
        """The strings in both; None if there are none for certain."""
        bounds = [bound for bound in (self.max_length, other.max_length) if bound is not None]
        shape = StringShape(
            min_length=max(self.min_length, other.min_length),
            max_length=min(bounds, default=None),
            demands=tuple(dict.fromkeys((*self.demands, *other.demands))),
            excluded=self.excluded | other.excluded,
        )
        listed = self.values if self.values is not None else other.values
        if listed is not None:
            allowed = set(listed if other.values is None else other.values)
            values = tuple(value for value in listed if value in allowed and shape.contains(value))
            return StringShape(values=values) if values else None
        empty = shape.max_length is not None and shape.max_length < shape.min_length
        return None if empty else shape

    def contains(self, value: str) -> bool:
        """Whether `value` is in the set."""
        if self.values is not None:
            return value in self.values
        long_enough = len(value) >= self.min_length and value not in self.excluded
        short_enough = self.max_length is None or len(value) <= self.max_length
        return long_enough and short_enough and all(d.language().accepts(value) for d in self.demands)

    def complement(self) -> list[StringShape]:
        """Sets whose union has every string that is not in this one."""
        if self.values is not None:
            return [StringShape(excluded=frozenset(self.values))]
        parts = []
        if self.min_length:
            parts.append(StringShape(max_length=self.min_length - 1))
        if self.max_length is not None:
            parts.append(StringShape(min_length=self.max_length + 1))
        for demand in self.demands:
            turned = Demand(demand.keyword, demand.argument, not demand.negated)
            parts.append(StringShape(demands=(turned,)))
        if self.excluded:
            parts.append(StringShape(values=tuple(sorted(self.excluded))))
        return parts

    def language(self, *, max_states: int) -> Dfa:
        """The strings as an automaton over their characters."""
        if self.values is not None:
            return Dfa.words(self.values)
        if max(self.min_length, self.max_length or 0) > max_states:
            raise TooManyStatesError(max_states)
        parts = [demand.language() for demand in self.demands]
        if self.excluded:
            parts.append(Dfa.words(self.excluded).complement())
        if not parts:
            return Dfa.lengths(self.min_length, self.max_length)
        language = parts[0]
        for part in parts[1:]:
            language = language.intersection(part, max_states=max_states)
        if self.min_length or self.max_length is not None:
            language = language.bounded(self.min_length, self.max_length, max_states=max_states)
        return language


ANY_STRING = StringShape()
