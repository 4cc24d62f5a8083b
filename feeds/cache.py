"""Bars kept on disk, one Parquet file for each provider, symbol and timeframe.

A file is written whole under another name and then renamed, so a reader sees the old one or the new one.
Only closed bars are kept. The file says which period was asked for, so that a period without bars is not asked
for again.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pandas as pd

FORMAT = 1
METADATA = b"tradewright"


@dataclass(frozen=True, slots=True)
class Series:
    """What a cache file holds the bars of."""

    provider: str
    symbol: str
    timeframe: str


@dataclass(frozen=True, slots=True)
class CachedBars:
    """Bars, and the period that was asked for: from `start` up to, not including, `until` (UTC)."""

    frame: pd.DataFrame
    start: pd.Timestamp
    until: pd.Timestamp


class BarCache:
    """The cache in `folder`; the folder is made when something is written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, series: Series) -> Path:
        """The file of a series; names are safe on file systems that ignore case."""
        timeframe = series.timeframe.replace("M", "mo")
        return (
            self.folder
            / quote(series.provider, safe="")
            / quote(series.symbol, safe="")
            / f"{timeframe}.parquet"
        )

    @contextmanager
    def lock(self, series: Series) -> Iterator[None]:
        """Hold the series against other processes and threads. Raises OSError where nothing can be written."""
        path = self.path(series).with_suffix(".lock")
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+b") as file:
            _lock(file.fileno())
            try:
                yield
            finally:
                _unlock(file.fileno())

    def read(self, series: Series) -> tuple[CachedBars | None, str]:
        """The cached bars and "", or None and why there are none: "" when never cached, else what is wrong."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        path = self.path(series)
        if not path.is_file():
            return None, ""
        try:
            table = pq.read_table(path)
            facts = json.loads((table.schema.metadata or {})[METADATA])
            if facts["format"] != FORMAT:
                return None, f"cache file of format {facts['format']} ignored"
            frame = table.to_pandas().set_index("time")
            index = pd.DatetimeIndex(frame.index).as_unit("ns")
            if not (index.is_monotonic_increasing and index.is_unique):
                return None, "cache file out of order, fetched again"
            frame.index = index.rename("time")
            return CachedBars(frame, _stamp(facts["start"]), _stamp(facts["until"])), ""
        except (pa.ArrowException, OSError, ValueError, KeyError, TypeError):
            return None, "cache file damaged, fetched again"

    def write(self, series: Series, bars: CachedBars) -> None:
        """Replace the file, durably: data and folder are synced before this returns."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = pa.Table.from_pandas(bars.frame.reset_index(), preserve_index=False)
        facts = {"format": FORMAT, "start": bars.start.isoformat(), "until": bars.until.isoformat()}
        table = table.replace_schema_metadata(
            {**(table.schema.metadata or {}), METADATA: json.dumps(facts).encode()}
        )
        path = self.path(series)
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(f".{os.getpid()}.tmp")
        try:
            with draft.open("wb") as file:
                pq.write_table(table, file)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
            _sync_folder(path.parent)
        finally:
            draft.unlink(missing_ok=True)


def _stamp(text: str) -> pd.Timestamp:
    return pd.Timestamp(text).tz_convert("UTC").as_unit("ns")


if sys.platform == "win32":
    import msvcrt

    def _lock(handle: int) -> None:
        os.lseek(handle, 0, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_LOCK, 1)

    def _unlock(handle: int) -> None:
        os.lseek(handle, 0, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_UNLCK, 1)

    def _sync_folder(folder: Path) -> None:
        """Windows has no handle to sync a folder by; the rename itself is journaled."""

else:
    import fcntl

    def _lock(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX)

    def _unlock(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_UN)

    def _sync_folder(folder: Path) -> None:
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
