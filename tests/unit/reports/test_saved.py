"""A run's folder, read again."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from core.errors import UserError
from core.results import RunResult
from core.types import DataInfo
from reports import read_run, write_run
from reports.saved import WITHOUT_PRICES, price_table, prices_of
from tests.unit.reports.conftest import make

pytestmark = pytest.mark.usefixtures("without_quantstats")
TABLES = ("trades", "orders", "fills")


def saved(run: RunResult, folder: Path) -> RunResult:
    write_run(run, folder)
    return read_run(folder)


def awkward() -> RunResult:
    """Everything that a careless reader would lose."""
    fills = [(5, "NA", 0.1 + 0.2, 1e-8, 1 / 3, 1), (9, 'x,"y"\n=z', -2.0, 51.5, 0.0, 12_345_678_901)]
    trades = [("NA", 5, 9, -2.0, 1e-8, 51.5, 2.0, math.nan, 0.204, "", 4)]
    index = pd.date_range("2024-03-01 09:30:00.123456789", periods=30, freq="37s", tz="UTC", name="time")
    run = make([1e5 * (1 + 0.1 * math.sin(bar / 3)) for bar in range(30)], fills=fills, trades=trades)
    odd = pd.DataFrame(
        {"open": 1.0, "high": 2.0, "low": 0.5, "close": 1.5, "volume": 3, "spread": 0.1}, index
    )
    order = (
        7,
        index[3],
        "NA",
        "limit",
        "buy",
        1.0,
        2.5,
        math.nan,
        "cancelled",
        0.0,
        math.nan,
        0.0,
        pd.NaT,
        "",
    )
    orders = pd.DataFrame([order, (8, *order[1:12], index[4], "stop_loss")], columns=run.orders.columns)
    return replace(
        run,
        equity=pd.Series([math.nan, math.inf, *run.equity[2:]], index=index, name="equity"),
        cash=pd.Series(run.cash.to_numpy(), index=index, name="cash"),
        params={"fast": 10, "share": 0.1, "mode": "NaN", "on": True, "none": None, "levels": [1, 2.5]},
        data=DataInfo(
            "csv:a,b.csv",
            ("NA", "BTC/USDT"),
            datetime(2024, 3, 1, 9, 30, tzinfo=UTC),
            datetime(2024, 3, 2, tzinfo=UTC),
            60,
            "37s",
            {"filled_bars": 3, "checks": ["a", "b"]},
            ("a note of the data",),
        ),
        orders=orders.astype({"closed_time": "datetime64[ns, UTC]"}),
        prices={"NA": odd, "BTC/USDT": run.prices["AAA"], "none yet": run.prices["AAA"].iloc[:0]},
        costs={"cash": 1e5, "commission": 0.001, "slippage": math.nan},
        notes=("first", "second"),
        meta={
            "open_trades": 2,
            "resample": ["1W"],
            "entries": {"ratio": 0.5},
            "config": {"broker": {"cash": 1}},
        },
    )


def assert_same(found: RunResult, run: RunResult) -> None:
    pd.testing.assert_series_equal(found.equity, run.equity, check_freq=False)
    pd.testing.assert_series_equal(found.cash, run.cash, check_freq=False)
    for name in TABLES:
        pd.testing.assert_frame_equal(getattr(found, name), getattr(run, name))
    assert list(found.prices) == list(run.prices)
    for name, frame in run.prices.items():
        pd.testing.assert_frame_equal(found.prices[name], frame, check_freq=False)
    for name in ("metrics", "costs"):
        pd.testing.assert_series_equal(pd.Series(getattr(found, name)), pd.Series(getattr(run, name)))
    whole = ("kind", "strategy", "params", "data", "engine", "engine_reason", "notes", "meta")
    assert {name: getattr(found, name) for name in whole} == {name: getattr(run, name) for name in whole}


def typed(run: RunResult) -> RunResult:
    """With the types that a recorder gives its tables."""
    times = dict.fromkeys(("time", "closed_time", "entry_time", "exit_time"), "datetime64[ns, UTC]")
    types = times | dict.fromkeys(("order_id", "bars"), "int64")
    types |= dict.fromkeys(("symbol", "type", "side", "status", "exit_reason"), "str")
    tables: dict[str, Any] = {}
    for name in TABLES:
        table = getattr(run, name)
        tables[name] = table.astype({column: types.get(column, "float64") for column in table.columns})
    return replace(run, **tables)


def test_a_round_trip_keeps_everything(tmp_path: Path):
    run = typed(awkward())
    assert_same(saved(run, tmp_path), run)


def test_a_run_without_trades_or_prices_comes_back_with_its_types(tmp_path: Path, make_run):
    run = typed(make_run([100.0, 101.0], prices={}))
    assert_same(saved(run, tmp_path), run)


@settings(max_examples=25, deadline=None)
@given(
    sizes=some.lists(some.lists(some.floats(allow_nan=True, width=64), min_size=0, max_size=5), max_size=4),
    names=some.lists(some.text(max_size=8), min_size=4, max_size=4, unique=True),
    whole=some.booleans(),
)
def test_prices_come_back_as_they_went(sizes: list[list[float]], names: list[str], whole: bool):
    prices = {}
    for number, (name, values) in enumerate(zip(names, sizes, strict=False)):
        index = pd.date_range("2024-01-01", periods=len(values), freq="h", tz="UTC", name="time")
        volume = np.arange(len(values)) if whole and number % 2 else np.array(values)
        prices[name] = pd.DataFrame({"close": values, f"column {number}": volume}, index, dtype=None)
    found = prices_of(price_table(prices))
    assert list(found) == list(prices)
    for name, frame in prices.items():
        pd.testing.assert_frame_equal(found[name], frame, check_freq=False)


def test_an_older_folder_has_no_prices_and_says_so(run: RunResult, tmp_path: Path):
    write_run(run, tmp_path)
    (tmp_path / "prices.parquet").unlink()
    old = json.loads((tmp_path / "result.json").read_text())
    del old["meta"]
    (tmp_path / "result.json").write_text(json.dumps(old))
    found = read_run(tmp_path)
    assert found.prices == {}
    assert found.notes == (*run.notes, WITHOUT_PRICES)


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("result.json", b"{", "cannot be read"),
        ("result.json", b"[]", "no object"),
        ("result.json", b'{"kind": "backtest"}', "lacks 'data'"),
        ("result.json", b"\xff\xfe\x00", "cannot be read"),
        ("equity.parquet", b"PAR1", "cannot be read"),
        ("prices.parquet", b"", "cannot be read"),
        ("trades.csv", b"symbol,size\nAAA,1\n", "lacks the column"),
        ("fills.csv", b"", "cannot be read"),
        ("config.json", b"nothing", "cannot be read"),
    ],
)
def test_a_damaged_file_is_named(run: RunResult, tmp_path: Path, name: str, content: bytes, told: str):
    write_run(run, tmp_path)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=told) as caught:
        read_run(tmp_path)
    assert name in caught.value.message
    assert caught.value.hint
    assert "\n" not in str(caught.value)


def test_a_row_with_words_for_numbers_is_a_damaged_file(run: RunResult, tmp_path: Path):
    write_run(run, tmp_path)
    path = tmp_path / "trades.csv"
    path.write_text(path.read_text().replace("50.5", "many"))
    with pytest.raises(UserError, match=r"trades\.csv cannot be read"):
        read_run(tmp_path)


@pytest.mark.parametrize("name", ["equity.parquet", "trades.csv"])
def test_a_missing_file_is_named(run: RunResult, tmp_path: Path, name: str):
    write_run(run, tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(UserError, match="is missing") as caught:
        read_run(tmp_path)
    assert name in caught.value.message


def test_what_is_no_run_is_said_with_what_to_name(tmp_path: Path):
    with pytest.raises(UserError, match="is no folder") as caught:
        read_run(tmp_path / "nowhere")
    assert "runs/" in caught.value.hint
    with pytest.raises(UserError, match=r"holds no result\.json"):
        read_run(tmp_path)
    (tmp_path / "result.json").write_text('{"windows": []}')
    with pytest.raises(UserError, match="an optimisation, not a run") as caught:
        read_run(tmp_path)
    assert "optimization.html" in caught.value.hint
