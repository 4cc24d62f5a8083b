"""A walk-forward as plain values and as tables, from real searches."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import backtrader as bt
import numpy as np
import pandas as pd
import pytest

from analyzers import overfitting as luck
from analyzers.entries import EntryTest
from analyzers.metrics import summarize
from analyzers.verdict import Evidence, verdict
from core.space import Int
from engine import backtest
from engine.cerebro import stock_broker
from feeds.market import load
from optimize.document import MOST_POINTS, MOST_TRIALS, document_of, tables_of
from optimize.evaluate import Evaluation
from optimize.objective import Objective
from optimize.result import Judged, WalkForward
from optimize.search import Searched, Settings, search
from optimize.slices import times_of
from optimize.space import SearchSpace
from optimize.trials import BLOCKS, Outcome, Span
from optimize.windows import windows
from reports.optimization import write_optimization

METRICS = ("sharpe", "total_return", "max_drawdown", "cagr")
OBJECTIVES = (Objective("sharpe"), Objective("max_drawdown", largest=False))


class Crossing(bt.Strategy):
    """Compiles."""

    params = (("fast", 4), ("slow", 11))

    def __init__(self) -> None:
        self.cross = bt.ind.CrossOver(bt.ind.SMA(period=self.p.fast), bt.ind.SMA(period=self.p.slow))

    def next(self) -> None:
        if self.cross > 0:
            self.buy(size=10)
        elif self.cross < 0 and self.position:
            self.close()


@pytest.fixture(scope="module")
def result() -> WalkForward:
    """Three windows; out of sample is run from the window's first bar on."""
    market, broker = load("sample:goog"), stock_broker(100_000.0, 0.001)
    times = times_of(market.frames)
    space = SearchSpace({"fast": Int(2, 9), "slow": Int(10, 40, 5)})
    settings = Settings(trials=40, sampler="random", objectives=OBJECTIVES, seed=1)
    judged, returns = [], [np.zeros(1)]
    with Evaluation(Crossing, market, broker, metrics=METRICS, jobs=1) as evaluate:
        for window in windows(times, count=3):
            found = search(space, evaluate, window.train, settings)
            chosen = found.params[found.best]
            tested = {
                name: frame.iloc[window.test.first : window.test.last]
                for name, frame in market.frames.items()
            }
            run = backtest(Crossing, tested, chosen, broker=broker)
            returns.append(np.diff(np.log(run.equity.to_numpy()), prepend=math.log(100_000.0)))
            judged.append(
                Judged(
                    window,
                    chosen,
                    {name: float(values[found.best]) for name, values in found.outcome.metrics.items()},
                    run.metrics,
                    times[window.train.first],
                    times[window.train.last - 1],
                    times[window.test.first],
                    times[window.test.last - 1],
                    len(found),
                    int(np.isfinite(found.scores[:, 0]).sum()),
                    run.engine,
                    found.stopped,
                )
            )
        whole = search(space, evaluate, Span(0, len(times)), settings)
    first = judged[0].window.test.first
    equity = pd.Series(
        100_000 * np.exp(np.concatenate(returns).cumsum()), index=times[first - 1 :], name="equity"
    )
    chosen = whole.params[whole.best]
    inside = backtest(Crossing, market, chosen, broker=broker)
    metrics = summarize(equity, inside.trades)
    split = luck.overfitting(whole.outcome.moments)
    near = luck.neighbourhood(whole.points, whole.scores[:, 0], whole.best)
    spans = luck.intervals(equity.pct_change().to_numpy()[1:], metrics["periods_per_year"], draws=200)
    evidence = Evidence(
        40, 9.0, 1.0, metrics["sharpe"], spans["sharpe"], metrics["psr"], split.probability, 0.5, math.nan, math.nan,
        near.ratio, 30, 4.1, 2.0,
    )  # fmt: skip
    return WalkForward(
        "Crossing", market.info, OBJECTIVES, tuple(judged), equity, inside.trades, metrics, spans, inside.equity,
        whole, chosen, space.names, math.nan, {"fast": 0.2, "slow": 0.1}, split, near,
        EntryTest(0.25, 30, 0.04, 0.01, 5000), evidence, verdict(evidence), {"sampler": "random", "space": {"fast": "2 to 9"}}, {"compiled": 160}, ("a note",),
    )  # fmt: skip


def test_the_document_is_json_with_nothing_but_finite_numbers(result: WalkForward):
    document = document_of(result)
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert document["efficiency"] is None
    assert document["verdict"]["label"] == result.verdict.label
    assert document["windows"][0]["params"] == dict(result.windows[0].params)
    assert document["windows"][2]["test_to"] == result.windows[2].ends.isoformat()
    assert document["windows"][0]["train_bars"] == len(result.windows[0].window.train)


