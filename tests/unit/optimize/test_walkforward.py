"""A walk-forward: what it sees, what it stitches, what it says of noise and of a real edge."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd
import pytest

from analyzers.entries import LEAST
from core.errors import ConfigError, UserError
from engine import backtest
from engine.cerebro import stock_broker
from feeds.market import Market, load
from optimize.forward import AT_THE_END, forward
from optimize.search import Settings
from optimize.slices import times_of
from optimize.study import StudyStore
from optimize.trials import Span
from optimize.walkforward import Plan, check, walkforward

SPACE = ["fast=2:20:2", "slow=10:80:10"]
RULE = "fast < slow"


class Crossing(bt.Strategy):
    params = (("fast", 4), ("slow", 11))

    def __init__(self) -> None:
        self.cross = bt.ind.CrossOver(bt.ind.SMA(period=self.p.fast), bt.ind.SMA(period=self.p.slow))

    def next(self) -> None:
        if self.cross > 0:
            self.order_target_percent(target=0.9)
        elif self.cross < 0 and self.position:
            self.close()


class Spy(Crossing):
    """Notes the bars of each run; does not compile."""

    runs: list[tuple[tuple[Any, ...], list[pd.Timestamp]]] = []

    def start(self) -> None:
        self.seen: list[pd.Timestamp] = []
        type(self).runs.append(((self.p.fast, self.p.slow), self.seen))

    def prenext(self) -> None:
        self.seen.append(pd.Timestamp(self.data.datetime.datetime(0), tz="UTC"))

    def next(self) -> None:
        self.prenext()
        super().next()


def bars(close: np.ndarray) -> pd.DataFrame:
    opens = np.concatenate([[100.0], close[:-1]])
    return pd.DataFrame(
        {
            "open": opens,
            "high": np.maximum(opens, close) * 1.002,
            "low": np.minimum(opens, close) * 0.998,
            "close": close,
            "volume": 1.0,
        },
        index=pd.date_range("2015-01-01", periods=len(close), tz="UTC"),
    )


def noise(seed: int, count: int = 1000) -> pd.DataFrame:
    return bars(100 * np.cumprod(1 + 0.01 * np.random.default_rng(seed).standard_normal(count)))


def trending(seed: int, count: int = 3000) -> pd.DataFrame:
    """Trends of some 25 bars, which averages of a few bars catch and those of many do not."""
    rng = np.random.default_rng(seed)
    sign = np.where(np.cumsum(rng.random(count) < 1 / 25) % 2, 1.0, -1.0)
    return bars(100 * np.cumprod(1 + 0.003 * sign + 0.007 * rng.standard_normal(count)))


def walk(data: Any, cls: Any = Crossing, space: list[str] = SPACE, **options: Any) -> Any:
    given = {"constraint": RULE, "settings": Settings(trials=48, min_trades=3), "permutations": 0, "count": 4}
    return walkforward(cls, data, space, **(given | options))


def test_noise_is_not_called_an_edge() -> None:
    """Fifty markets without anything to find: overfitting is a coin, and at most five verdicts may be fooled."""
    found = [walk(noise(seed), commission=0.0005) for seed in range(50)]
    labels = [each.verdict.label for each in found]
    assert sum(label in ("no evidence", "likely overfit") for label in labels) >= 45
    assert 0.4 <= np.mean([each.overfitting.probability for each in found]) <= 0.6
    entries = [each.entries.probability for each in found if each.entries.entries >= LEAST]
    assert len(entries) >= 20
    assert 0.35 <= np.mean(entries) <= 0.65
    assert sum(each <= 0.05 for each in entries) <= 4


def test_an_edge_is_found_and_called_one() -> None:
    found = walk(trending(3), commission=0.0005, permutations=20, settings=Settings(trials=80, min_trades=3))
    assert found.verdict.label in ("some evidence", "strong evidence")
    assert found.chosen["fast"] <= 6
    assert found.chosen["slow"] <= 30
    assert found.overfitting.probability < 0.2
    assert found.evidence.permutation < 0.06
    assert found.evidence.entries == found.entries.probability < 0.01
    assert found.metrics["sharpe"] > 1


def test_a_search_never_sees_a_bar_past_its_window() -> None:
    Spy.runs.clear()
    market = load(noise(1, 400))
    times = times_of(market.frames)
    found = walk(market, Spy, ["fast=2:4:2", "slow=10:20:10"], settings=Settings(trials=4), jobs=1, count=3)
    for each in found.windows:
        train = each.window.train
        searched = [
            seen
            for _, seen in Spy.runs
            if seen and (seen[0], seen[-1]) == (times[train.first], times[train.last - 1])
        ]
        assert len(searched) == 4, "one run a trial, and none of them longer"
        assert each.trained_to == times[train.last - 1] < each.begins
    ends = {times[each.window.train.last - 1] for each in found.windows}
    ends |= {times[each.window.test.last - 1] for each in found.windows}
    assert {seen[-1] for _, seen in Spy.runs if seen} <= ends


def test_the_first_decision_out_of_sample_is_on_the_first_bar() -> None:
    market = load(noise(2, 300))
    times = times_of(market.frames)
    part = forward(
        Spy, {"fast": 3, "slow": 10}, market, times, Span(150, 220), stock_broker(1, 0.001), 50_000.0
    )
    seen = Spy.runs[-1][1]
    assert part.warmup == 10, "the crossing of two averages needs one bar more than the slow one"
    assert seen[0] == times[140]
    assert seen[-1] == times[219]
    assert len(part.returns) == 70


def test_the_stitched_run_is_the_windows_runs_one_after_the_other() -> None:
    market = load(noise(5, 600))
    found = walk(market, commission=0.001)
    times = times_of(market.frames)
    cash = 100_000.0
    for each in found.windows:
        test = each.window.test
        frame = market.frames["DATA"].iloc[test.first - each.params["slow"] : test.last]
        result = backtest(Crossing, frame, each.params, cash=cash, commission=0.001, engine="cerebro")
        inside = result.equity[result.equity.index >= times[test.first]]
        ours = found.equity[inside.index]
        assert ours.iloc[:-1].to_numpy() == pytest.approx(inside.iloc[:-1].to_numpy(), rel=1e-9)
        held = result.fills["size"].sum()
        cost = abs(held) * frame["close"].iloc[-1] * 0.001
        cash = float(inside.iloc[-1] - cost)
        assert ours.iloc[-1] == pytest.approx(cash, rel=1e-9)
        if held:
            last = found.trades[found.trades["exit_time"] == times[test.last - 1]]
            assert AT_THE_END in set(last["exit_reason"])
    assert found.equity.index[0] == times[found.windows[0].window.test.first - 1]
    assert found.equity.iloc[0] == 100_000.0
    total = found.trades["pnl_net"].sum()
    assert found.equity.iloc[-1] - 100_000.0 == pytest.approx(total, rel=1e-6)


def test_what_entries_earned_is_what_the_account_did() -> None:
    """Without costs, and not compounded; but for a position's size, which is that of its last fill."""
    found = walk(trending(3, 1000), commission=0.0)
    moves = found.equity.pct_change().dropna()
    assert abs(moves.sum()) > 0.1
    assert found.entries.earned == pytest.approx(moves.sum(), abs=0.01)
    assert found.entries.entries == len(found.trades)


