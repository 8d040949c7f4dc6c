"""Waiting and running are told apart."""

from __future__ import annotations

from collections.abc import Iterator

from shard.timing import Timing


def ticks() -> Iterator[float]:
    yield from (10.0, 11.5, 14.0)


def test_a_request_waits_until_its_first_start_and_runs_until_its_stop() -> None:
    subject = Timing(ticks().__next__)
    subject.start()
    subject.start()
    subject.stop()
    assert subject.queue_seconds == 1.5
    assert subject.inference_seconds == 2.5


def test_what_never_ran_took_no_time() -> None:
    subject = Timing(ticks().__next__)
    assert (subject.queue_seconds, subject.inference_seconds) == (0, 0)
