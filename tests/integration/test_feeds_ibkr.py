"""The real client library over a real socket, against the gateway's simulator."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pandas as pd
import pytest

import feeds
from core.clock import SimulatedClock
from core.config import DataSettings
from core.errors import DataQualityError, ProviderError, UnknownNameError
from feeds.historical.ibkr import IBKRProvider
from feeds.ibkr_bars import IBKRSettings
from tests.simulator import Simulator, simulator

OPEN, CLOSE = (
    pd.Timestamp("2024-01-02T09:30", tz="America/New_York"),
    pd.Timestamp("2024-01-02T21:00", tz="UTC"),
)
START = pd.Timestamp("2024-01-02T14:20", tz="UTC")
MINUTES = 30
_clients = itertools.count(500)


@pytest.fixture(scope="module")
def gateway() -> Iterator[Simulator]:
    """Half an hour, ten minutes of it before the bell."""
    begin = f"{START:%Y-%m-%dT%H:%M:%S}"
    with simulator("tws", "--market", "hand", "--start", begin, "--hours", "09:30-16:00") as running:
        for price in range(100, 100 + MINUTES):
            running.control.price("ABC", price)
            running.control.advance(60)
        yield running


@pytest.fixture
def market(gateway: Simulator) -> Iterator[Simulator]:
    gateway.control.clear()
    yield gateway
    gateway.control.clear()


def provider(gateway: Simulator, *, regular_hours: bool = True, answer: float = 5.0) -> IBKRProvider:
    return IBKRProvider(
        IBKRSettings(gateway.host, gateway.port, next(_clients), regular_hours, answer=answer)
    )


def test_bars_of_the_regular_hours_and_of_all(market: Simulator) -> None:
    """D10"""
    stop = START + pd.Timedelta(minutes=MINUTES)
    every = provider(market, regular_hours=False).fetch("ABC", "1m", START, stop)
    regular = provider(market).fetch("ABC", "1m", START, stop)
    times = pd.date_range(START, periods=MINUTES, freq="1min", unit="ns", name="time")
    assert every.index.equals(times)
    assert every["close"].tolist() == list(range(100, 100 + MINUTES))
    assert regular.index[0] == OPEN
    pd.testing.assert_frame_equal(regular, every[every.index >= OPEN])


def test_only_what_was_asked_for_and_longer_bars(market: Simulator) -> None:
    found = provider(market).fetch("ABC", "5m", OPEN, OPEN + pd.Timedelta(minutes=10))
    assert found.index.tolist() == [OPEN.tz_convert("UTC"), OPEN.tz_convert("UTC") + pd.Timedelta(minutes=5)]
    assert found["high"].tolist() == [114, 119]
    daily = provider(market).fetch("ABC", "1d", START.normalize(), CLOSE)
    assert daily.index.tolist() == [pd.Timestamp("2024-01-02", tz="UTC")]
    assert daily["open"].tolist() == [110]


def settings(gateway: Simulator, folder: Path, **more: object) -> DataSettings:
    where = {"ibkr": f"{gateway.host}:{gateway.port}", "ibkr_client_id": next(_clients)}
    return DataSettings.model_validate({"cache_dir": folder, **where, **more})


def test_the_second_load_comes_from_the_cache_which_keeps_hours_apart(
    market: Simulator, tmp_path: Path
) -> None:
    clock = SimulatedClock(CLOSE.to_pydatetime())
    load = partial(feeds.load, "ibkr:ABC:1m", clock=clock, start="2024-01-02", end="2024-01-02T14:49")
    first = load(settings=settings(market, tmp_path))
    market.control.fault("reject", match="reqHistoricalData", code=162, text="no more")
    again = load(settings=settings(market, tmp_path))
    assert len(first.frames["ABC"]) == 20
    pd.testing.assert_frame_equal(first.frames["ABC"], again.frames["ABC"])
    market.control.clear()
    every = load(settings=settings(market, tmp_path, regular_hours=False))
    assert len(every.frames["ABC"]) == MINUTES


PACING = "Historical Market Data Service error message:Historical data request pacing violation"
FORBIDDEN = "Historical Market Data Service error message:No market data permissions for NASDAQ STK"


@pytest.mark.parametrize(
    ("code", "text", "said", "fix"),
    [(162, PACING, "pacing violation", "wait ten minutes"), (162, FORBIDDEN, "permissions", "subscribe")],
)
def test_a_refusal_is_told_and_is_no_gap(
    market: Simulator, code: int, text: str, said: str, fix: str
) -> None:
    market.control.fault("reject", match="reqHistoricalData", code=code, text=text)
    with pytest.raises(ProviderError, match=said) as refused:
        provider(market).fetch("ABC", "1m", START, CLOSE)
    assert fix in refused.value.hint


def test_what_is_not_there(market: Simulator, tmp_path: Path) -> None:
    with pytest.raises(ProviderError, match="means no contracts"):
        provider(market).fetch("NOPE", "1d", START, CLOSE)
    with pytest.raises(UnknownNameError, match="interval"):
        provider(market).fetch("ABC", "7m", START, CLOSE)
    early = SimulatedClock(START.to_pydatetime())
    with pytest.raises(DataQualityError, match="no 1m bars in the period"):
        feeds.load("ibkr:ABC:1m", settings=settings(market, tmp_path), clock=early, end="2024-01-01")


def test_nobody_listens(market: Simulator) -> None:
    port = market.port
    market.control.fault("refuse", seconds=60)
    with pytest.raises(ProviderError, match=f"no TWS or IB Gateway answers at {market.host}:{port}"):
        provider(market, answer=1.0).fetch("ABC", "1d", START, CLOSE)