def test_trials_are_columns_with_metrics_as_they_are(result: WalkForward):
    trials = document_of(result)["trials"]
    whole = result.whole
    assert trials["total"] == len(whole) == len(trials["number"]) == len(trials["params"]["fast"])
    drawdown = np.array(trials["values"]["max_drawdown"], dtype=float)
    np.testing.assert_array_equal(
        drawdown, np.where(np.isnan(whole.scores[:, 1]), np.nan, -whole.scores[:, 1])
    )
    assert trials["front"] == whole.front.tolist()
    assert trials["params"]["slow"][whole.best] == result.chosen["slow"]


def test_the_logits_left_of_zero_are_the_probability_of_overfitting(result: WalkForward):
    found = document_of(result)["overfitting"]
    edges, counts = np.array(found["logits"]["edges"]), np.array(found["logits"]["counts"])
    assert counts.sum() == found["splits"] == len(result.overfitting.logits)
    assert counts[edges[1:] <= 1e-12].sum() / counts.sum() == pytest.approx(result.overfitting.probability)


def test_the_fitted_line_is_that_of_annual_sharpe_ratios(result: WalkForward):
    found = document_of(result)["overfitting"]
    yearly = math.sqrt(result.metrics["periods_per_year"])
    slope, intercept = np.polyfit(
        result.overfitting.in_sample * yearly, result.overfitting.out_of_sample * yearly, 1
    )
    assert found["degradation"] == pytest.approx(slope)
    assert found["intercept"] == pytest.approx(intercept)


def test_of_many_trials_and_bars_the_best_and_an_even_choice_stay(result: WalkForward):
    n = 3 * MOST_TRIALS
    rng = np.random.default_rng(0)
    scores = rng.standard_normal((n, 2))
    whole = Searched(
        rng.random((n, 2)),
        [{"fast": int(value), "slow": 10} for value in rng.integers(2, 9, n)],
        Outcome({"sharpe": scores[:, 0]}, [""] * n, np.zeros((n, BLOCKS, 3))),
        scores,
        "all",
    )
    index = pd.date_range("2000-01-01", periods=50_001, freq="min", tz="UTC")
    long = pd.Series(np.arange(50_001.0) + 1, index=index)
    whole.scores[:, 1] = 0.0
    document = document_of(replace(result, whole=whole, equity=long, in_sample_equity=long))
    trials = document["trials"]
    assert trials["total"] == n
    assert len(trials["number"]) == MOST_TRIALS
    assert set(np.argsort(-scores[:, 0])[:1000]) <= set(trials["number"])
    assert trials["number"][trials["front"][0]] == whole.best
    assert document["equity"]["value"][0] == 1.0
    assert document["equity"]["value"][-1] == 50_001.0
    assert len(document["equity"]["time"]) <= MOST_POINTS + 1
    assert len(tables_of(replace(result, whole=whole, equity=long))["trials"]) == n


def test_tables_have_every_trial_window_and_bar_and_can_be_kept(result: WalkForward, tmp_path: Path):
    """O13"""
    tables = tables_of(result)
    page = write_optimization(document_of(result), tables, tmp_path)
    assert page == tmp_path / "optimization.html"
    trials = pd.read_parquet(tmp_path / "trials.parquet")
    assert trials["params_fast"].tolist() == [each["fast"] for each in result.whole.params]
    np.testing.assert_array_equal(trials["score_sharpe"], result.whole.scores[:, 0])
    np.testing.assert_array_equal(trials["max_drawdown"], result.whole.outcome.metrics["max_drawdown"])
    assert tables["windows"]["out_of_sample_sharpe"].tolist() == [
        each.out_of_sample["sharpe"] for each in result.windows
    ]
    equity = pd.read_parquet(tmp_path / "equity.parquet")
    assert len(equity) == len(result.in_sample_equity)
    pd.testing.assert_series_equal(
        equity["equity"].dropna(), result.equity, check_freq=False, check_names=False
    )


def test_values_of_several_types_become_text_in_a_table(result: WalkForward, tmp_path: Path):
    params = [
        dict(each, slow=None if number % 2 else "wide") for number, each in enumerate(result.whole.params)
    ]
    tables = tables_of(replace(result, whole=replace(result.whole, params=params)))
    tables["trials"].to_parquet(tmp_path / "trials.parquet")
    assert pd.read_parquet(tmp_path / "trials.parquet")["params_slow"].tolist()[:2] == ["wide", "None"]
