"""What a later run of a script is shown again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from core.errors import ConfigError
from feeds.remembered import Remembered
from feeds.source import Feed

BEGAN = datetime(2026, 1, 5, tzinfo=UTC)


def test_a_later_run_begins_where_the_first_did_and_changes_where_it_changed(tmp_path: Path) -> None:
    file = tmp_path / "began"
    first = Remembered(file, BEGAN)
    assert [first.note(0, Feed.DELAYED), first.note(7, Feed.LIVE), first.note(7, Feed.LIVE)] == [
        True,
        True,
        False,
    ]
    assert first.note(9, Feed.DISCONNECTED)
    later = Remembered(file, BEGAN + timedelta(days=3))
    assert later.since == BEGAN
    # It is connected anew, and has bars of the past until the tenth.
    assert not later.note(0, Feed.DELAYED)
    assert [later.changes_before(bars) for bars in (0, 7, 8, 9)] == [
        [Feed.DELAYED], [Feed.LIVE], [], [Feed.DISCONNECTED],
    ]  # fmt: skip
    assert not later.note(3, Feed.LIVE)
    assert later.note(12, Feed.LIVE)
    assert Remembered(file, BEGAN).told[-1] == (12, Feed.LIVE)


def test_without_a_file_nothing_is_kept() -> None:
    remembered = Remembered(None, BEGAN)
    assert remembered.note(0, Feed.LIVE)
    assert remembered.since == BEGAN


@pytest.mark.parametrize(
    "text", ["", "{}", '{"since": "soon", "told": []}', '{"since": "2026-01-05", "told": [[1, "odd"]]}']
)
def test_a_file_that_says_something_else_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "began"
    file.write_text(text)
    with pytest.raises(ConfigError, match="does not say where the bars began"):
        Remembered(file, BEGAN)
