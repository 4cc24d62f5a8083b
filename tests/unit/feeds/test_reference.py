"""References name their data, or are refused in one line that says how."""

from __future__ import annotations

from pathlib import Path

import ccxt
import pytest

from core.connect import exchange_names, is_exchange
from core.errors import DataError, UnknownNameError
from feeds.reference import Reference, file_symbol, parse_reference, parse_references


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sample:goog", Reference("sample", "goog")),
        ("sample:GOOG", Reference("sample", "goog")),
        ("yahoo:AAPL", Reference("yahoo", "AAPL")),
        ("yahoo:BRK-B:1h", Reference("yahoo", "BRK-B", "1h")),
        ("yahoo:AAPL:1d?adjust=1", Reference("yahoo", "AAPL", "1d", adjust=True)),
        ("binance:BTC/USDT:1h", Reference("binance", "BTC/USDT", "1h")),
        ("binance:BTC/USDT:USDT:1M", Reference("binance", "BTC/USDT:USDT", "1M")),
        ("kraken:BTC/USD", Reference("kraken", "BTC/USD")),
    ],
)
def test_references_are_taken_apart(text: str, expected: Reference) -> None:
    assert parse_reference(text) == expected


@pytest.mark.parametrize(
    ("text", "near"), [("smaple:goog", "sample"), ("binanse:BTC/USDT", "binance"), ("yaho:AAPL", "yahoo")]
)
def test_an_unknown_scheme_offers_the_nearest(text: str, near: str) -> None:
    with pytest.raises(UnknownNameError) as refused:
        parse_reference(text)
    assert refused.value.nearest == near
    assert refused.value.exit_code == 2


def test_exchanges_are_known_without_importing_ccxt() -> None:
    assert exchange_names() == sorted(ccxt.exchanges)
    assert not is_exchange("base")


@pytest.mark.parametrize(
    ("name", "scheme"),
    [
        ("a.csv", "csv"),
        ("a.CSV.gz", "csv"),
        ("a.tsv", "csv"),
        ("a.parquet", "parquet"),
        ("a.feather", "feather"),
    ],
)
def test_a_bare_path_tells_its_format_by_its_suffix(tmp_path: Path, name: str, scheme: str) -> None:
    path = tmp_path / name
    path.write_text("x")
    assert parse_reference(str(path)) == Reference(scheme, str(path))
    assert file_symbol(path) == "A"


def test_commas_join_references_but_not_in_a_path_that_exists(tmp_path: Path) -> None:
    path = tmp_path / "a,b?adjust=1.csv"
    path.write_text("x")
    assert parse_references(str(path)) == [Reference("csv", str(path))]
    assert parse_references("sample:goog, yahoo:AAPL:1d") == [
        Reference("sample", "goog"),
        Reference("yahoo", "AAPL", "1d"),
    ]


def test_a_missing_file_offers_the_nearest_of_its_folder(tmp_path: Path) -> None:
    (tmp_path / "prices.csv").write_text("x")
    for text in (f"csv:{tmp_path}/prizes.csv", f"{tmp_path}/prizes.csv"):
        with pytest.raises(DataError) as refused:
            parse_reference(text)
        assert str(tmp_path / "prices.csv") in refused.value.hint
    with pytest.raises(DataError, match=r" has prices\.csv"):
        parse_reference(f"csv:{tmp_path}/zzz")
    with pytest.raises(DataError, match="there is no folder"):
        parse_reference(f"csv:{tmp_path}/none/prices.csv")


def test_folders_empty_files_and_other_kinds_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.csv").touch()
    (tmp_path / "notes.docx").write_text("x")
    for name, message in (("", "is a folder"), ("empty.csv", "is empty"), ("notes.docx", "no known kind")):
        with pytest.raises(DataError, match=message) as refused:
            parse_reference(str(tmp_path / name))
        assert refused.value.hint


@pytest.mark.parametrize("text", ["", "  ", "csv:", "sample:", "prices", "yahoo:AAPL?adust=1"])
def test_what_names_nothing_is_refused(text: str) -> None:
    with pytest.raises((DataError, UnknownNameError)) as refused:
        parse_references(text)
    assert refused.value.hint
