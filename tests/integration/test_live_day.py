"""A live session that goes on for long: every bar comes once, and it keeps no more than what it was asked to."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from benchmarks.day import missing_and_doubled

ROOT = Path(__file__).parents[2]
BARS, WARM_UP = 100, 40
OBJECTS_AN_ORDER = 14
"""An order is kept with its events and fills, by the session's record and by Backtrader; bars are numbers alone."""
SECONDS = 120
DAY = "from benchmarks.day import live_day; import json; print(json.dumps(live_day({!r}, {}, 3000, {})))"


@pytest.mark.parametrize("venue", ["binance", "ibkr"])
def test_five_symbols_lose_no_bar_and_what_is_kept_grows_with_the_orders_alone(
    venue: str, tmp_path: Path
) -> None:
    """Fifty bars a second; `python -m benchmarks --only day` measures a whole day."""
    done = subprocess.run(
        [sys.executable, "-c", DAY.format(venue, BARS, WARM_UP)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert (found["lost"], found["doubled"]) == (0, 0)
    assert found["grown_orders"] > 5
    assert found["grown_objects"] < found["grown_orders"] * OBJECTS_AN_ORDER


def test_what_is_missing_and_what_came_twice_is_counted() -> None:
    start = datetime(2024, 1, 2, tzinfo=UTC)
    times = [start + timedelta(minutes=number) for number in range(1, 4)]
    seen = [("A", times[0]), ("A", times[2]), ("A", times[2]), ("B", times[0]), ("B", times[1])]
    assert missing_and_doubled(seen, ("A", "B"), start, 3) == (2, 1)
