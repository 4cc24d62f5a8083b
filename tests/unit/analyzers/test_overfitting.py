"""Deflated Sharpe, probability of overfitting, bootstrap and neighbourhood, against papers and slow calculations."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzers import overfitting as of
from analyzers.overfitting import COUNT, SQUARES, SUM


def moments(returns: np.ndarray, blocks: int = 16) -> np.ndarray:
    """(n, bars) to (n, blocks, 3)."""
    parts = np.array_split(returns, blocks, axis=1)
    return np.stack(
        [
            np.stack([np.full(len(part), part.shape[1]), part.sum(axis=1), (part**2).sum(axis=1)], axis=-1)
            for part in parts
        ],
        axis=1,
    ).astype(float)


class TestDeflatedSharpe:
    """The worked example of Bailey and Lopez de Prado (2014): annual 2.5 over 1,250 days, variance 1/2."""

    FACTS = {"variance": 0.5 / 250, "skewness": -3.0, "excess": 7.0}

    def test_a_hundred_trials(self) -> None:
        luck = math.sqrt(0.5 / 250) * of.expected_maximum(100)
        assert luck == pytest.approx(0.1132, abs=5e-5)
        assert of.deflated_sharpe(2.5 / math.sqrt(250), 1250, trials=100, **self.FACTS) == pytest.approx(
            0.9004, abs=5e-5
        )

    def test_forty_six_trials(self) -> None:
        assert of.deflated_sharpe(2.5 / math.sqrt(250), 1250, trials=46, **self.FACTS) == pytest.approx(
            0.9505, abs=5e-5
        )

    def test_a_single_trial_is_the_probabilistic_sharpe_ratio(self) -> None:
        assert of.expected_maximum(1) == 0.0
        single = of.deflated_sharpe(0.1, 500, trials=1, variance=0.01)
        assert single == pytest.approx(of.NORMAL.cdf(0.1 * math.sqrt(499) / math.sqrt(1 + 0.5 * 0.01)))

    def test_more_trials_are_worth_less(self) -> None:
        found = [of.deflated_sharpe(0.1, 500, trials=n, variance=0.001) for n in (1, 2, 10, 100, 10_000)]
        assert found == sorted(found, reverse=True)

    def test_the_expected_maximum_is_that_of_draws(self) -> None:
        draws = np.random.default_rng(3).standard_normal((20_000, 50)).max(axis=1)
        assert of.expected_maximum(50) == pytest.approx(draws.mean(), abs=0.04)  # the formula is asymptotic


def test_five_years_bear_forty_five_trials() -> None:
    """Bailey et al. (2014): with five years of data, no more than 45 configurations for a Sharpe ratio of 1."""
    assert of.minimum_backtest_length(45) == pytest.approx(5.0, abs=0.05)
    assert of.minimum_backtest_length(45) < 2 * math.log(45)
    assert of.minimum_backtest_length(10, 0.0) == math.inf


class TestOverfitting:
    """CSCV against a direct calculation from the returns themselves."""

    @staticmethod
    def direct(returns: np.ndarray, blocks: int) -> tuple[list[float], list[float], list[float]]:
        parts = np.array_split(np.arange(returns.shape[1]), blocks)
        logits, inside, outside = [], [], []
        for chosen in itertools.combinations(range(blocks), blocks // 2):
            here = np.concatenate([parts[k] for k in chosen])
            there = np.concatenate([parts[k] for k in range(blocks) if k not in chosen])
            first, second = (
                returns[:, rows].mean(axis=1) / returns[:, rows].std(axis=1, ddof=1) for rows in (here, there)
            )
            best = int(first.argmax())
            rank = (second < second[best]).sum() + 1
            relative = rank / (len(returns) + 1)
            logits.append(math.log(relative / (1 - relative)))
            inside.append(first[best])
            outside.append(second[best])
        return logits, inside, outside

    @settings(max_examples=20, deadline=None)
    @given(seed=st.integers(0, 10_000), trials=st.integers(2, 12), bars=st.integers(40, 90))
    def test_equals_the_direct_calculation(self, seed: int, trials: int, bars: int) -> None:
        returns = np.random.default_rng(seed).normal(0.0003, 0.01, (trials, bars))
        found = of.overfitting(moments(returns, 6))
        logits, inside, outside = self.direct(returns, 6)
        ours = zip(found.in_sample, found.out_of_sample, found.logits, strict=True)
        wanted = zip(inside, outside, logits, strict=True)
        for one, two in zip(sorted(ours), sorted(wanted), strict=True):
            assert one == pytest.approx(two)
        assert found.probability == pytest.approx(np.mean(np.array(logits) <= 0))
        assert found.loss == pytest.approx(np.mean(np.array(outside) < 0))
        assert found.degradation == pytest.approx(np.polyfit(inside, outside, 1)[0])

    def test_every_split_of_sixteen(self) -> None:
        returns = np.random.default_rng(1).normal(0, 0.01, (5, 320))
        assert len(of.overfitting(moments(returns)).logits) == math.comb(16, 8)

    def test_noise_is_a_coin(self) -> None:
        rng = np.random.default_rng(7)
        found = [of.overfitting(moments(rng.normal(0, 0.01, (50, 800)))).probability for _ in range(30)]
        assert 0.4 < np.mean(found) < 0.6

    def test_one_trial_that_is_better_everywhere_is_not_overfit(self) -> None:
        returns = np.random.default_rng(2).normal(0, 0.01, (30, 800))
        returns[11] += 0.004
        found = of.overfitting(moments(returns))
        assert found.probability < 0.01
        assert found.loss < 0.01

    def test_a_single_trial_has_no_probability(self) -> None:
        assert math.isnan(of.overfitting(moments(np.ones((1, 64)))).probability)

    def test_parts_must_be_halved(self) -> None:
        with pytest.raises(ValueError, match="cannot be halved"):
            of.overfitting(np.ones((3, 5, 3)))

    def test_chunks_change_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        given = moments(np.random.default_rng(4).normal(0, 0.01, (9, 200)), 8)
        whole = of.overfitting(given)
        monkeypatch.setattr(of, "CHUNK", 50)
        assert np.array_equal(np.sort(of.overfitting(given).logits), np.sort(whole.logits))


def test_the_sharpe_ratio_of_sums_is_that_of_returns() -> None:
    returns = np.random.default_rng(5).normal(0.001, 0.01, (3, 160))
    given = moments(returns)
    assert given[..., COUNT].sum(axis=1).tolist() == [160, 160, 160]
    assert of.sharpe_of(given.sum(axis=1)) == pytest.approx(
        returns.mean(axis=1) / returns.std(axis=1, ddof=1)
    )
    idle = np.zeros(3)
    idle[COUNT] = 100
    assert of.sharpe_of(idle) == 0.0
    steady = np.array([100, 100 * 0.01, 100 * 0.01**2])
    assert of.sharpe_of(steady) == 0.0
    assert given[0, 0, SUM] == pytest.approx(returns[0, :10].sum())
    assert given[0, 0, SQUARES] == pytest.approx((returns[0, :10] ** 2).sum())


class TestEffectiveTrials:
    def test_copies_count_once(self) -> None:
        one = np.random.default_rng(1).normal(0, 0.01, (1, 800))
        assert of.effective_trials(moments(np.repeat(one, 40, axis=0))) == pytest.approx(1.0)

    def test_independent_ones_count_each(self) -> None:
        returns = np.random.default_rng(1).normal(0, 0.01, (200, 1600))
        assert of.effective_trials(moments(returns)) == pytest.approx(200, rel=0.03)

    def test_a_common_factor_is_in_between(self) -> None:
        rng = np.random.default_rng(1)
        returns = rng.normal(0, 0.01, (100, 8000)) + rng.normal(0, 0.01, (1, 8000))
        assert of.effective_trials(moments(returns)) == pytest.approx(0.5 + 0.5 * 100, rel=0.35)

    def test_trials_that_never_trade_are_one(self) -> None:
        returns = np.zeros((10, 160))
        assert of.effective_trials(moments(returns)) == 1.0
        returns[0] = np.random.default_rng(1).normal(0, 0.01, 160)
        assert of.effective_trials(moments(returns)) == 2.0
        assert of.effective_trials(moments(returns[:1])) == 1.0


class TestBootstrap:
    def test_blocks_keep_their_order_and_wrap(self) -> None:
        returns = np.arange(50.0)
        drawn = of.resampled(returns, 200, seed=1, length=10)
        steps = (drawn[:, 1:] - drawn[:, :-1]) % 50
        assert np.mean(steps == 1) == pytest.approx(0.9 + 0.1 / 50, abs=0.01)

    def test_independent_returns_need_no_blocks(self) -> None:
        returns = np.random.default_rng(1).normal(0, 0.01, 2000)
        assert of.block_length(returns) < 5

    def test_dependence_makes_blocks_long(self) -> None:
        """An AR(1) of 0.9 and 5,000 values: the formula of the paper gives about 61."""
        noise = np.random.default_rng(1).normal(0, 1, 5000)
        series = np.empty(5000)
        series[0] = noise[0]
        for k in range(1, 5000):
            series[k] = 0.9 * series[k - 1] + noise[k]
        ideal = (2 * 0.9 / (1 - 0.81)) ** (2 / 3) * 5000 ** (1 / 3)
        assert of.block_length(series) == pytest.approx(ideal, rel=0.35)

    def test_intervals_cover_as_often_as_they_say(self) -> None:
        covered = 0
        for seed in range(100):
            returns = np.random.default_rng(seed).normal(0.0005, 0.01, 500)
            found = of.intervals(returns, 252, draws=300, level=0.9, seed=seed)["sharpe"]
            covered += found.low <= 0.05 * math.sqrt(252) <= found.high
        assert 80 <= covered <= 97

    def test_intervals_of_trades_cover_as_often_as_they_say(self) -> None:
        covered = {"win_rate": 0, "expectancy": 0}
        for seed in range(100):
            rng = np.random.default_rng(seed)
            pnl = np.where(rng.random(120) < 0.6, 10.0, -8.0)
            found = of.trade_intervals(pnl, draws=300, level=0.9, seed=seed)
            covered["win_rate"] += found["win_rate"].low <= 0.6 <= found["win_rate"].high
            covered["expectancy"] += found["expectancy"].low <= 0.6 * 10 - 0.4 * 8 <= found["expectancy"].high
        assert all(80 <= count <= 97 for count in covered.values())
        assert of.trade_intervals(np.ones(7)) == {}
        assert "profit_factor" not in of.trade_intervals(np.ones(9))

    def test_seeded_and_of_the_curve(self) -> None:
        returns = np.random.default_rng(1).normal(0.0005, 0.01, 300)
        found = of.intervals(returns, 252, draws=200, seed=4)
        assert found == of.intervals(returns, 252, draws=200, seed=4)
        curve = np.cumprod(1 + returns)
        assert found["total_return"].value == pytest.approx(curve[-1] - 1)
        assert found["cagr"].value == pytest.approx(curve[-1] ** (252 / 300) - 1)
        peak = np.maximum.accumulate(np.concatenate([[1.0], curve]))[1:]
        assert found["max_drawdown"].value == pytest.approx((1 - curve / peak).max())
        assert all(each.low <= each.high for each in found.values())

    def test_too_few_bars_have_none(self) -> None:
        assert of.intervals(np.ones(7), 252) == {}


class TestNeighbourhood:
    GRID = np.array(list(itertools.product(np.linspace(0, 1, 11), repeat=2)))

    def test_a_hill_is_a_plateau(self) -> None:
        values = np.exp(-((self.GRID - 0.5) ** 2).sum(axis=1) * 4)
        found = of.neighbourhood(self.GRID, values, int(values.argmax()))
        assert (found.size, found.shape, found.positive) == (8, "plateau", 1.0)

    def test_a_needle_is_a_spike(self) -> None:
        values = np.full(len(self.GRID), 0.05)
        values[60] = 2.0
        found = of.neighbourhood(self.GRID, values, 60)
        assert (found.shape, found.median) == ("spike", 0.05)

    def test_few_points_take_the_nearest(self) -> None:
        points = np.array([[0.0], [0.5], [0.9], [1.0]])
        assert of.neighbourhood(points, np.array([1.0, 0.8, 0.7, np.nan]), 0).size == 2
        assert of.neighbourhood(points[:1], np.array([1.0]), 0).shape == "unknown"

    def test_a_losing_best_has_no_ratio(self) -> None:
        assert of.neighbourhood(self.GRID, -np.ones(len(self.GRID)), 0).shape == "unknown"
