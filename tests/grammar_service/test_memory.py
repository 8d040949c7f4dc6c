"""MemoryCache: what it keeps, and what it lets go first."""

from __future__ import annotations

from grammar_service.memory import MemoryCache
from grammar_service.outcome import Compiled, Refused
from protos import automaton_pb2, grammar_pb2


class Clock:
    """Stands still until it is set."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def memory_of(*, max_entries: int = 100, max_bytes: int = 10_000, clock: Clock | None = None) -> MemoryCache:
    return MemoryCache(
        max_entries=max_entries, max_bytes=max_bytes, passing_seconds=60.0, clock=clock or Clock()
    )


def outcome_of(size: int) -> Compiled:
    return Compiled(automaton_pb2.Automaton(byte_classes=bytes(size)), grammar_pb2.Summary())


def test_the_least_recently_used_entry_goes_first() -> None:
    memory = memory_of(max_entries=2)
    memory.put("a", outcome_of(1))
    memory.put("b", outcome_of(2))
    memory.get("a")
    memory.put("c", outcome_of(3))
    assert memory.get("b") is None
    assert memory.get("a") == outcome_of(1)
    assert memory.get("c") == outcome_of(3)


def test_as_many_entries_go_as_a_large_one_needs() -> None:
    memory = memory_of(max_bytes=1000)
    for key in "abc":
        memory.put(key, outcome_of(300))
    memory.put("d", outcome_of(600))
    assert [key for key in "abcd" if memory.get(key)] == ["c", "d"]


def test_an_entry_larger_than_the_whole_cache_is_not_kept() -> None:
    memory = memory_of(max_bytes=1000)
    memory.put("a", outcome_of(1001))
    assert len(memory) == 0
    memory.put("b", outcome_of(900))
    assert memory.get("b") is not None


def test_an_entry_put_twice_counts_once() -> None:
    memory = memory_of(max_bytes=1000)
    for _ in range(5):
        memory.put("a", outcome_of(600))
    memory.put("b", outcome_of(300))
    assert len(memory) == 2


def test_a_passing_refusal_is_forgotten_and_a_lasting_one_is_not() -> None:
    clock = Clock()
    memory = memory_of(clock=clock)
    memory.put("slow", Refused("too slow", lasting=False))
    memory.put("wrong", Refused("wrong"))
    clock.now = 59.0
    assert memory.get("slow") is not None
    clock.now = 60.0
    assert memory.get("slow") is None
    assert memory.get("wrong") == Refused("wrong")
