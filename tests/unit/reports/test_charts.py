"""What the charts are given to draw."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from core.results import RunResult
from reports.charts import MOST_POINTS, chart_data

SHORTENED = 1e-6  # charts get seven digits


def test_every_bar_and_every_fill_is_there(run: RunResult):
    """R11: markers = number of fills, which open or close."""
    data = chart_data(run)
    assert data["times"] == [int(moment.timestamp()) for moment in run.equity.index]
    assert data["equity"] == pytest.approx(run.equity.tolist(), rel=SHORTENED)
    assert min(data["drawdown"]) == pytest.approx(-run.metrics["max_drawdown"], rel=SHORTENED)
    assert data["symbols"][0]["markers"] == [[5, 2.0, 50.5, 1], [9, -2.0, 51.5, 0], [20, -1.0, 50.0, 1]]
    assert data["group"] == 1
    assert not data["intraday"]


def test_turning_a_position_opens_and_reducing_it_closes(make_run):
    fills = [(1, "AAA", 4.0, 50.0, 0, 1), (2, "AAA", -1.0, 50.0, 0, 2), (3, "AAA", -5.0, 50.0, 0, 3)]
    run = make_run([1000.0] * 10, fills=fills)
    assert [marker[3] for marker in chart_data(run)["symbols"][0]["markers"]] == [1, 0, 1]


def test_a_long_run_is_drawn_in_groups_that_lose_no_extreme_and_no_fill(make_run):
    bars = 3 * MOST_POINTS + 1
    fills = [(bar, "AAA", 1.0, 50.0, 0.0, bar) for bar in range(0, bars, 7)]
    run = make_run(list(1000 + np.sin(np.arange(bars))), fills=fills, freq="min")
    data = chart_data(run)
    candles = data["symbols"][0]
    frame = run.prices["AAA"]
    assert data["group"] == 4
    assert len(data["times"]) == len(data["equity"]) == len(candles["open"]) == -(-bars // 4)
    assert max(candles["high"]) == pytest.approx(frame["high"].max(), rel=SHORTENED)
    assert min(candles["low"]) == pytest.approx(frame["low"].min(), rel=SHORTENED)
    assert candles["close"][-1] == pytest.approx(frame["close"].iloc[-1], rel=SHORTENED)
    assert len(candles["markers"]) == len(fills)
    assert max(marker[0] for marker in candles["markers"]) < len(data["times"])
    assert data["intraday"]


def test_symbols_with_other_bars_share_the_axis(make_run):
    whole = make_run([1000.0] * 10).prices["AAA"]
    later = whole.index[-1] + pd.Timedelta(days=1)
    gappy = whole.drop(whole.index[2:5])
    gappy.loc[later] = 1.0
    run = make_run([1000.0] * 10, prices={"AAA": whole, "BBB": gappy})
    data = chart_data(run)
    assert len(data["times"]) == 11
    assert data["symbols"][1]["close"][2:5] == [None] * 3
    assert data["symbols"][0]["close"][10] is None
    assert data["equity"][10] == 1000.0


def test_no_bars_are_no_points(make_run):
    data = chart_data(make_run([]))
    assert (data["times"], data["equity"], data["symbols"][0]["markers"]) == ([], [], [])
