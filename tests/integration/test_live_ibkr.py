"""Bars from IBKR as they happen, over the real client library, whatever becomes of the connection."""

from __future__ import annotations

import itertools
import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import backtrader as bt
import pytest

import feeds
from core.errors import ProviderError, UnknownNameError
from feeds.live.ibkr import IBKRStreams, IBKRStreamSettings
from feeds.source import Feed
from tests.integration.live_bars import MINUTE, Taker, Watcher, market_time, minutes, passing_time
from tests.simulator import Simulator, simulator

SYMBOL, OTHER = "ABC", "DEF"
_clients, _others = itertools.count(300), itertools.count(100)


@pytest.fixture(scope="module")
def gateway() -> Iterator[Simulator]:
    with simulator("tws", "--symbols", f"{SYMBOL},{OTHER}") as running:
        yield running


@pytest.fixture
def market(gateway: Simulator) -> Iterator[Simulator]:
    """Some minutes of history, and no fault."""
    gateway.control.clear()
    minutes(gateway, SYMBOL, 5)
    yield gateway
    gateway.control.clear()


def minutes_of_both(market: Simulator, count: int) -> None:
    for _ in range(count):
        market.control.price(OTHER, next(_others))
        minutes(market, SYMBOL, 1)


def settings(gateway: Simulator) -> IBKRStreamSettings:
    return IBKRStreamSettings(
        gateway.host, gateway.port, client_id=next(_clients), answer=1.5, silence_seconds=0.6
    )


@pytest.fixture
def taker(market: Simulator) -> Iterator[Taker]:
    streams = IBKRStreams(settings(market))
    source = streams.source(SYMBOL, "1m", market_time(market) - 3 * MINUTE)
    source.start()
    try:
        taken = Taker(source)
        taken.until(lambda: Feed.LIVE in taken.feeds)
        taken.check(3)
        yield taken
    finally:
        streams.close()


def test_history_and_stream_are_one(market: Simulator, taker: Taker) -> None:
    """D11"""
    for count in range(4, 8):
        minutes(market, SYMBOL, 1)
        taker.until(lambda wanted=count: len(taker.bars) == wanted)
    taker.check(7)
    assert taker.feeds == [Feed.LIVE]
    assert taker.bars[-1].time == market_time(market)


@pytest.mark.parametrize(
    "breaking",
    [
        lambda gateway: gateway.control.fault("disconnect"),
        lambda gateway: gateway.control.fault("half-open"),
        lambda gateway: gateway.control.restart(0.3),
        lambda gateway: gateway.control.fault("message", code=1100),
        lambda gateway: gateway.control.fault("message", code=1101),
    ],
    ids=["disconnect", "half-open", "restart", "1100", "1101"],
)
def test_what_closed_while_the_connection_was_gone_comes_later(
    market: Simulator, taker: Taker, breaking: Callable[[Simulator], None]
) -> None:
    breaking(market)
    minutes(market, SYMBOL, 3)
    market.control.fault("message", code=1102)
    taker.until(lambda: len(taker.bars) >= 6)
    minutes(market, SYMBOL, 1)
    taker.until(lambda: len(taker.bars) == 7 and taker.feeds[-1] is Feed.LIVE)
    taker.check(7)


@pytest.mark.parametrize("fault", ["disconnect", "half-open"])
def test_several_symbols_share_a_connection_and_its_loss(market: Simulator, fault: str) -> None:
    minutes_of_both(market, 3)
    streams = IBKRStreams(settings(market))
    since = market_time(market) - 3 * MINUTE
    takers = [Taker(streams.source(symbol, "1m", since)) for symbol in (SYMBOL, OTHER)]
    try:
        for taker in takers:
            taker.source.start()
        for taker in takers:
            taker.until(lambda taker=taker: Feed.LIVE in taker.feeds)
        market.control.fault(fault)
        minutes_of_both(market, 3)
        for taker in takers:
            taker.until(lambda taker=taker: len(taker.bars) == 6 and taker.feeds[-1] is Feed.LIVE)
        market.control.clear()
        minutes_of_both(market, 1)
        for taker in takers:
            taker.until(lambda taker=taker: len(taker.bars) == 7)
            taker.check(7)
    finally:
        streams.close()


def test_symbols_that_begin_at_once_do_not_wait_for_each_other_in_vain(market: Simulator) -> None:
    """Of two questions for the time, the library answers one."""
    minutes_of_both(market, 3)
    streams = IBKRStreams(settings(market))
    try:
        takers = [
            Taker(streams.source(name, "1m", market_time(market) - 2 * MINUTE)) for name in (SYMBOL, OTHER)
        ]
        for taken in takers:
            taken.source.start()
        for taken in takers:
            taken.until(lambda told=taken.feeds: bool(told))
            assert taken.feeds == [Feed.LIVE]
    finally:
        streams.close()


@pytest.mark.parametrize("passed", [0, 1])
def test_history_that_is_refused_is_asked_for_again(
    market: Simulator, request: pytest.FixtureRequest, passed: int
) -> None:
    market.control.fault(
        "reject",
        match="reqHistoricalData",
        after=passed,
        code=162,
        text="Historical data request pacing violation",
    )
    request.getfixturevalue("taker").check(3)


@pytest.mark.parametrize(("fault", "times"), [("lose", 60), ("duplicate", 60), ("reorder", 3), ("mute", 1)])
def test_messages_that_are_lost_doubled_or_late_change_nothing(
    market: Simulator, taker: Taker, fault: str, times: int
) -> None:
    market.control.fault(
        fault, match="historicalDataUpdate", times=times, seconds=1.0 if fault == "mute" else 0
    )
    taker.take_through(lambda count: minutes(market, SYMBOL, count), market.control.clear)


def test_what_cannot_be_watched_is_said(market: Simulator) -> None:
    streams = IBKRStreams(settings(market))
    try:
        for symbol, interval, error in (
            ("XYZ", "1m", ProviderError),
            (SYMBOL, "7m", UnknownNameError),
        ):
            source = streams.source(symbol, interval, market_time(market))
            source.start()
            with pytest.raises(error, match=r"'XYZ' means no contracts|IBKR interval"):
                Taker(source).until(lambda: False)
    finally:
        streams.close()


def test_no_gateway_at_the_start_is_said_with_the_way_out() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    streams = IBKRStreams(IBKRStreamSettings(port=port, answer=1.0))
    try:
        source = streams.source(SYMBOL, "1m", datetime.now(UTC))
        source.start()
        with pytest.raises(ProviderError, match=f"no TWS or IB Gateway answers at 127.0.0.1:{port}"):
            Taker(source).until(lambda: False)
    finally:
        streams.close()


def test_a_plain_script_gets_its_bars(market: Simulator) -> None:
    """D11, B29: stock Cerebro, our data."""
    cerebro = bt.Cerebro()
    start = market_time(market)
    data = feeds.IBKRData(
        dataname=SYMBOL,
        timeframe=bt.TimeFrame.Minutes,
        compression=1,
        fromdate=start - 4 * MINUTE,
        settings=settings(market),
    )
    cerebro.adddata(data)
    cerebro.addstrategy(Watcher)
    with passing_time(market, SYMBOL):
        (watcher,) = cerebro.run()
    assert watcher.states[:2] == ["DELAYED", "LIVE"]
    assert watcher.times[0] == start - 3 * MINUTE
    assert len(watcher.times) >= 4 + 3
    assert all(later - one == MINUTE for one, later in itertools.pairwise(watcher.times))
