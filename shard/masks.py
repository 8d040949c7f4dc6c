"""Token masks: which tokens may come next in an answer that must match a grammar."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import count
from time import perf_counter

from protos import automaton_pb2
from protos.automaton import Configuration
from shard.counters import Counters
from shard.deadline import Budget, Deadline, choose_deadline
from shard.grammar import Grammar, Mask
from shard.needs import NEVER
from shard.reach import Reach
from shard.vocabulary import Vocabulary
from shard.walk import Visits


@dataclass
class _Row:
    """What is known of one configuration: the mask, and what only answers with a deadline ask for."""

    mask: Mask
    most_bytes: int = NEVER
    """`Reach.most` is at most that; where no answer with a deadline came first, nothing is known."""
    reach: Reach | None = None


class GrammarMasks:
    """The grammars in use and the masks of their configurations, each computed at its first visit.

    Keeps the most recently used: at most `max_automata` grammars, and `max_rows` masks of them all together.
    A constraint keeps its own grammar for as long as it lives. Any thread may ask for a new constraint; masks
    are asked for in one thread at a time.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        *,
        max_automata: int,
        max_rows: int,
        max_table_bytes: int = 1 << 29,
        counters: Counters | None = None,
    ) -> None:
        """`max_table_bytes` bounds the memory of the kept grammars' transition tables, all together."""
        self._counters = counters or Counters()
        self._vocabulary = vocabulary
        self._max_automata = max_automata
        self._max_table_bytes = max_table_bytes
        self._max_rows = max_rows
        self._grammars: OrderedDict[str, Grammar] = OrderedDict()
        self._rows: OrderedDict[tuple[int, Configuration], _Row] = OrderedDict()
        self._numbers = count()

    def constraint(
        self, message: automaton_pb2.Automaton, automaton_id: str, budget: Budget | None = None
    ) -> Constraint:
        """A new answer that must match the automaton, and do so before its budget is spent if it has one.

        Args:
            message: the automaton.
            automaton_id: the name by which it may be known already, or "". It is believed only if what is
                known by that name equals `message`.
            budget: the tokens that the answer may have; None lets it be cut off anywhere.

        Raises:
            InvalidRequestError: the automaton is damaged, or a required budget is too small.
        """
        name = automaton_id or hashlib.sha256(message.SerializeToString(deterministic=True)).hexdigest()
        # Taken out and put back last: single steps, so that another thread never meets a gap between them.
        grammar = self._grammars.pop(name, None)
        if grammar is None or grammar.message != message:
            grammar = Grammar(next(self._numbers), message, self._vocabulary)
        self._grammars[name] = grammar
        self._drop_oldest_grammars()
        deadline = choose_deadline(grammar, budget) if budget else None
        return Constraint(self, grammar, deadline)

    def mask(self, grammar: Grammar, configuration: Configuration, deadline: Deadline | None) -> Mask:
        """The mask of a configuration of one of the grammars. Raises what `Grammar.mask` raises."""
        row = self._rows.get((grammar.number, configuration))
        if row is not None:
            self._rows.move_to_end((grammar.number, configuration))
            self._counters.mask_hits += 1
            if deadline is None or row.most_bytes <= deadline.limit:
                return row.mask
        began = perf_counter()
        mask = self._look(row, grammar, configuration, deadline)
        self._counters.mask_seconds += perf_counter() - began
        return mask

    def _look(
        self, row: _Row | None, grammar: Grammar, configuration: Configuration, deadline: Deadline | None
    ) -> Mask:
        """The mask, where it is not simply what a row says."""
        visits = None
        if row is None:
            visits = grammar.visits(configuration)
            row = self._add(grammar, configuration, visits, ends=deadline is not None)
        if deadline is None or row.most_bytes <= deadline.limit:
            return row.mask
        if row.reach is None or row.reach.version != grammar.needs.version:
            row.reach = grammar.reach(configuration, visits or grammar.visits(configuration))
        if row.reach.most <= deadline.limit:
            return row.mask
        return grammar.mask_within(configuration, row.reach, deadline.limit)

    def _add(self, grammar: Grammar, configuration: Configuration, visits: Visits, *, ends: bool) -> _Row:
        row = self._rows[grammar.number, configuration] = _Row(grammar.mask(configuration, visits))
        if ends:
            row.most_bytes = grammar.most_bytes(configuration, visits)
        if len(self._rows) > self._max_rows:
            self._rows.popitem(last=False)
        self._counters.mask_first_visits += 1
        return row

    def known(self, grammar: Grammar, configuration: Configuration) -> bool:
        """Whether the mask of a configuration is there already."""
        return (grammar.number, configuration) in self._rows

    def _drop_oldest_grammars(self) -> None:
        """Their masks age out by themselves: the number of a grammar is never used again."""
        size = sum(grammar.num_bytes for grammar in list(self._grammars.values()))
        while len(self._grammars) > self._max_automata or size > self._max_table_bytes:
            _, dropped = self._grammars.popitem(last=False)
            size -= dropped.num_bytes


class Constraint:
    """Where one answer stands in its grammar: all tokens so far were allowed, each where it came."""

    def __init__(self, masks: GrammarMasks, grammar: Grammar, deadline: Deadline | None) -> None:
        self._masks = masks
        self._grammar = grammar
        self._configuration = grammar.start
        self._deadline = deadline
        self.finished = False
        """Whether an end-of-sequence token has been taken: nothing may follow."""

    def mask(self) -> Mask:
        """The tokens that may come next; those that end the answer are among them exactly where it matches.

        Raises:
            GenerationError: no token is allowed: the vocabulary cannot spell what the grammar asks for.
            ValueError: the answer has finished.
        """
        return self.masks()[0]

    def masks(self, drafts: Iterable[int] = ()) -> list[Mask]:
        """The mask, and those after each of `drafts` up to the first that is not allowed. Raises likewise."""
        if self.finished:
            raise ValueError("the answer has finished")
        grammar, deadline = self._grammar, self._deadline
        masks = [self._masks.mask(grammar, self._configuration, deadline)]
        following: Configuration | None = self._configuration
        for taken, token_id in enumerate(drafts, start=1):
            if following is None or not masks[-1][token_id >> 5] >> (token_id & 31) & 1:
                break
            following = grammar.read(following, token_id)
            if following is not None:
                masks.append(
                    self._masks.mask(grammar, following, deadline.after(taken) if deadline else None)
                )
        return masks

    @property
    def known(self) -> bool:
        """Whether the next mask is known already, or must be computed first."""
        return self._masks.known(self._grammar, self._configuration)

    def forced(self) -> bytes:
        """The text that must come next; empty where there is more than one way to go on."""
        return b"" if self.finished else self._grammar.forced(self._configuration)

    def advance(self, token_id: int) -> None:
        """Take the next token of the answer.

        Raises:
            ValueError: the token is not allowed here; the constraint stays as it was.
        """
        if self.finished:
            raise ValueError(f"token {token_id} after the end of the answer")
        following = self._grammar.read(self._configuration, token_id)
        if following is None:
            self.finished = True
        else:
            self._configuration = following
        if self._deadline is not None:
            self._deadline = self._deadline.after(1)
