"""E5: runs that differ a little in prices, parameters or fills, and what of the result remains."""

from __future__ import annotations

import math
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd
import pytest

from brokers.costs import Costs
from brokers.slippage import PerUnit
from core.errors import ConfigError
from core.space import Int
from engine.perturbed import FIGURES, Perturbed, perturbed
from feeds.market import Market, load

BARS = 120


class Crosses(bt.Strategy):
    """Long above an average."""

    params = (("length", 20), ("label", "x"), ("on", True))
    space = {"length": Int(18, 24)}
    constraint = staticmethod(lambda p: p["length"] != 21)

    def __init__(self) -> None:
        self.average = bt.ind.SMA(period=self.p.length)

    def next(self) -> None:
        if not self.position and self.data.close[0] > self.average[0]:
            self.buy(size=10)
        elif self.position and self.data.close[0] < self.average[0]:
            self.close()


class Plain(bt.Strategy):
    """No number to perturb."""

    params = (("mode", "slow"),)

    def next(self) -> None:
        if len(self) == 5:
            self.buy(size=10)


class Longer(Crosses):
    """Needs more bars than there are for some of its parameters."""

    params = (("length", 110),)
    space: Any = {}
    constraint = None


@pytest.fixture(scope="module")
def market() -> Market:
    rng = np.random.default_rng(5)
    close = 50 * np.exp(np.cumsum(rng.normal(0.001, 0.02, BARS)))
    bars = {"open": close, "high": close * 1.01, "low": close * 0.99, "close": close, "volume": 1e6}
    return load(pd.DataFrame(bars, index=pd.date_range("2022-01-03", periods=BARS, freq="B", tz="UTC")))


@pytest.mark.parametrize("what", ["prices", "parameters", "execution"])
def test_the_same_seed_draws_the_same_runs(market: Market, what: Any) -> None:
    once, again, other = (perturbed(Crosses, market, what, runs=8, seed=seed) for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(once.runs, again.runs)
    assert len(once.runs) == 8
    assert not once.runs.equals(other.runs)
    assert once.failed == 0


def test_fills_are_up_to_two_bars_late_and_slip_by_up_to_a_percent(market: Market) -> None:
    """Ten are bought after the fifth bar: at one of three opens, and no more than a share of one percent above it."""
    found = perturbed(Plain, market, "execution", runs=30, share=0.5, commission=0.0)
    bars = market.frames[next(iter(market.frames))]
    ends = 100_000.0 * (1 + found.runs["total_return"].to_numpy())
    paid = bars["close"].iloc[-1] - (ends - 100_000.0) / 10
    over = paid[:, None] / bars["open"].to_numpy()[5:8] - 1.0
    fits = (over > -1e-9) & (over < 0.005 + 1e-9)
    assert fits.any(axis=1).all()
    assert fits.any(axis=0).all()
    assert len(set(paid.round(6))) > 20


def test_a_run_s_own_slippage_only_grows(market: Market) -> None:
    """A number, or a model of it beside which the spread widens."""
    for costs in (Costs(slippage=0.004), Costs(slippage=PerUnit(0.2))):
        found = perturbed(Plain, market, "execution", runs=12, share=0.5, costs=costs, commission=0.0)
        on_time = perturbed(Plain, market, "execution", runs=12, share=1e-9, costs=costs, commission=0.0)
        assert (found.runs["total_return"] < on_time.runs["total_return"]).all()


def test_parameters_stay_near_in_the_space_and_allowed(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    import engine.sweep

    asked: list[dict[str, Any]] = []
    real = engine.sweep.sweep

    def noting(strategy: Any, market: Any, space: Any, **options: Any) -> Any:
        asked.extend(space)
        return real(strategy, market, space, **options)

    monkeypatch.setattr(engine.sweep, "sweep", noting)
    perturbed(Crosses, market, "parameters", runs=60, share=0.5)
    lengths = {each["length"] for each in asked}
    assert lengths == {18, 19, 20, 22, 23, 24}
    assert {(each["label"], each["on"]) for each in asked} == {("x", True)}


def test_parameters_with_costs_run_one_by_one(market: Market) -> None:
    free = perturbed(Crosses, market, "parameters", runs=5, seed=1)
    charged = perturbed(Crosses, market, "parameters", runs=5, seed=1, costs=Costs(spread=0.01))
    assert (charged.runs["total_return"] < free.runs["total_return"]).all()


def test_runs_that_cannot_be_are_counted(market: Market) -> None:
    found = perturbed(Longer, market, "parameters", runs=20, share=0.5)
    assert 0 < found.failed < 20
    assert len(found.runs) == 20 - found.failed
    assert found.failure


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"what": "price"}, "cannot perturb 'price'"),
        ({"runs": 0}, "0 runs"),
        ({"share": 0.0}, "a share of 0"),
        ({"seed": -1}, "the seed is -1"),
        ({"share": math.nan}, "a share of nan"),
        ({"what": "parameters"}, "Plain has no numeric parameter"),
    ],
)
def test_what_cannot_be_perturbed(market: Market, options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        perturbed(Plain, market, **options)


def test_percentiles_and_rank_by_hand(market: Market) -> None:
    base = perturbed(Plain, market, runs=1).base
    runs = pd.DataFrame({name: np.arange(101.0) - 50 for name in FIGURES})
    found = Perturbed("prices", 0.25, 0, base, runs)
    table = found.percentiles()
    own = base.metrics["total_return"]
    assert table.loc["total_return", "run"] == own
    assert table.loc["sharpe", ["p5", "p25", "p50", "p75", "p95"]].tolist() == [-45, -25, 0, 25, 45]
    assert table.loc["total_return", "rank"] == pytest.approx((runs["total_return"] < own).mean())
    assert found.losing == pytest.approx(50 / 101)


def test_no_run_that_ended_has_no_distribution(market: Market) -> None:
    base = perturbed(Plain, market, runs=1).base
    found = Perturbed("prices", 0.25, 0, base, pd.DataFrame(columns=list(FIGURES), dtype="float64"), 3, "why")
    assert math.isnan(found.losing)
    assert found.percentiles()["p50"].isna().all()
