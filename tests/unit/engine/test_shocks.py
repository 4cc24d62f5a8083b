"""Shocks of bars and costs against what they are said to do, worked out by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokers.costs import Costs
from core.errors import ConfigError, DataError
from engine.moves import PRICES, moves_of
from engine.shocks import (
    SHOCKS,
    Crash,
    Delay,
    Drift,
    Gap,
    Liquidity,
    Noise,
    Outage,
    Setting,
    Spread,
    Volatility,
)

ROUNDING = 1e-12
"""Prices go through a logarithm and back, and through a sum over all bars."""


def market(bars: int = 100, seed: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    close = 50 * np.exp(np.cumsum(rng.normal(0, 0.02, bars)))
    opening = np.r_[50.0, close[:-1]] * np.exp(rng.normal(0, 0.005, bars))
    high = np.maximum(opening, close) * (1 + rng.uniform(0, 0.01, bars))
    low = np.minimum(opening, close) * (1 - rng.uniform(0, 0.01, bars))
    index = pd.date_range("2022-01-03", periods=bars, freq="B", tz="UTC", name="time")
    return pd.DataFrame(
        {"open": opening, "high": high, "low": low, "close": close, "volume": 1000.0}, index=index
    )


def at(position: int = 40, seed: int = 0) -> Setting:
    return Setting(position, np.random.default_rng(seed))


def shocked(shock: Any, frame: pd.DataFrame, setting: Setting | None = None) -> pd.DataFrame:
    return shock.bars({"A": frame}, setting or at())["A"]


def test_moves_make_the_bars_again() -> None:
    frame = market()
    pd.testing.assert_frame_equal(moves_of("A", frame).bars_again(), frame, rtol=ROUNDING)


@pytest.mark.parametrize("price", [0.0, -1.0, np.nan, np.inf])
def test_bars_without_a_price_are_refused(price: float) -> None:
    frame = market()
    frame.iloc[3, 3] = price
    with pytest.raises(DataError, match="A has bars without a price above zero"):
        moves_of("A", frame)


def test_a_gap_lowers_everything_after_it() -> None:
    frame, made = market(), shocked(Gap(-0.2), market())
    np.testing.assert_allclose(made[PRICES][:41], frame[PRICES][:41], rtol=ROUNDING)
    np.testing.assert_allclose(made[PRICES][41:], 0.8 * frame[PRICES][41:], rtol=ROUNDING)
    assert made.index.equals(frame.index)


def test_a_gap_at_a_share_of_the_history() -> None:
    made, frame = shocked(Gap(0.5, at=0.0), market()), market()
    assert made["close"].iloc[0] == pytest.approx(frame["close"].iloc[0], rel=ROUNDING)
    assert made["open"].iloc[1] == pytest.approx(1.5 * frame["open"].iloc[1], rel=ROUNDING)


def test_volatility_keeps_the_drift_and_multiplies_the_rest() -> None:
    frame, made = market(), shocked(Volatility(3.0), market())
    before, after = (np.diff(np.log(each["close"])) for each in (frame, made))
    centred = moves_of("A", frame).gap.mean() + moves_of("A", frame).body.mean()
    np.testing.assert_allclose(after - centred, 3.0 * (before - centred), atol=1e-9)
    spread = np.log(frame["high"] / frame["low"]).sum(), np.log(made["high"] / made["low"]).sum()
    assert spread[1] > 2.0 * spread[0]


def test_volatility_of_a_part_leaves_the_rest() -> None:
    frame, made = market(), shocked(Volatility(2.0, begin=0.5, end=0.6), market())
    np.testing.assert_allclose(made[PRICES][:50], frame[PRICES][:50], rtol=ROUNDING)
    after = made["close"].iloc[60] / frame["close"].iloc[60]
    np.testing.assert_allclose(made[PRICES][60:], after * frame[PRICES][60:], rtol=1e-9)


def test_the_worst_bars_happen_again() -> None:
    frame = market()
    step = np.zeros(100)
    step[70:73] = [-0.1, -0.2, -0.05]
    frame["close"] = 50 * np.exp(np.cumsum(step))
    frame["open"] = np.r_[50.0, frame["close"][:-1]]
    frame["high"], frame["low"] = frame[["open", "close"]].max(axis=1), frame[["open", "close"]].min(axis=1)
    crash = Crash(3, at=0.2)
    assert crash.worst({"A": frame}) == 70
    made = shocked(crash, frame)
    np.testing.assert_allclose(np.diff(np.log(made["close"]))[20:23], [-0.1, -0.2, -0.05], atol=1e-9)
    assert made["close"].iloc[-1] == pytest.approx(50 * math.exp(-0.7), rel=1e-9)


def test_an_outage_takes_bars_away_but_not_the_last() -> None:
    made = shocked(Outage(5), market())
    assert list(made.index) == list(market().index[:41]) + list(market().index[46:])
    late = shocked(Outage(50, at=0.9), market())
    assert late.index[-1] == market().index[-1]
    assert len(late) == 91


def test_less_volume_limits_fills() -> None:
    assert shocked(Liquidity(0.1), market())["volume"].tolist() == [100.0] * 100
    assert Liquidity().costs(Costs()).volume_share == 0.1
    assert Liquidity().costs(Costs(volume_share=0.02)).volume_share == 0.02


def test_costs_that_grow() -> None:
    assert Spread(5.0).costs(Costs()).spread == pytest.approx(0.0025)
    assert Spread(5.0).costs(Costs(spread=0.01)).spread == pytest.approx(0.05)
    assert Spread(2.0).costs(Costs(spread={"A": 0.01, "B": 0.02})).spread == {"A": 0.02, "B": 0.04}
    assert Delay(2).costs(Costs(latency=1)).latency == 3


def test_a_drift_is_a_yearly_return() -> None:
    frame = market(261)
    made = shocked(Drift(-0.2), frame)
    ratio = (made["close"] / frame["close"]).to_numpy()
    assert ratio[-1] == pytest.approx(0.8, rel=0.05)
    assert np.diff(np.log(ratio)) == pytest.approx(np.diff(np.log(ratio))[0])


def test_noise_is_as_large_as_said_and_the_same_again() -> None:
    frame = market(5000)
    one, again, other = (shocked(Noise(0.5), frame, at(seed=seed)) for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(one, again)
    assert not one["close"].equals(other["close"])
    added = np.diff(np.log(one["close"] / frame["close"]))
    assert added.std() == pytest.approx(0.5 * moves_of("A", frame).steps.std(), rel=0.05)


@pytest.mark.parametrize(
    ("kind", "given", "said"),
    [
        (Gap, {"size": -1.0}, "gap: size is -1"),
        (Gap, {"at": 1.5}, "gap: at is 1.5"),
        (Gap, {"at": "middle"}, "gap: at is middle"),
        (Volatility, {"times": -1.0}, "volatility: times is -1"),
        (Volatility, {"begin": 0.6, "end": 0.5}, "begin is 0.6"),
        (Gap, {"size": math.inf}, "gap: size is inf"),
        (Gap, {"size": math.nan}, "gap: size is nan"),
        (Crash, {"length": 0}, "crash: length is 0"),
        (Crash, {"length": 2.5}, "crash: length is 2.5"),
        (Outage, {"length": 1.5}, "outage: length is 1.5"),
        (Outage, {"length": 0}, "outage: length is 0"),
        (Liquidity, {"share": 1.5}, "liquidity: share is 1.5"),
        (Spread, {"times": -2.0}, "spread: times is -2"),
        (Delay, {"bars_later": -1}, "delay: bars_later is -1"),
        (Drift, {"yearly": -1.0}, "drift: yearly is -1"),
        (Noise, {"share": -0.1}, "noise: share is -0.1"),
    ],
)
def test_settings_without_meaning_are_refused(kind: Any, given: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        kind(**given)


@given(
    st.sampled_from(sorted(SHOCKS)),
    st.integers(3, 80),
    st.integers(0, 200),
    st.integers(0, 2**32 - 1),
)
def test_bars_stay_bars(name: str, bars: int, position: int, seed: int) -> None:
    kind: Any = SHOCKS[name]
    frame = market(bars, seed % 1000)
    made = kind().bars({"A": frame, "B": market(bars, 7)}, Setting(position, np.random.default_rng(seed)))
    for each in made.values():
        values = each[PRICES]
        assert np.isfinite(values).all().all()
        assert (values > 0).all().all()
        assert (each["high"] >= each[["open", "close"]].max(axis=1)).all()
        assert (each["low"] <= each[["open", "close"]].min(axis=1)).all()
        assert each.index.is_monotonic_increasing
        assert each.index.isin(frame.index).all()
