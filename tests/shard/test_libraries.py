"""Compiled steps that are used stay, those of older versions go, whatever else is in their folder."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from shard.libraries import LONGEST_WORK, keep


@pytest.fixture
def libraries(tmp_path: Path) -> list[Path]:
    """Used one after the other, an hour apart, long ago."""
    made = [tmp_path / f"llama-{number}.so" for number in range(4)]
    for number, path in enumerate(made):
        path.write_bytes(b"code")
        os.utime(path, times=(number * 3600.0,) * 2)
    return made


def test_those_used_last_are_kept(libraries: list[Path], tmp_path: Path) -> None:
    keep(libraries[1], most=3)
    assert set(tmp_path.iterdir()) == {libraries[1], libraries[2], libraries[3]}
    keep(libraries[2], most=2)
    assert set(tmp_path.iterdir()) == {libraries[1], libraries[2]}


def test_libraries_that_take_turns_are_all_kept(libraries: list[Path], tmp_path: Path) -> None:
    for library in libraries * 2:
        keep(library, most=4)
    assert set(tmp_path.iterdir()) == set(libraries)


def test_one_that_is_in_use_by_another_can_still_be_read(libraries: list[Path]) -> None:
    with libraries[0].open("rb") as mapped:
        keep(libraries[3], most=1)
        assert not libraries[0].exists()
        assert mapped.read() == b"code"


def test_what_killed_compilers_left_goes_and_what_compilers_work_in_stays(
    libraries: list[Path], tmp_path: Path
) -> None:
    left, working = tmp_path / "tmpa.part", tmp_path / "tmpb.part"
    for folder in (left, working):
        folder.mkdir()
        (folder / "step.cpp").touch()
    os.utime(left, times=(time.time() - LONGEST_WORK - 60,) * 2)
    keep(libraries[0])
    assert set(tmp_path.iterdir()) == {*libraries, working}


def test_a_library_that_another_has_removed_is_no_error(tmp_path: Path) -> None:
    keep(tmp_path / "llama-0.so")
    assert not [*tmp_path.iterdir()]
