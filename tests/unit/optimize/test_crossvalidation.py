"""Combinatorial purged cross-validation against what it is by definition."""

from __future__ import annotations

import math
from itertools import combinations as choices
from typing import Any

import backtrader as bt
import numpy as np
import optuna
import pandas as pd
import pytest

from core.errors import ConfigError
from core.space import Int
from engine import backtest
from engine.cerebro import stock_broker
from feeds.market import load
from optimize import crossvalidation
from optimize.crossvalidation import crossvalidate, returns_of, scores_on
from optimize.evaluate import Evaluation
from optimize.objective import Objective
from optimize.search import NoLog, Searched, Settings
from optimize.study import StudyStore
from optimize.trials import BLOCKS, Outcome, Span
from optimize.walkforward import walkforward
from optimize.windows import combinations

SHARPE = Objective("sharpe")
ROUNDING = 1e-12


def searched(trials: int) -> Searched:
    points = np.linspace(0, 1, trials)[:, None]
    outcome = Outcome({}, [""] * trials, np.zeros((trials, BLOCKS, 3)))
    return Searched(points, [{"x": n} for n in range(trials)], outcome, np.ones((trials, 1)), "")


def validated(returns: Any, groups: int, tests: int, objective: Objective = SHARPE, **gaps: int) -> Any:
    parted = combinations(returns.shape[1], groups=groups, tests=tests, **gaps)
    every = np.arange(len(returns))
    return crossvalidate(searched(len(returns)), returns, every, ["x"], parted, objective, 252.0, **gaps)


@pytest.mark.parametrize("purge", [0, 7])
def test_every_split_chooses_by_its_own_bars_and_paths_are_whole(purge: int) -> None:
    returns = np.random.default_rng(3).normal(0, 0.01, (9, 240))
    found = validated(returns, 6, 2, purge=purge, embargo=purge)
    bounds = np.linspace(0, 240, 7).astype(int)
    earned: dict[int, list[Any]] = {group: [] for group in range(6)}
    for number, chosen in enumerate(choices(range(6), 2)):
        train = np.ones(240, bool)
        for group in chosen:
            train[max(0, bounds[group] - purge) : bounds[group + 1] + 2 * purge] = False
        ratios = [row[train].mean() / row[train].std(ddof=1) * math.sqrt(252) for row in returns]
        assert found.chosen[number] == int(np.argmax(ratios))
        assert found.in_sample[number] == pytest.approx(max(ratios), rel=ROUNDING)
        for group in chosen:
            earned[group].append(returns[found.chosen[number], bounds[group] : bounds[group + 1]])
    assert found.curves.shape == (5, 241)
    for path in range(5):
        made = np.concatenate([earned[group][path] for group in range(6)])
        assert found.curves[path, 1:] == pytest.approx(np.cumprod(1 + made), rel=ROUNDING)


def test_nothing_leaks_into_the_choice() -> None:
    """A trial that is good only on the tested bars and next to them is never chosen for them."""
    returns = np.tile([0.022, -0.018], (2, 120))
    bounds = np.linspace(0, 240, 7).astype(int)
    for group in range(6):
        planted = returns.copy()
        planted[1] = -planted[0]
        planted[1, max(0, bounds[group] - 5) : bounds[group + 1] + 10] = 0.5
        found = validated(planted, 6, 1, purge=5, embargo=5)
        assert found.chosen[group] == 0
        assert validated(planted, 6, 1).chosen[group] == 1


def test_a_better_trial_is_better_on_every_path_and_noise_is_spread_about_nothing() -> None:
    rng = np.random.default_rng(8)
    noise = rng.normal(0, 0.01, (20, 1200))
    edge = noise.copy()
    edge[7] += 0.002
    good = validated(edge, 8, 2)
    assert set(good.chosen.tolist()) == {7}
    assert good.losing == 0.0
    assert good.agreed == 1.0
    assert good.spread["x"] == pytest.approx(0.0, abs=ROUNDING)
    nothing = validated(noise, 8, 2)
    assert abs(float(np.mean(nothing.figures["sharpe"]))) < 1.0
    assert nothing.agreed < 1.0
    assert nothing.spread["x"] > 0.0


def test_less_is_better_where_it_is() -> None:
    returns = np.random.default_rng(5).normal(0, 0.01, (4, 200)) * [[3.0], [1.0], [0.1], [2.0]]
    least = Objective("volatility", largest=False)
    assert int(np.argmax(scores_on(returns, least, 252.0))) == 2
    assert set(validated(returns, 5, 1, least).chosen.tolist()) == {2}
    with pytest.raises(ConfigError, match="cannot choose by trades"):
        validated(returns, 5, 1, Objective("trades"))


