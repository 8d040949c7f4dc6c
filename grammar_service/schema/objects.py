"""Objects in a program: declared keys in their order, then others."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from itertools import combinations
from typing import NamedTuple

from grammar_service.automata.dfa import Dfa
from grammar_service.automata.program import Procedure
from grammar_service.automata.spelling import Spelling
from grammar_service.schema.keys import Keys, KeyTrie
from grammar_service.schema.shape import ANYTHING, NEVER, ObjectShape, Schemas, Witness, joined
from grammar_service.schema.witnesses import key_language, refusal, witness_keys
from grammar_service.schema.writer import Writer

_SURROGATE = re.compile("[\ud800-\udfff]")
MAX_KINDS = 64
"""The most kinds of keys that patterns may make of the undeclared ones."""


class _Next(NamedTuple):
    """The declared keys that may come next."""

    trie: KeyTrie
    goals: tuple[int, ...] = ()
    """States of the program: one of the keys can be followed by a valid rest exactly if one of these can."""


class _Others(NamedTuple):
    """Keys that are not declared, all alike."""

    close: int
    """The state that reads their closing quote."""


class _Tally(NamedTuple):
    """What must be remembered among undeclared members."""

    members: int
    """Members so far, as far as it matters."""
    witnessed: frozenset[Witness]
    """The witnesses that have been seen."""


class ObjectProcedure:
    """Writes one object shape: `write` adds everything between its braces."""

    def __init__(self, writer: Writer, shape: ObjectShape, procedure: Procedure) -> None:
        self._writer = writer
        self._shape = shape
        self._procedure = procedure
        self._limit = shape.min_properties if shape.max_properties is None else shape.max_properties
        """Members are counted up to here."""
        self._required = frozenset(shape.required)
        self._keys = Keys(writer.program)
        self._free: dict[_Tally, int | _Others | None] = {}

    def write(self, entry: int) -> None:
        """Add the members and the closing brace, from the state after the opening one.

        Built from the end: at each declared property, the keys that may come next are those of the
        properties after it, up to the first required one, and this one's; and so for every count of members.
        """
        self._check_counts()
        counts = range(self._limit + 1)
        keys = dict.fromkeys(counts, self._undeclared)
        after_all = True
        for key in reversed(self._declared):
            schemas = self._schemas(key)
            required = key in self._required
            starts = {count: self._member(schemas, count, keys, after_all) for count in counts}
            if required:  # nothing after it may come before it
                keys = dict.fromkeys(counts, _Next(KeyTrie()))
            for count, start in starts.items():
                if start is not None:
                    keys[count] = self._with_key(keys[count], key, start)
            after_all = after_all and not required
        before = self._writer.spaces(entry)
        self._next_key(before, keys[0], self._free_keys(_Tally(0, frozenset())) if after_all else None)
        if after_all and self._complete(_Tally(0, frozenset())):
            self._writer.program.end(before, 0x7D, self._procedure)
        self._keys.finish()

    def _with_key(self, following: _Next, key: str, close: int) -> _Next:
        goal = self._writer.program.state()
        self._writer.program.epsilon[goal] += (close, *following.goals)
        return _Next(following.trie.with_key(key, close), (goal,))

    def _schemas(self, key: str) -> Schemas:
        # A lone surrogate is no character, so no answer can have it in a key.
        allowed = not _SURROGATE.search(key) and (self._names is None or self._names.accepts(key))
        return self._shape.value(key) if allowed else (NEVER,)

    def _member(self, schemas: Schemas, count: int, keys: dict[int, _Next], after_all: bool) -> int | None:
        """The state that reads the closing quote of a declared key, `count` members being before it."""
        following = self._counted(count)
        if following is None:
            return None
        program = self._writer.program
        close, quoted, after = program.state(), program.state(), program.state()
        program.read(close, b'"', quoted)
        self._writer.value(schemas, self._colon(quoted), after)
        tally = _Tally(following, frozenset())
        free = self._free_keys(tally) if after_all else None
        self._after_member(after, keys[following], free, complete=after_all and self._complete(tally))
        return close

    def _counted(self, count: int) -> int | None:
        """The count after one member more; None if there may be none."""
        if self._shape.max_properties is not None and count == self._shape.max_properties:
            return None
        return min(count + 1, self._limit)

    def _complete(self, tally: _Tally) -> bool:
        return tally.members >= self._shape.min_properties and len(tally.witnessed) == len(
            self._shape.witnesses
        )

    def _after_member(self, source: int, keys: _Next, free: int | _Others | None, *, complete: bool) -> None:
        source = self._writer.spaces(source)
        if complete:
            self._writer.program.end(source, 0x7D, self._procedure)
        if not keys.trie.empty or free is not None:
            self._next_key(self._writer.separator(source, b","), keys, free)

    def _next_key(self, source: int, keys: _Next, free: int | _Others | None) -> None:
        program = self._writer.program
        if isinstance(free, _Others):
            start = self._keys.entry(keys.trie, free.close, (*keys.goals, free.close))
            program.read(source, b'"', start)
        else:
            if not keys.trie.empty:
                program.read(source, b'"', self._keys.entry(keys.trie, None, keys.goals))
            if free is not None:
                program.read(source, b'"', free)

    def _colon(self, quoted: int) -> int:
        """The state in which a value begins, after the closing quote of its key and the colon."""
        return self._writer.separator(self._writer.spaces(quoted), b":")

    def _free_keys(self, tally: _Tally) -> int | _Others | None:
        """The state after the opening quote of a key that is not declared; None if there is none."""
        if tally in self._free:
            return self._free[tally]
        following = self._counted(tally.members)
        if following is not None and self._uniform is not None:
            return self._uniform_key(tally, following, self._uniform)
        start = None
        if following is not None and self._kinds:
            start = self._writer.program.state()
        self._free[tally] = start  # before what follows, which comes back here
        if start is not None:
            for language, schemas, witnesses in self._choices(tally):
                following_tally = _Tally(following or 0, tally.witnessed | witnesses)
                self._free_member(start, language, schemas, following_tally)
        return start

    def _uniform_key(self, tally: _Tally, following: int, schemas: Schemas) -> _Others:
        """Add a member of any key but the declared ones."""
        program = self._writer.program
        others = self._free[tally] = _Others(program.state())
        quoted, after = program.state(), program.state()
        program.read(others.close, b'"', quoted)
        self._writer.value(schemas, self._colon(quoted), after)
        tally = _Tally(following, tally.witnessed)
        self._after_member(after, self._undeclared, self._free_keys(tally), complete=self._complete(tally))
        return others

    def _free_member(self, start: int, language: Dfa, schemas: Schemas, tally: _Tally) -> None:
        program = self._writer.program
        close, quoted, after = program.state(), program.state(), program.state()
        program.epsilon[start].append(self._writer.speller.language(language, Spelling.JSON_CANONICAL, close))
        program.read(close, b'"', quoted)
        self._writer.value(schemas, self._colon(quoted), after)
        nothing = _Next(KeyTrie())
        self._after_member(after, nothing, self._free_keys(tally), complete=self._complete(tally))

    def _choices(self, tally: _Tally) -> Iterator[tuple[Dfa, Schemas, frozenset[Witness]]]:
        """The undeclared members that may come next: keys, what their values satisfy, and what they witness.

        A key may come twice, and then its last value counts: so once a witness has been seen, the keys that
        it was among may not come again (unless it is the key alone that bears witness).
        """
        limit = self._writer.program.max_states
        seen = [witness for witness in tally.witnessed if self._by_value(witness)]
        unseen = [witness for witness in self._shape.witnesses if witness not in tally.witnessed]
        for language, schemas in self._kinds:
            for witness in seen:
                language = language.difference(witness_keys(witness, self._writer), max_states=limit)
            for count in range(len(unseen) + 1):
                for witnesses in combinations(unseen, count):
                    among = language
                    for witness in witnesses:
                        among = among.intersection(witness_keys(witness, self._writer), max_states=limit)
                    if not among.empty:
                        values = joined(schemas, *(witness.schemas for witness in witnesses))
                        yield among, values, frozenset(witnesses)

    def _by_value(self, witness: Witness) -> bool:
        """Whether not every value bears witness."""
        return self._writer.reader.shapes(witness.schemas) != (ANYTHING,) if witness.schemas else False

    @cached_property
    def _declared(self) -> tuple[str, ...]:
        return joined(dict(self._shape.properties), self._shape.required)

    @cached_property
    def _undeclared(self) -> _Next:
        """The keys that undeclared ones must not be, as far as a trie excludes them."""
        return _Next(KeyTrie.without(() if self._uniform is None else self._declared))

    @cached_property
    def _uniform(self) -> Schemas | None:
        """What the value of every undeclared key must satisfy; None if it differs from key to key, or if
        there may be none."""
        shape = self._shape
        if shape.closed or shape.names or shape.witnesses:
            return None
        if not all(rule.for_all_but(self._declared) for rule in shape.rules):
            return None
        schemas = joined(*(rule.schemas for rule in shape.rules))
        return schemas if self._writer.reader.shapes(schemas) else None

    @cached_property
    def _names(self) -> Dfa | None:
        """The keys that `propertyNames` allows; None if it says nothing."""
        return key_language(self._shape.names, self._writer) if self._shape.names else None

    @cached_property
    def _kinds(self) -> list[tuple[Dfa, Schemas]]:
        """The keys that are not declared, by what their values must satisfy.

        Raises:
            UnsupportedSchemaError: there are too many kinds.
        """
        shape, limit = self._shape, self._writer.program.max_states
        for_all = joined(*(rule.schemas for rule in shape.rules if rule.for_all_but(self._declared)))
        if (shape.closed and not shape.patterned) or not self._writer.reader.shapes(for_all):
            return []
        undeclared = Dfa.words(self._declared).complement() if self._declared else Dfa.everything()
        if shape.closed:
            patterned = Dfa.words([])
            for pattern in shape.patterned:
                patterned = patterned.union(self._writer.language(pattern), max_states=limit)
            undeclared = undeclared.intersection(patterned, max_states=limit)
        if self._names is not None:
            undeclared = undeclared.intersection(self._names, max_states=limit)
        kinds: list[tuple[Dfa, Schemas]] = [(undeclared, for_all)]
        for rule in shape.rules:
            if rule.for_all_but(self._declared):
                continue
            keys = self._writer.language(rule.keys)
            kinds = [
                part
                for language, schemas in kinds
                for part in (
                    (language.intersection(keys, max_states=limit), joined(schemas, rule.schemas)),
                    (language.difference(keys, max_states=limit), schemas),
                )
                if not part[0].empty
            ]
            if len(kinds) > MAX_KINDS:
                raise refusal(shape, "patternProperties", f"they make more than {MAX_KINDS} kinds of keys")
        return [kind for kind in kinds if self._writer.reader.shapes(kind[1]) and not kind[0].empty]

    def _check_counts(self) -> None:
        """Refuse a count that undeclared keys would have to reach: they may repeat, and then count once."""
        if self._shape.min_properties > len(self._shape.required) + 1 and self._kinds:
            why = "keys that are not declared may repeat, so they cannot be counted"
            raise refusal(self._shape, "minProperties", why)
