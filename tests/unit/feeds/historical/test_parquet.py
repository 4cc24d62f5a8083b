from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

import feeds
from core.errors import DataError

MakeBars = Callable[..., pd.DataFrame]


@pytest.mark.parametrize("scheme", ["parquet", "feather", ""])
def test_bars_come_back_as_they_were_written(tmp_path: Path, make_bars: MakeBars, scheme: str) -> None:
    bars = make_bars(50, "D")
    path = tmp_path / ("abc.feather" if scheme == "feather" else "abc.parquet")
    if scheme == "feather":
        bars.reset_index(names="date").to_feather(path)
    else:
        bars.to_parquet(path)
    market = feeds.load(f"{scheme}:{path}" if scheme else path)
    pd.testing.assert_frame_equal(market.frames["ABC"], bars, check_freq=False)


@pytest.mark.parametrize("name", ["abc.parquet", "abc.feather"])
def test_a_damaged_file_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"time,open\n1,2\n" * 10)
    with pytest.raises(DataError, match="is not a readable") as refused:
        feeds.load(path)
    assert "\n" not in str(refused.value)
