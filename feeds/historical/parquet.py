"""Bars from Parquet and Feather files."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from core.errors import DataError


def read_parquet(path: Path) -> pd.DataFrame:
    """The table as found in a Parquet file."""
    import pyarrow as pa

    try:
        return pd.read_parquet(path)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DataError(
            f"{path.name} is not a readable Parquet file", hint="write it again, or name another file"
        ) from error


def read_feather(path: Path) -> pd.DataFrame:
    """The table as found in a Feather file."""
    import pyarrow as pa

    try:
        return pd.read_feather(path)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DataError(
            f"{path.name} is not a readable Feather file", hint="write it again, or name another file"
        ) from error
