"""Plans keep to the budget, nobody starves, and every block comes back."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from shard.blocks import Blocks
from shard.scheduler import Scheduler
from shard.sequence import Sequence, Slice


def scheduler(*, blocks: int = 64, size: int = 4, running: int = 8, budget: int = 16) -> Scheduler:
    return Scheduler(
        Blocks(count=blocks + 1, size=size), max_running=running, max_waiting=4, token_budget=budget
    )


def advance(subject: Scheduler, slices: list[Slice]) -> list[Sequence]:
    """As the engine does after a step: one more token for whoever sampled. Returns those that finished."""
    sampled = [each.sequence for each in slices if each.samples]
    subject.settle(slices)
    finished = []
    for sequence in sampled:
        sequence.tokens.append(len(sequence.tokens))
        if sequence.generated >= sequence.max_new_tokens:
            subject.remove(sequence)
            finished.append(sequence)
    return finished


def test_a_long_prompt_is_read_in_several_steps() -> None:
    subject = scheduler(budget=16)
    sequence = Sequence(range(40), max_new_tokens=2)
    subject.add(sequence)
    counts = []
    while slices := subject.plan():
        counts += [each.count for each in slices]
        advance(subject, slices)
    assert counts == [16, 16, 8, 1]


def test_running_sequences_go_on_while_a_long_prompt_is_read() -> None:
    subject = scheduler(budget=8)
    short, long = Sequence([1], max_new_tokens=9), Sequence(range(50, 80), max_new_tokens=2)
    subject.add(short)
    advance(subject, subject.plan())
    subject.add(long)
    slices = subject.plan()
    assert [(each.sequence, each.count) for each in slices] == [(short, 1), (long, 7)]


def test_only_the_last_slice_of_a_prompt_samples() -> None:
    subject = scheduler(budget=8)
    subject.add(Sequence(range(10), max_new_tokens=2))
    slices = subject.plan()
    assert not slices[0].samples
    advance(subject, slices)
    assert subject.plan()[0].samples


def test_the_youngest_is_preempted_and_later_finishes() -> None:
    subject = scheduler(blocks=4, size=4)
    old, young = Sequence(range(7), max_new_tokens=8), Sequence(range(20, 27), max_new_tokens=8)
    subject.add(old)
    subject.add(young)
    preempted, finished = False, []
    while slices := subject.plan():
        preempted |= not young.blocks and bool(young.generated)
        finished += advance(subject, slices)
    assert preempted
    assert finished == [old, young]
    assert subject.blocks.available == 4


def test_more_waiting_sequences_than_allowed_make_it_full() -> None:
    subject = scheduler(running=1)
    for _ in range(4):
        assert not subject.full
        subject.add(Sequence([1], max_new_tokens=2))
    assert subject.full
    subject.plan()
    assert not subject.full


def test_who_runs_and_who_waits_is_counted() -> None:
    subject = scheduler(running=2)
    sequences = [Sequence([1], max_new_tokens=9) for _ in range(5)]
    for sequence in sequences:
        subject.add(sequence)
    assert (subject.running, subject.waiting) == (0, 5)
    advance(subject, subject.plan())
    assert (subject.running, subject.waiting) == (2, 3)
    for sequence in sequences:
        subject.remove(sequence)
    assert (subject.running, subject.waiting) == (0, 0)


def test_what_could_never_run_to_its_end_does_not_fit() -> None:
    subject = scheduler(blocks=2, size=4)
    assert subject.fits(Sequence(range(5), max_new_tokens=4))  # the last token's keys are never needed
    assert not subject.fits(Sequence(range(5), max_new_tokens=5))


def test_blocks_of_a_removed_sequence_are_kept_until_the_step_settles() -> None:
    subject = scheduler(blocks=4)
    sequence = Sequence([1, 2, 3], max_new_tokens=2)
    subject.add(sequence)
    slices = subject.plan()
    subject.remove(sequence)
    assert subject.blocks.available == 3
    subject.settle(slices)
    assert subject.blocks.available == 4
    assert not subject.plan()


def test_removing_twice_is_removing_once() -> None:
    subject = scheduler(blocks=4)
    sequence = Sequence([1, 2, 3], max_new_tokens=2)
    subject.add(sequence)
    slices = subject.plan()
    subject.remove(sequence)
    subject.remove(sequence)
    subject.settle(slices)
    subject.remove(sequence)
    assert subject.blocks.available == 4


arrivals = st.lists(
    st.tuples(
        st.integers(0, 12),  # steps before it arrives
        st.integers(1, 20),  # tokens of its prompt
        st.integers(1, 10),  # tokens of its answer
        st.integers(0, 2),  # which prompt, so that some share a prefix
        st.none() | st.integers(0, 10),  # steps until its caller leaves, None to stay
        st.booleans(),  # whether it leaves while the model runs
    ),
    max_size=12,
)


@given(arrivals, st.integers(8, 20), st.integers(1, 5), st.integers(1, 12), st.integers(1, 5))
def test_whatever_comes_and_goes_everybody_else_finishes_and_all_blocks_are_free(
    plan: list[tuple[int, int, int, int, int | None, bool]], blocks: int, size: int, budget: int, running: int
) -> None:
    subject = scheduler(blocks=blocks, size=size, budget=budget, running=running)
    coming, leaving_at, finished, kept = list(plan), [], [], []
    for step in range(2000):
        for arrival in [each for each in coming if each[0] <= step]:
            coming.remove(arrival)
            _, length, new, kind, patience, midway = arrival
            sequence = Sequence(range(kind * 100, kind * 100 + length), max_new_tokens=new)
            if not subject.fits(sequence):
                continue
            subject.add(sequence)
            if patience is None:
                kept.append(sequence)
            else:
                leaving_at.append((step + patience, midway, sequence))
        leave(subject, leaving_at, step, midway=False)
        slices = subject.plan()
        check(slices, budget=budget, running=running, size=size)
        leave(subject, leaving_at, step, midway=True)
        finished += advance(subject, slices)
        if not slices and not coming and not leaving_at:
            break
    assert set(kept) <= set(finished)
    assert subject.blocks.available == blocks


sizes = st.tuples(st.integers(1, 20), st.integers(1, 10))  # tokens of a prompt, tokens of its answer


@given(
    st.lists(sizes, min_size=1, max_size=6),
    st.lists(sizes, min_size=1, max_size=4),
    st.integers(1, 3),
    st.integers(30, 40),
    st.integers(1, 12),
    st.integers(1, 5),
)
def test_nobody_waits_for_those_who_come_later_however_many_they_are(
    asked: list[tuple[int, int]],
    later: list[tuple[int, int]],
    every: int,
    blocks: int,
    budget: int,
    running: int,
) -> None:
    subject = scheduler(blocks=blocks, size=1, budget=budget, running=running)
    sequences = [Sequence([index] * length, max_new_tokens=new) for index, (length, new) in enumerate(asked)]
    for sequence in sequences:
        subject.add(sequence)
    deadline = 0
    steps = itertools.count(1)
    crowd = itertools.cycle(later)
    finished: list[Sequence] = []
    for sequence in sequences:
        # What the oldest takes, read from its start again in the worst case; then the next one is the oldest.
        deadline += -(-(sequence.input_length + sequence.max_new_tokens) // budget)
        deadline += sequence.max_new_tokens
        while sequence not in finished:
            step = next(steps)
            assert step <= deadline
            if step % every == 0:
                length, new = next(crowd)
                subject.add(Sequence([100 + step] * length, max_new_tokens=new))
            slices = subject.plan()
            assert slices[0].sequence is next(each for each in sequences if each not in finished)
            finished += advance(subject, slices)


def leave(subject: Scheduler, leaving: list[tuple[int, bool, Sequence]], step: int, *, midway: bool) -> None:
    for entry in [each for each in leaving if each[0] <= step and each[1] is midway]:
        leaving.remove(entry)
        subject.remove(entry[2])


def check(slices: list[Slice], *, budget: int, running: int, size: int) -> None:
    assert sum(each.count for each in slices) <= budget
    assert len({each.sequence for each in slices}) == len(slices) <= running
    written: list[int] = []
    for each in slices:
        assert each.count > 0
        sequence = each.sequence
        end = sequence.computed + each.count
        assert end <= len(sequence.blocks) * size
        written += sequence.blocks[sequence.computed // size : -(-end // size)]
    assert 0 not in written
    assert len(set(written)) == len(written), "two sequences write to one block"
