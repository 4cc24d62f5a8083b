"""Bars that need no mending, recognised at once: the short way through `layout` and `clean`, with the same outcome."""

from __future__ import annotations

from datetime import UTC

import numpy as np
import numpy.typing as npt
import pandas as pd

from feeds import spacing
from feeds.clean import ROUNDING
from feeds.layout import COLUMNS
from feeds.quality import QualityReport
from feeds.spacing import nanoseconds

NO_TIME = np.iinfo(np.int64).min
ZONELESS = "times without a zone are taken as UTC"
_COLUMNS = pd.Index(COLUMNS)


def accept(frame: pd.DataFrame, limit: int) -> tuple[pd.DataFrame, QualityReport] | None:
    """Bars and report as `arrange` and `clean` give them for a frame they would not change, else None.

    That is: the five columns as floats, times that rise, and prices and volumes that `validate` accepts, without
    a bar missing. limit: the longest gap, in bars, that would be filled. The bars are a copy.
    """
    if len(frame.columns) != len(COLUMNS) or len(frame) == 0 or not isinstance(frame.index, pd.DatetimeIndex):
        return None
    places = {name.lower(): place for place, name in enumerate(frame.columns) if isinstance(name, str)}
    if not all(name in places for name in COLUMNS):
        return None
    values, index = frame.to_numpy(), _utc(frame.index)
    times = nanoseconds(index)
    if values.dtype != np.float64 or times[0] == NO_TIME or not (times[1:] > times[:-1]).all():
        return None
    block = np.ascontiguousarray(values.T[[places[name] for name in COLUMNS]])
    if not _sound(block):
        return None
    closures = _closures(index, times, limit)
    if closures is None:
        return None
    notes = (ZONELESS,) if frame.index.tz is None and (times % spacing.DAY).any() else ()
    bars = pd.DataFrame(block.T, index=index, columns=_COLUMNS, copy=False)
    return bars, QualityReport(rows=len(frame), bars=len(frame), closures=closures, notes=notes)


def _sound(block: npt.NDArray[np.float64]) -> bool:
    """Whether `clean.validate` accepts it. block: (5, n) open, high, low, close, volume."""
    opening, high, low, close, volume = block
    if not (block[:4] > 0).all() or not (volume >= 0).all() or not block.max() < np.inf:
        return False
    slack = ROUNDING * high
    top, bottom = np.maximum(opening, close), np.minimum(opening, close)
    return bool((high >= np.maximum(top, low) - slack).all() and (low <= bottom + slack).all())


def _closures(index: pd.DatetimeIndex, times: npt.NDArray[np.int64], limit: int) -> int | None:
    """How many breaks are closures; None where a bar is missing, or something has to be noted."""
    if len(times) < 2:
        return 0
    step = spacing.infer_step(times)
    if not step:
        return None if len(times) > 2 else 0
    breaks = spacing.find_breaks(index, step, limit)
    return None if any(not gap.closure or gap.quiet for gap in breaks) else len(breaks)


def _utc(index: pd.DatetimeIndex) -> pd.DatetimeIndex:
    if index.tz is UTC and index.unit == "ns":
        return index.rename("time")
    aware = index.tz_localize("UTC") if index.tz is None else index.tz_convert("UTC")
    return aware.as_unit("ns").rename("time")
