"""Look-around decided: machines that ask what precedes and follows, as automata that need not ask."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from grammar_service.automata.dfa import TooManyStatesError
from grammar_service.regex.alphabet import Alphabet
from grammar_service.regex.cursor import RegexError
from grammar_service.regex.edges import free
from grammar_service.regex.machine import Machine, compile_machine
from grammar_service.regex.positions import MAX_STATES
from grammar_service.regex.tree import LookAround

_MAX_WORK = 600_000
"""The most places where machines may be that are looked at: about three seconds."""

Front = frozenset[tuple[int, frozenset["Promise"]]]
"""Where a machine may be: its states, each with promises about the rest of the text that must all hold."""
Promise = tuple[int, bool, Front]
"""The number of a machine, whether it must not accept the text up to its end, and where it is."""
Fronts = tuple[Front, ...]

_NOTHING: frozenset[Promise] = frozenset()


def decided(main: Machine, alphabet: Alphabet) -> tuple[list[list[int]], list[bool], int]:
    """The automaton over atoms that accepts what `main` accepts where its look-arounds hold.

    An alternating automaton made deterministic (Chandra, Kozen and Stockmeyer, 1981): look-behinds are
    machines that run beside the main one from the begin of the text; a look-ahead starts one wherever it is
    asked, and its answer is a promise that the state carries until it is kept or broken.

    Returns:
        (states, atoms) next states, of which 0 is dead; whether each accepts; the start.

    Raises:
        RegexError: a look-behind has a look-ahead that sees farther than the look-behind does.
        TooManyStatesError: it has more than MAX_STATES states, or takes too many steps to find.
    """
    deciding = _Deciding(alphabet)
    number = deciding.add(main)
    behind = deciding.before_the_text()
    start = (behind, deciding.started(number, behind))
    numbers = {start: 1}
    queue = [start]
    rows, accepting = [[0] * alphabet.size], [False]
    for behind, front in queue:  # grows as it is read
        row = [0]
        known: dict[tuple[int, ...], int] = {}  # by where an atom leads every machine, for many lead alike
        leads = list(zip(*deciding.rows_at(number, front), *deciding.rows_behind(behind), strict=False))
        for atom in range(1, alphabet.size):
            target = known.get(leads[atom])
            if target is None:
                now_behind = deciding.behind_after(behind, atom)
                reached = (now_behind, deciding.step(number, front, atom, now_behind))
                if reached[1] and reached not in numbers:
                    numbers[reached] = len(numbers) + 1
                    queue.append(reached)
                target = known[leads[atom]] = numbers[reached] if reached[1] else 0
            row.append(target)
        if len(numbers) > MAX_STATES:
            raise TooManyStatesError(MAX_STATES)
        rows.append(row)
        accepting.append(deciding.accepts(number, front))
    return rows, accepting, 1


@dataclass
class _Deciding:
    """Machines by number, those inside a look-around before the one around it."""

    alphabet: Alphabet
    machines: list[Machine] = field(default_factory=list)
    universal: list[frozenset[int]] = field(default_factory=list)
    """The states of each machine from which it accepts anything."""
    numbers: dict[LookAround, int] = field(default_factory=dict)
    behinds: dict[int, int] = field(default_factory=dict)
    """The machines of look-behinds: their place in a tuple of fronts."""
    steps: dict[tuple[int, Front, int, Fronts], Front] = field(default_factory=dict)
    """Steps taken, for the same promises come again in many states."""
    fronts_behind: dict[tuple[Fronts, int], Fronts] = field(default_factory=dict)
    work: int = 0

    def add(self, machine: Machine) -> int:
        """Number a machine, after those that it asks."""
        for look in machine.look_arounds:
            if look not in self.numbers:
                inner = self.add(compile_machine(free(look.node, at_end=look.ahead), self.alphabet))
                self.numbers[look] = inner
                if not look.ahead:
                    self.behinds[inner] = len(self.behinds)
        atoms = range(1, self.alphabet.size)
        self.machines.append(machine)
        self.universal.append(
            frozenset(
                state
                for state, row in enumerate(machine.rows)
                if machine.accepting[state] and all(row[atom] == state for atom in atoms)
            )
        )
        return len(self.machines) - 1

    def rows_at(self, number: int, front: Front) -> Iterator[list[int]]:
        """The rows of all states where a machine may be, those of its promises included."""
        for state, promises in front:
            yield self.machines[number].rows[state]
            for of, _, there in promises:
                yield from self.rows_at(of, there)

    def rows_behind(self, fronts: Fronts) -> Iterator[list[int]]:
        """The rows of all states where the look-behinds are."""
        for number, front in zip(self.behinds, fronts, strict=True):
            yield from self.rows_at(number, front)

    def before_the_text(self) -> Fronts:
        """Where the look-behinds are when nothing is read."""
        fronts: Fronts = ()
        for number in self.behinds:
            fronts = (*fronts, self.started(number, fronts))
        return fronts

    def behind_after(self, fronts: Fronts, atom: int) -> Fronts:
        """Where the look-behinds are after one more atom."""
        known = self.fronts_behind.get((fronts, atom))
        if known is None:
            known = ()
            for number, front in zip(self.behinds, fronts, strict=True):
                known = (*known, self.step(number, front, atom, known))
            self.fronts_behind[fronts, atom] = known
        return known

    def started(self, number: int, behind: Fronts) -> Front:
        """Where a machine is that starts here."""
        return self._settled(number, [(self.machines[number].start, _NOTHING)], behind)

    def step(self, number: int, front: Front, atom: int, behind: Fronts) -> Front:
        """Where a machine is after an atom; `behind` is where the look-behinds are then."""
        key = (number, front, atom, behind)
        known = self.steps.get(key)
        if known is None:
            rows = self.machines[number].rows
            reached = []
            for state, promises in front:
                kept = self._kept(promises, atom, behind) if rows[state][atom] else None
                if kept is not None:
                    reached.append((rows[state][atom], kept))
            known = self.steps[key] = self._settled(number, reached, behind)
        return known

    def accepts(self, number: int, front: Front) -> bool:
        """Whether a machine accepts if the text ends here."""
        accepting = self.machines[number].accepting
        return any(
            accepting[state]
            and all(self.accepts(of, there) is not negative for of, negative, there in promises)
            for state, promises in front
        )

    def _kept(self, promises: frozenset[Promise], atom: int, behind: Fronts) -> frozenset[Promise] | None:
        """What is left of promises after an atom; None if one is broken."""
        left = set()
        for number, negative, front in promises:
            promise = self._promise(number, negative, self.step(number, front, atom, behind))
            if promise is False:
                return None
            if promise is not True:
                left.add(promise)
        return frozenset(left)

    def _promise(self, number: int, negative: bool, front: Front) -> Promise | bool:
        """A promise, or its answer where that is certain."""
        if not front:
            return negative
        if any(state in self.universal[number] and not promises for state, promises in front):
            return not negative
        return number, negative, front

    def _settled(self, number: int, reached: list[tuple[int, frozenset[Promise]]], behind: Fronts) -> Front:
        """Follow the look-arounds that hold here, and drop what says nothing new."""
        machine = self.machines[number]
        seen = set(reached)
        stack = list(seen)
        while stack and machine.look_arounds:
            state, promises = stack.pop()
            for column, look in enumerate(machine.look_arounds, start=self.alphabet.size):
                target = machine.rows[state][column]
                answer = self._asked(look, behind) if target else False
                if answer is False:
                    continue
                found = (target, promises if answer is True else promises | {answer})
                if found not in seen:
                    seen.add(found)
                    stack.append(found)
        self.work += len(seen) + sum(len(promises) for _, promises in seen)
        if self.work > _MAX_WORK:
            raise TooManyStatesError(MAX_STATES)
        return self._pruned(number, seen)

    def _asked(self, look: LookAround, behind: Fronts) -> Promise | bool:
        number = self.numbers[look]
        if look.ahead:
            return self._promise(number, look.negative, self.started(number, behind))
        accepting = self.machines[number].accepting
        ends = [promises for state, promises in behind[self.behinds[number]] if accepting[state]]
        if ends and all(ends):
            raise RegexError(
                "a look-behind with a look-ahead beyond its own end is not supported", look.position
            )
        return bool(ends) is not look.negative

    def _pruned(self, number: int, found: set[tuple[int, frozenset[Promise]]]) -> Front:
        """Without what needs more promises than another way to the same, or to a state that accepts all."""
        certain = [state for state, promises in found if not promises]
        everything = self.universal[number].intersection(certain)
        if everything:
            return frozenset({(min(everything), _NOTHING)})
        if len(certain) == len(found):
            return frozenset(found)
        ways: dict[int, list[frozenset[Promise]]] = {}
        for state, promises in found:
            ways.setdefault(state, []).append(promises)
        return frozenset(
            (state, promises)
            for state, promises in found
            if not any(other < promises for other in ways[state])
        )
