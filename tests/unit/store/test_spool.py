"""Lines that are on disk when they are written, whatever became of the one after them."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import pytest

from core.errors import StoreError
from store.spool import Spool

ROOM = 4096


def opened(path: Path) -> Spool:
    spool = Spool(path, ROOM)
    spool.open()
    return spool


def test_the_next_session_reads_what_was_written(tmp_path: Path) -> None:
    first = opened(tmp_path / "s")
    first.append({"a": ["one", 1.5, None]})
    first.append("two\nlines")
    first.close()
    later = opened(tmp_path / "s")
    assert later.entries == [{"a": ["one", 1.5, None]}, "two\nlines"]
    later.append("three")
    later.close()
    assert opened(tmp_path / "s").entries == [{"a": ["one", 1.5, None]}, "two\nlines", "three"]


@pytest.mark.parametrize("cut", range(1, 26))
def test_what_was_cut_short_is_no_line(tmp_path: Path, cut: int) -> None:
    spool = opened(tmp_path / "s")
    spool.append("kept")
    kept = spool._end
    spool.append("torn")
    length = spool._end - kept
    spool.close()
    with (tmp_path / "s").open("r+b") as file:
        file.seek(kept + max(0, length - cut))
        file.write(b"\0" * min(cut, length))
    later = opened(tmp_path / "s")
    assert later.entries == ["kept"]
    later.append("next")
    later.close()
    assert opened(tmp_path / "s").entries == ["kept", "next"]


def test_a_bit_that_flipped_is_found(tmp_path: Path) -> None:
    spool = opened(tmp_path / "s")
    spool.append("one")
    spool.append("two")
    spool.close()
    content = (tmp_path / "s").read_bytes()
    (tmp_path / "s").write_bytes(content.replace(b'"two"', b'"tvo"'))
    assert opened(tmp_path / "s").entries == ["one"]


def test_lines_taken_over_do_not_come_back(tmp_path: Path) -> None:
    spool = opened(tmp_path / "s")
    for word in ("one", "two", "six"):
        spool.append(word)
    spool.clear()
    assert spool.entries == []
    spool.append("new")  # as long as the first, so that the second old line begins right behind it
    spool.close()
    assert opened(tmp_path / "s").entries == ["new"]
    spool = opened(tmp_path / "s")
    spool.clear()
    spool.close()
    assert opened(tmp_path / "s").entries == []


def test_the_room_is_there_before_it_is_needed(tmp_path: Path) -> None:
    """No file may grow any more; the line finds its room, and one too many is refused by name."""
    spool = opened(tmp_path / "s")
    assert os.stat(tmp_path / "s").st_blocks * 512 >= ROOM
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, before[1]))
    try:
        spool.append("x" * 2000)
        with pytest.raises(StoreError, match="cannot be written"):
            spool.append("y" * 3000)
        spool.append("z")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    spool.close()
    assert [entry[0] for entry in opened(tmp_path / "s").entries] == ["x", "z"]


def test_no_room_at_the_start_is_said(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM // 2, before[1]))
    try:
        with pytest.raises(StoreError, match="cannot be written"):
            opened(tmp_path / "s")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
