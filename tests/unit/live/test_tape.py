"""The bars of a session, kept: `--data` reads back what `--record` wrote, to the last bit."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from core.errors import ConfigError
from core.types import Bar
from feeds import load
from live.tape import Tape

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def bars(symbol: str, count: int, step: float) -> list[Bar]:
    return [
        Bar(
            symbol,
            NOON + timedelta(minutes=n),
            100 + n * step,
            102 + n * step,
            99.0,
            101 + n * step,
            7 / (n + 1),
        )
        for n in range(count)
    ]


@pytest.mark.parametrize("symbols", [("BTC/USDT",), ("AAPL", "MSFT")])
def test_what_was_recorded_is_read_back(tmp_path: Path, symbols: tuple[str, ...]) -> None:
    """Several symbols in one file, a line a bar, in the order they came."""
    told = [bars(symbol, 5, 1 / (3 + n)) for n, symbol in enumerate(symbols)]
    with Tape(tmp_path / "tape.csv") as tape:
        for at_once in zip(*told, strict=True):
            for bar in at_once:
                tape.take(bar)
        read = load(tmp_path / "tape.csv").frames  # while it is being written
    assert list(read) == list(symbols)
    for symbol, frame in tape.frames().items():
        pd.testing.assert_frame_equal(read[symbol], frame, check_exact=True, check_freq=False)


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    with (
        pytest.raises(ConfigError, match="name another file with --record"),
        Tape(tmp_path / "no" / "tape.csv"),
    ):
        pass