def test_carried_positions_are_not_closed_at_the_border() -> None:
    data = trending(7, 900)
    closed, carried = walk(data, commission=0.002), walk(data, commission=0.002, boundary="carry")
    assert AT_THE_END in set(closed.trades["exit_reason"])
    assert AT_THE_END not in set(carried.trades["exit_reason"])
    assert [each.params for each in closed.windows] == [each.params for each in carried.windows]


def test_equal_for_any_number_of_workers_and_after_a_stop(tmp_path: Any) -> None:
    data = noise(3, 500)
    one, two = walk(data, jobs=1), walk(data, jobs=2)
    assert one.equity.equals(two.equity)
    assert one.verdict == two.verdict
    plan = Plan(
        Crossing, load(data), one_space(), stock_broker(100_000.0, 0.001), {"count": 4}, Settings(trials=48)
    )
    store = StudyStore.open(f"sqlite:///{tmp_path}/study.db", "run", plan.facts())

    class Stop(Exception):
        pass

    def stop(event: str, facts: Any) -> None:
        if event == "window" and facts["name"] == "window 2":
            raise Stop

    with pytest.raises(Stop):
        walk(data, store=store, listen=stop)
    asked: list[str] = []
    again = walk(data, store=store, listen=lambda event, facts: asked.append(event))
    store.close()
    assert again.equity.equals(one.equity)
    assert again.evidence == one.evidence
    assert again.counters["compiled"] == one.counters["compiled"] - 2 * 48


def one_space() -> Any:
    from optimize.space import space_of

    return space_of(Crossing, SPACE, constraint=RULE)


def test_drift_and_efficiency() -> None:
    found = walk(noise(8, 600))
    assert set(found.drift) == {"fast", "slow"}
    moves = [
        abs(one.params["fast"] - two.params["fast"]) / 20 for one, two in itertools.pairwise(found.windows)
    ]
    assert found.drift["fast"] == pytest.approx(np.mean(moves))
    inside = np.nanmean([each.in_sample["cagr"] for each in found.windows])
    outside = np.nanmean([each.out_of_sample["cagr"] for each in found.windows])
    assert found.efficiency == pytest.approx(outside / inside) or inside <= 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"count": 500}, "too few for 500 windows"),
        ({"train": 5000, "test": 10, "count": None}, "longer than the data"),
        ({"boundary": "open"}, "the boundary is"),
        ({"settings": Settings(trials=0)}, "--trials is 0"),
        ({"settings": Settings(trials=4, min_trades=10_000)}, "window 1: none of 4 trials"),
        ({"permutations": -1}, "must not be below zero"),
        ({"constraint": "fast > 100"}, "no combination satisfies"),
    ],
)
def test_what_cannot_be_done_is_said(options: dict[str, Any], words: str) -> None:
    with pytest.raises((ConfigError, UserError)) as raised:
        walk(noise(1, 300), **options)
    assert words in str(raised.value)


def test_a_plan_is_checked_before_anything_runs() -> None:
    market: Market = load(noise(1, 300))
    plan = Plan(Crossing, market, one_space(), stock_broker(1.0, 0.0), {"count": 4}, Settings())
    assert len(check(plan)) == 4
    other = Plan(Crossing, market, one_space(), stock_broker(2.0, 0.0), {"count": 4}, Settings())
    assert plan.facts() != other.facts()


def test_progress_moves_within_a_batch_and_ends_at_the_number_of_trials() -> None:
    told: list[int] = []

    def listen(event: str, facts: Mapping[str, Any]) -> None:
        if event == "batch":
            told.append(facts["trials"])

    result = walkforward(
        Spy, load(noise(2, 300)), SPACE, constraint=RULE, settings=Settings(trials=12), count=2, permutations=0, jobs=1,
        listen=listen,
    )  # fmt: skip
    assert told == sorted(told)
    assert set(told) == set(range(1, 3 * 12 + 1))
    assert told[-1] == result.counters["trials"]
