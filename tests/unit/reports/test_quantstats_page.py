"""The QuantStats part: silent, without links, and never in the way."""

from __future__ import annotations

import math

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import quantstats.reports

from reports.quantstats_page import quantstats_part


def walk(bars: int, freq: str = "B") -> pd.Series:
    index = pd.date_range("2022-01-03", periods=bars, freq=freq, tz="UTC", name="time")
    steps = np.random.default_rng(bars).normal(0.0005, 0.01, bars)
    return pd.Series(1000 * np.exp(np.cumsum(steps)), index=index, name="AAA")


def test_is_silent_has_no_links_and_leaves_matplotlib_alone(capfd: pytest.CaptureFixture[str]):
    """R12"""
    before = dict(mpl.rcParams)
    part = quantstats_part(walk(260) * 2, walk(260), name="my_strategy <b>$x$</b>")
    assert part.missing == ""
    assert "my strategy b x /b" in part.body
    assert "AAA (held)" in part.body
    for word in ("http", "<script", "onload", "<a ", "@import", "src="):
        assert word not in part.body + part.style
    assert capfd.readouterr() == ("", "")
    assert {
        key: value for key, value in mpl.rcParams.items() if before[key] != value and "backend" not in key
    } == {}


def test_is_given_series_and_the_periods_of_the_data_never_a_ticker(monkeypatch: pytest.MonkeyPatch):
    """R12: benchmark supplied as series, never fetched silently."""
    seen = {}

    def html(returns: pd.Series, *, output: str, **options: object) -> None:
        seen.update(options, returns=returns)
        with open(output, "w") as page:
            page.write("<html><body onload='x()'>made</body></html>")

    monkeypatch.setattr(quantstats.reports, "html", html)
    prices = walk(24 * 30, "h")
    part = quantstats_part(prices * 3, prices, name="x")
    assert part.body == "made"
    assert isinstance(seen["benchmark"], pd.Series)
    assert seen["benchmark"].to_numpy() == pytest.approx(seen["returns"].to_numpy(), abs=1e-12)
    assert len(seen["returns"]) == 30  # hours are joined to days
    assert seen["periods_per_year"] == 365
    assert seen["returns"].index.tz is None


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ([], "10 days"),
        ([1.0, 2.0], "10 days"),
        ([5.0] * 50, "never changed"),
        ([math.nan] * 50, "10 days"),
        ([5.0, 4.0, -1.0, 3.0] * 10, "lost"),
    ],
)
def test_a_run_it_cannot_judge_gets_a_sentence(values: list[float], reason: str):
    index = pd.date_range("2022-01-03", periods=len(values), freq="D", tz="UTC")
    part = quantstats_part(pd.Series(values, index=index, dtype="float64"), None, name="x")
    assert reason in part.missing
    assert part.body == ""


@pytest.mark.parametrize("error", [ValueError("no\nluck"), KeyError("x"), ZeroDivisionError(), IndexError()])
def test_when_it_fails_the_page_says_so(monkeypatch: pytest.MonkeyPatch, error: Exception):
    def html(*args: object, **options: object) -> None:
        raise error

    monkeypatch.setattr(quantstats.reports, "html", html)
    part = quantstats_part(walk(50), None, name="x")
    assert "it failed with" in part.missing
    assert "\n" not in part.missing


@pytest.mark.parametrize("case", ["few days", "no benchmark", "one spike", "flat benchmark"])
def test_odd_but_possible_runs(case: str):
    equity, prices = walk(40), walk(40)
    if case == "few days":
        equity, prices = walk(10), walk(10)
    elif case == "one spike":
        equity[:] = 1000.0
        equity.iloc[20:] = 1010.0
    elif case == "flat benchmark":
        prices[:] = 7.0
    part = quantstats_part(equity, None if case == "no benchmark" else prices, name="x")
    assert bool(part.body) != bool(part.missing)
    assert "Key Performance Metrics" in part.body or "left out" in part.missing
