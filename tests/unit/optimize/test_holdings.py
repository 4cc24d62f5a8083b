"""What a run held, bar by bar."""

from __future__ import annotations

import backtrader as bt
import numpy as np
import pandas as pd
import pytest

from engine.cerebro import stock_broker
from feeds.market import load
from optimize.forward import CARRY, CLOSE, forward
from optimize.holdings import held_of
from optimize.slices import times_of
from optimize.trials import Span

CASH = 10_000.0
WHOLE = Span(0, 12)


class Scripted(bt.Strategy):
    """Buys ten units on the fourth bar; how, and what then happens, is said by `mode`."""

    params = (("mode", "market"),)

    def next(self) -> None:
        bar, mode = len(self), self.p.mode
        if bar == 3 and mode == "limit":
            self.buy(size=10, exectype=bt.Order.Limit, price=102.7)
        elif bar == 3 and mode == "short":
            self.sell(size=10)
        elif bar == 3:
            self.buy(size=10)
        elif bar == 5 and mode == "stop":
            self.sell(size=10, exectype=bt.Order.Stop, price=103.0)
        elif bar == 5 and mode == "more":
            self.buy(size=5)
        elif bar == 7 and mode == "market":
            self.close()


def bars(*, gap: bool) -> pd.DataFrame:
    """Opens at 100, 101, ... 111, closes half a point above. The seventh bar falls to 102: from its open, or within."""
    opens = 100.0 + np.arange(12)
    lows = opens - 0.5
    lows[6] = 102.0
    opens[6] = 102.5 if gap else opens[6]
    frame = {"open": opens, "high": opens + 1.0, "low": lows, "close": opens + 0.5, "volume": 1.0}
    return pd.DataFrame(frame, index=pd.date_range("2024-01-01", periods=12, tz="UTC"))


def held(
    mode: str, span: Span = WHOLE, boundary: str = CLOSE, *, gap: bool = False, earlier: int = 0
) -> np.ndarray:
    """Weights of a run with 10,000 of cash and no costs."""
    market = load({"X": bars(gap=gap)})
    broker = stock_broker(CASH, 0.0)
    part = forward(
        Scripted,
        {"mode": mode},
        market,
        times_of(market.frames),
        span,
        broker,
        CASH,
        boundary=boundary,
        earlier=earlier,
    )
    return part.weights["X"].to_numpy()


def expected(rows: dict[int, tuple[float, float]]) -> np.ndarray:
    made = np.zeros((12, 2))
    for bar, row in rows.items():
        made[bar] = row
    return made


def test_a_market_order_counts_from_the_open_to_the_open() -> None:
    size = 10 * 103 / CASH
    assert held("market") == pytest.approx(expected(dict.fromkeys(range(3, 7), (size, size))))


def test_a_short_position_is_below_zero_and_ends_at_the_last_close() -> None:
    size = -10 * 103 / CASH
    wanted = dict.fromkeys(range(3, 11), (size, size)) | {11: (size, 0.0)}
    assert held("short") == pytest.approx(expected(wanted))


def test_an_order_inside_a_bar_counts_from_its_close() -> None:
    """Nobody knew at the open that the price would be reached."""
    size = 10 * 102.7 / CASH
    wanted = {3: (0.0, size)} | dict.fromkeys(range(4, 11), (size, size)) | {11: (size, 0.0)}
    assert held("limit") == pytest.approx(expected(wanted))
    size = 10 * 103 / CASH
    wanted = dict.fromkeys(range(3, 6), (size, size))
    assert held("stop") == pytest.approx(expected(wanted | {6: (size, 0.0)}))
    assert held("stop", gap=True) == pytest.approx(expected(wanted)), (
        "beyond the stop at the open, which was known"
    )


def test_a_weight_is_set_when_units_change() -> None:
    before, worth = 10 * 103 / CASH, CASH + 10 * (104.5 - 103)
    after = 15 * 105 / worth
    found = held("more")
    assert found[3:5] == pytest.approx(np.full((2, 2), before))
    assert found[5:11] == pytest.approx(np.full((6, 2), after))


def test_a_part_has_its_own_bars_alone_and_goes_on_with_what_is_carried() -> None:
    size = 10 * 103 / CASH
    carried = held("market", Span(5, 9), CARRY, earlier=5)
    assert carried == pytest.approx(np.array([(size, size)] * 2 + [(0.0, 0.0)] * 2))
    assert held("short", Span(3, 9), CARRY, earlier=5)[-1].tolist() == pytest.approx([-size, -size])


def test_parts_make_a_whole_with_nothing_where_a_symbol_was_not_traded() -> None:
    market = load({"X": bars(gap=False), "Y": bars(gap=False).iloc[4:]})
    times = times_of(market.frames)
    weights = pd.DataFrame({"open": 0.5, "close": 0.25}, index=times[2:5])
    (found,) = held_of([{"X": weights}, {}], market, times[2:9])
    assert found.weights.tolist() == [[0.5, 0.25]] * 3 + [[0.0, 0.0]] * 4
    assert found.opens.tolist() == [102, 103, 104, 105, 106, 107, 108]
    assert held_of([{}, {}], market, times) == []
