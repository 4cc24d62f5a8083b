"""The sample market: Google's first 1,047 trading days, out of matplotlib's own sample data.

What the file holds: 2004-08-19 to 2008-10-14, prices in dollars as traded. Its adjusted close equals its close
in every row, and the shares were not split in that time (the first split came in 2014), so nothing is
adjusted. No row is missing, zero or out of shape.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd

from core.errors import DataError, UnknownNameError

SAMPLES = {"goog": "matplotlib goog.npz, GOOG daily"}


def read_sample(name: str) -> pd.DataFrame:
    """The sample's bars by name. Matplotlib is located, not imported: its import costs a second."""
    if name not in SAMPLES:
        raise UnknownNameError("sample", name, SAMPLES)
    with np.load(sample_path()) as archive:
        rows = archive["price_data"]
    columns = {field: rows[field].astype("float64") for field in ("open", "high", "low", "close", "volume")}
    return pd.DataFrame(columns, index=pd.DatetimeIndex(rows["date"].astype("datetime64[ns]"), name="time"))


def sample_path() -> Path:
    """Where the installed matplotlib keeps goog.npz."""
    spec = importlib.util.find_spec("matplotlib")
    if spec is not None and spec.origin is not None:
        path = Path(spec.origin).parent / "mpl-data" / "sample_data" / "goog.npz"
        if path.is_file():
            return path
    raise DataError(
        "the sample market is not installed (matplotlib's sample_data/goog.npz)",
        hint="reinstall matplotlib, or name your own data with csv:PATH",
    )
