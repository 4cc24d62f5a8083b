"""Combinatorial purged cross-validation against what it is by definition."""

from __future__ import annotations

import math
from itertools import combinations as choices
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd
import pytest

from core.errors import ConfigError
from core.space import Int
from optimize.crossvalidation import crossvalidate, scores_on
from optimize.objective import Objective
from optimize.search import Searched, Settings
from optimize.trials import BLOCKS, Outcome
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


def test_it_is_part_of_the_result() -> None:
    close = 100 * np.cumprod(1 + 0.01 * np.random.default_rng(4).standard_normal(320))
    frame = pd.DataFrame(
        {"open": close, "high": close * 1.01, "low": close * 0.99, "close": close, "volume": 9.0},
        index=pd.date_range("2020-01-01", periods=320, tz="UTC"),
    )
    result = walkforward(
        Cross,
        {"X": frame},
        {"fast": Int(3, 6), "slow": Int(10, 12)},
        count=2,
        permutations=0,
        groups=(4, 2),
        settings=Settings(trials=12),
    )
    found = result.crossvalidation
    assert found is not None
    assert (found.groups, found.tests, len(found.chosen), len(found.figures["sharpe"])) == (4, 2, 6, 3)
    assert {"sharpe", "sortino", "calmar", "volatility", "cagr"} <= result.intervals.keys()
    with pytest.raises(ConfigError, match="too few for 90 groups"):
        walkforward(Cross, {"X": frame}, {"fast": Int(3, 6)}, groups=(90, 2))
