"""Delimited text of any kind, through `feeds.load` as a person would."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

import feeds
from core.errors import DataError, DataQualityError

MakeBars = Callable[..., pd.DataFrame]
BARS = [
    ("2024-01-02", 10.5, 11.25, 10.0, 11.0, 1500.0),
    ("2024-01-03", 11.0, 12.0, 10.75, 11.5, 2500.0),
    ("2024-01-04", 11.5, 11.75, 11.0, 11.25, 0.0),
]
HEADER = "Date,Open,High,Low,Close,Volume"


def lines(separator: str = ",", decimal: str = ".") -> str:
    return "\n".join(separator.join(str(value).replace(".", decimal) for value in bar) for bar in BARS) + "\n"


LAYOUTS: dict[str, bytes] = {
    "plain": f"{HEADER}\n{lines()}".encode(),
    "byte order mark": f"\ufeff{HEADER}\n{lines()}".encode(),
    "utf-16": f"{HEADER}\n{lines()}".encode("utf-16"),
    "windows line ends": f"{HEADER}\n{lines()}".replace("\n", "\r\n").encode(),
    "semicolons": f"{HEADER.replace(',', ';')}\n{lines(';')}".encode(),
    "semicolons, decimal commas": f"{HEADER.replace(',', ';')}\n{lines(';', ',')}".encode(),
    "tabs": f"{HEADER.replace(',', chr(9))}\n{lines(chr(9))}".encode(),
    "spaces after commas": f"{HEADER}\n{lines()}".replace(",", ", ").encode(),
    "quoted": (HEADER + "\n" + lines()).replace("2024-01-02", '"2024-01-02"').encode(),
    "no header": lines().encode(),
    "no header, milliseconds": b"1704153600000,10.5,11.25,10,11,1500,1704239999999,0\n"
    b"1704240000000,11,12,10.75,11.5,2500,1704326399999,0\n"
    b"1704326400000,11.5,11.75,11,11.25,0,1704412799999,0\n",
    "compressed": gzip.compress(f"{HEADER}\n{lines()}".encode()),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_bars(tmp_path: Path, layout: str) -> None:
    path = tmp_path / "abc.csv"
    path.write_bytes(LAYOUTS[layout])
    market = feeds.load(path)
    frame = market.frames["ABC"]
    assert [f"{time:%Y-%m-%d}" for time in frame.index] == [bar[0] for bar in BARS]
    assert frame.to_numpy().tolist() == [list(bar[1:]) for bar in BARS]
    assert market.info.symbols == ("ABC",)
    assert market.report.untouched


def test_numbers_read_back_to_the_last_bit(tmp_path: Path, make_bars: MakeBars) -> None:
    bars = make_bars(50, "D") / 3
    path = tmp_path / "exact.csv"
    bars.to_csv(path)
    pd.testing.assert_frame_equal(
        feeds.load(f"csv:{path}").frames["EXACT"], bars, check_exact=True, check_freq=False
    )


def test_unreadable_cells_are_reported_with_row_and_column(tmp_path: Path) -> None:
    """D1"""
    path = tmp_path / "abc.csv"
    path.write_text(f"{HEADER}\n{lines()}".replace("11.5,2500.0", "eleven,2500.0"))
    market = feeds.load(path)
    cell = market.report.cells[0]
    assert (cell.symbol, cell.row, cell.column, cell.value) == ("ABC", 2, "close", "eleven")
    assert market.frames["ABC"]["close"].iloc[1] == 11.0
    assert market.info.quality["unreadable_cells"] == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\n\n", "is empty"),
        (b"hello\nworld\n", "not a table of bars"),
        (b"PAR1\x00\x00\xff\xfe", "not a text file"),
        (b"\x1f\x8bbroken", "not a text file"),
        (b"a,b\n1,2\n1,2,3,4\n", "not a table of bars"),
        (b"Date,Open,High,Low\n2024-01-02,1,2,1\n", "no column close"),
        (b"Date,Open,High,Low,Close,Volume\n", "there are no bars"),
        (b"1,2,3,4\n", "no header and only 4 columns"),
        (b"Open,High,Low,Close\n1,2,1,2\n", "no column with times"),
    ],
)
def test_what_is_no_table_of_bars_is_refused_in_one_line(
    tmp_path: Path, content: bytes, message: str
) -> None:
    path = tmp_path / "bad.csv"
    path.write_bytes(content)
    with pytest.raises((DataError, DataQualityError), match=message) as refused:
        feeds.load(path)
    assert refused.value.exit_code == 2
    assert refused.value.hint
    assert "\n" not in str(refused.value)
