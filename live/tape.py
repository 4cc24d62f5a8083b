"""The bars a live session saw: kept for its report, and written to a file that `--data` reads back."""

from __future__ import annotations

import csv
from array import array
from collections import defaultdict
from contextlib import AbstractContextManager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import IO

import numpy as np
import pandas as pd

from core.errors import ConfigError
from core.telemetry import get_logger
from core.types import Bar

EPOCH, MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)
log = get_logger("live.tape")

COLUMNS = ("open", "high", "low", "close", "volume")


class Tape(AbstractContextManager["Tape"]):
    """Bars by symbol. file: a CSV that is begun anew; each bar is in it as soon as it was seen.

    Where it takes no more, the file ends, and the session goes on.
    """

    def __init__(self, file: Path | None = None) -> None:
        self._file = file
        self._bars: defaultdict[str, tuple[array[int], array[float]]] = defaultdict(
            lambda: (array("q"), array("d"))
        )
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
        self._end()

    def _end(self) -> None:
        if self._open is not None:
            with suppress(OSError):
                self._open.close()
            self._open = None

    def take(self, bar: Bar) -> None:
        """One more bar."""
        times, numbers = self._bars[bar.symbol]
        prices = [getattr(bar, name) for name in COLUMNS]
        times.append((bar.time - EPOCH) // MICROSECOND)
        numbers.extend(prices)
        if self._open is not None:
            try:
                csv.writer(self._open).writerow([bar.time.isoformat(), bar.symbol, *prices])
                self._open.flush()
            except OSError as error:
                self._end()
                log.error("tape.ended", file=str(self._file), time=bar.time, reason=str(error))

    def frames(self) -> dict[str, pd.DataFrame]:
        """Everything so far, as a market."""
        return {symbol: _frame(*bars) for symbol, bars in self._bars.items()}


def _frame(times: array[int], numbers: array[float]) -> pd.DataFrame:
    index = pd.to_datetime(np.array(times), unit="us", utc=True).as_unit("ns")
    table = np.array(numbers).reshape(len(times), len(COLUMNS))
    return pd.DataFrame(table, index.rename("time"), COLUMNS)
