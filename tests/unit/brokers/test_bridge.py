"""What the venue broker refuses, because a venue could not do it or would do it twice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import backtrader as bt
import numpy as np
import pandas as pd
import pytest

import store
from brokers.intents import client_order_id
from brokers.paper import PaperVenue
from brokers.venue_decides import VENUE_DECIDES
from core.errors import StrategyError
from engine.live_path import LivePath
from engine.recording import Recording
from engine.replay import replayed

CASH, COMMISSION = 10_000.0, 0.001
Act = Callable[[bt.Strategy], None]


@pytest.fixture
def frame() -> pd.DataFrame:
    close = np.linspace(100.0, 110.0, 12)
    index = pd.date_range("2024-01-01", periods=12, freq="1D", tz="UTC", name="time")
    prices = {"open": close, "high": close + 1, "low": close - 1, "close": close}
    return pd.DataFrame({**prices, "volume": 1000.0}, index=index)


@pytest.fixture
def trade(frame: pd.DataFrame, tmp_path: Path) -> Callable[[Act], Recording]:
    """Run a strategy that does one thing on its third bar."""

    def run(act: Act) -> Recording:
        class Once(bt.Strategy):
            def next(self) -> None:
                if len(self) == 3:
                    act(self)

        with store.open_store(f"sqlite:///{tmp_path}/journal.db") as database:
            venue = PaperVenue(CASH, COMMISSION)
            journal = database.journal("run")
            feeds = replayed({"X": frame})
            return LivePath(Once, {}, feeds, lambda: venue, journal, CASH, COMMISSION).run()

    return run


def test_a_whole_bracket_is_taken(trade: Callable[[Act], Recording]) -> None:
    def bracket(strategy: bt.Strategy) -> None:
        entry = strategy.buy(size=1, transmit=False)
        strategy.sell(size=1, exectype=bt.Order.Stop, price=90.0, parent=entry, transmit=False)
        strategy.sell(size=1, exectype=bt.Order.Limit, price=105.0, parent=entry)

    assert list(trade(bracket).orders["status"]) == ["filled", "cancelled", "filled"]


def test_a_child_of_an_order_already_sent_is_refused(trade: Callable[[Act], Recording]) -> None:
    def late(strategy: bt.Strategy) -> None:
        strategy.sell(size=1, exectype=bt.Order.Stop, price=90.0, parent=strategy.buy(size=1))

    with pytest.raises(StrategyError, match="transmit=False"):
        trade(late)


def test_an_order_on_a_resampled_data_is_refused(frame: pd.DataFrame, tmp_path: Path) -> None:
    class OnWeeks(bt.Strategy):
        def next(self) -> None:
            self.buy(data=self.data1, size=1)

    with store.open_store(f"sqlite:///{tmp_path}/journal.db") as database:
        replay = LivePath(
            OnWeeks,
            {},
            replayed({"X": frame}),
            lambda: PaperVenue(CASH, COMMISSION),
            database.journal("run"),
            CASH,
            COMMISSION,
            resample=("1W",),
        )
        with pytest.raises(StrategyError, match="is not traded"):
            replay.run()


@pytest.mark.parametrize("name", VENUE_DECIDES)
def test_what_a_venue_decides_cannot_be_set(trade: Callable[[Act], Recording], name: str) -> None:
    with pytest.raises(StrategyError, match=rf"broker\.{name} was called"):
        trade(lambda strategy: getattr(strategy.broker, name)(1))


def test_an_orders_after_an_early_end_are_refused_and_not_on_record(
    frame: pd.DataFrame, tmp_path: Path
) -> None:
    class AtTheEnd(bt.Strategy):
        def next(self) -> None:
            if len(self) == 5:
                replay.request_stop()

        def stop(self) -> None:
            self.refused = self.buy(size=1)

    with store.open_store(f"sqlite:///{tmp_path}/journal.db") as database:
        journal = database.journal("run")
        venue = PaperVenue(CASH, COMMISSION)
        replay = LivePath(AtTheEnd, {}, replayed({"X": frame}), lambda: venue, journal, CASH, COMMISSION)
        recording = replay.run()
        assert not replay.complete
        assert len(recording.equity) == 5
        assert recording.strategy.refused.status == bt.Order.Rejected
        assert journal.orders() == []


def test_client_order_ids() -> None:
    """The same decision has the same id in every life; any other decision has another."""
    monday, tuesday = pd.Timestamp("2024-01-08", tz="UTC"), pd.Timestamp("2024-01-09", tz="UTC")
    base = client_order_id("bot", "momentum", "GOOG", monday, 1)
    assert base == client_order_id("bot", "momentum", "GOOG", monday, 1)
    others = {
        client_order_id("bot2", "momentum", "GOOG", monday, 1),
        client_order_id("bot", "range", "GOOG", monday, 1),
        client_order_id("bot", "momentum", "AAPL", monday, 1),
        client_order_id("bot", "momentum", "GOOG", tuesday, 1),
        client_order_id("bot", "momentum", "GOOG", monday, 2),
    }
    assert len(others | {base}) == 6
    assert len(base) == 24
    assert base.isalnum()