class Cross(bt.Strategy):
    params = (("fast", 4), ("slow", 11))

    def __init__(self) -> None:
        self.cross = bt.ind.CrossOver(bt.ind.SMA(period=self.p.fast), bt.ind.SMA(period=self.p.slow))

    def next(self) -> None:
        if self.cross > 0:
            self.buy(size=10)
        elif self.cross < 0 and self.position:
            self.close()


class Noting(Cross):
    """Does not compile."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: dict[Any, str] = {}

    def next(self) -> None:
        super().next()
        self.seen[self.data.datetime.date(0)] = repr(self.position)


def bars(seed: int, count: int = 320) -> pd.DataFrame:
    close = 100 * np.cumprod(1 + 0.01 * np.random.default_rng(seed).standard_normal(count))
    return pd.DataFrame(
        {"open": close, "high": close * 1.01, "low": close * 0.99, "close": close, "volume": 9.0},
        index=pd.date_range("2020-01-01", periods=count, tz="UTC"),
    )


def validate(strategy: type[bt.Strategy] = Cross, **options: Any) -> Any:
    given = {"groups": (4, 2), "settings": Settings(trials=12), "permutations": 0, "count": 2}
    return walkforward(
        strategy, {"X": bars(4)}, {"fast": Int(3, 6), "slow": Int(10, 12)}, **(given | options)
    )


@pytest.mark.parametrize(("strategy", "jobs"), [(Cross, 2), (Noting, 1), (Noting, 2)])
def test_returns_are_those_of_each_run_whatever_runs_it(strategy: type[bt.Strategy], jobs: int) -> None:
    market = load({"X": bars(1), "Y": bars(2).iloc[90:]})
    params = [{"fast": fast, "slow": slow} for fast in (3, 5) for slow in (10, 12, 25)]
    broker, span = stock_broker(10_000.0, 0.001), Span(0, 320)
    with Evaluation(strategy, market, broker, metrics=("sharpe",), jobs=jobs) as evaluate:
        found, ran = returns_of(evaluate.returns, [*params, {"nope": 1}], span, NoLog())
        assert evaluate.counters["compiled" if strategy is Cross else "workers" if jobs > 1 else "here"] >= 6
    assert ran.tolist() == [True] * 6 + [False]
    for row, each in zip(found, params, strict=False):
        equity = backtest(strategy, market, each, cash=10_000.0, commission=0.001, engine="cerebro").equity
        wanted = equity.pct_change().fillna(0.0).to_numpy()
        assert np.count_nonzero(wanted) > 20
        assert row == pytest.approx(wanted, abs=ROUNDING)


def test_after_a_stop_only_what_is_missing_is_run(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crossvalidation, "TOGETHER", 4)
    whole = validate(jobs=1)
    asked: list[int] = []
    returns = Evaluation.returns

    def counted(self: Evaluation, params: Any, span: Span) -> Any:
        asked.append(len(params))
        return returns(self, params, span)

    monkeypatch.setattr(Evaluation, "returns", counted)

    class Stop(Exception):
        pass

    def stop(event: str, facts: Any) -> None:
        if event == "crossvalidation" and facts["done"] == 8:
            raise Stop

    store = StudyStore.open(f"sqlite:///{tmp_path}/study.db", "run", {})
    with pytest.raises(Stop):
        validate(store=store, listen=stop)
    assert asked == [4, 4]
    again = validate(store=store)
    store.close()
    assert asked == [4, 4, 4]
    assert np.array_equal(again.crossvalidation.curves, whole.crossvalidation.curves)
    assert again.crossvalidation.agreed == whole.crossvalidation.agreed
    study = optuna.load_study(study_name="run/whole period", storage=f"sqlite:///{tmp_path}/study.db")
    assert len(study.trials) == 12, "runs of cross-validation are no trials"


def test_it_is_part_of_the_result() -> None:
    result = validate()
    found = result.crossvalidation
    assert found is not None
    assert (found.groups, found.tests, len(found.chosen), len(found.figures["sharpe"])) == (4, 2, 6, 3)
    assert {"sharpe", "sortino", "calmar", "volatility", "cagr"} <= result.intervals.keys()
    with pytest.raises(ConfigError, match="too few for 90 groups"):
        walkforward(Cross, {"X": bars(4)}, {"fast": Int(3, 6)}, groups=(90, 2))
