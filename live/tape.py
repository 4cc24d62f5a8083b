"""The bars a live session saw: kept for its report, and written to a file that `--data` reads back."""

from __future__ import annotations

import csv
from collections import defaultdict
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import IO

import pandas as pd

from core.errors import ConfigError
from core.types import Bar

COLUMNS = ("open", "high", "low", "close", "volume")


class Tape(AbstractContextManager["Tape"]):
    """Bars by symbol. file: a CSV that is begun anew; each bar is in it as soon as it was seen."""

    def __init__(self, file: Path | None = None) -> None:
        self._file = file
        self._bars: defaultdict[str, list[Bar]] = defaultdict(list)
        self._open: IO[str] | None = None

    def __enter__(self) -> Tape:
        if self._file is not None:
            try:
                self._open = self._file.open("w", newline="", encoding="utf-8")
            except OSError as error:
                raise ConfigError(
                    f"cannot write {self._file}: {error.strerror}", hint="name another file with --record"
                ) from error
            csv.writer(self._open).writerow(["time", "symbol", *COLUMNS])
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None

    def take(self, bar: Bar) -> None:
        """One more bar."""
        self._bars[bar.symbol].append(bar)
        if self._open is not None:
            prices = [getattr(bar, name) for name in COLUMNS]
            csv.writer(self._open).writerow([bar.time.isoformat(), bar.symbol, *prices])
            self._open.flush()

    def frames(self) -> dict[str, pd.DataFrame]:
        """Everything so far, as a market."""
        return {symbol: _frame(bars) for symbol, bars in self._bars.items()}


def _frame(bars: list[Bar]) -> pd.DataFrame:
    times = pd.DatetimeIndex([bar.time for bar in bars], name="time").as_unit("ns")
    return pd.DataFrame(
        {name: [getattr(bar, name) for bar in bars] for name in COLUMNS}, times, dtype="float64"
    )
