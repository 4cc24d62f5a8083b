"""Bars of three simulated Binances merged into one a minute, over the real client library: one lies, one goes silent."""

from __future__ import annotations

import itertools
import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import backtrader as bt
import pytest

import feeds
import store
from feeds.live.binance import BinanceStreams, StreamSettings
from feeds.live.ccxt import CcxtStreams, CcxtStreamSettings
from feeds.merge import MergedBars
from feeds.source import Feed
from tests.integration.live_bars import MINUTE, SECONDS, Taker, Watcher, market_time
from tests.integration.test_live_venues import ROUND_TRIPS, decisions
from tests.simulator import Simulator, simulator

SYMBOL, NATIVE = "ABC/USDT", "ABCUSDT"
NAMES = ("first", "second", "third")


class Exchanges:
    """Three of the same market, whose clocks go together; who lies says another price, who is silent comes later."""

    def __init__(self, sims: dict[str, Simulator]) -> None:
        self.sims = sims
        self.prices = itertools.count(1000)
        self.liar = self.silent = ""
        self.lie = 1.5
        self.unsaid: list[float] = []

    def minutes(self, count: int) -> None:
        for _ in range(count):
            price = next(self.prices)
            for name in self.sims:
                if name == self.silent:
                    self.unsaid.append(price)
                else:
                    self._minute(name, price * self.lie if name == self.liar else price)

    def return_(self) -> None:
        """Who was silent says what it has not said."""
        for price in self.unsaid:
            self._minute(self.silent, price)
        self.silent, self.unsaid = "", []

    def _minute(self, name: str, price: float) -> None:
        self.sims[name].control.price(NATIVE, price, volume=100)
        self.sims[name].control.advance(60)

    def address(self, name: str) -> str:
        return f"http://{self.sims[name].host}:{self.sims[name].port}/api/v3"

    def settings(self, name: str) -> StreamSettings:
        where = f"{self.sims[name].host}:{self.sims[name].port}"
        return StreamSettings(self.address(name), f"ws://{where}/ws", 2.0, 5.0, 0.6)

    def asked(self, name: str) -> CcxtStreamSettings:
        return CcxtStreamSettings("binance", self.address(name), 2.0, 0.0, 0.2, 0.2)


@pytest.fixture(scope="module")
def three() -> Iterator[Exchanges]:
    with ExitStack() as stack:
        yield Exchanges(
            {name: stack.enter_context(simulator("binance", "--symbols", SYMBOL)) for name in NAMES}
        )


@pytest.fixture
def exchanges(three: Exchanges) -> Exchanges:
    """Some minutes of history, and no fault."""
    for sim in three.sims.values():
        sim.control.clear()
    three.liar, three.lie = "", 1.5
    three.minutes(5)
    return three


@pytest.fixture
def taker(exchanges: Exchanges) -> Iterator[Taker]:
    since = market_time(exchanges.sims["first"]) - 3 * MINUTE
    with ExitStack() as stack:
        sources = {}
        for name in NAMES:
            streams = BinanceStreams(exchanges.settings(name))
            stack.callback(streams.close)
            sources[name] = streams.source(SYMBOL, "1m", since)
        merged = MergedBars(SYMBOL, sources, step=MINUTE, grace=1.0)
        merged.start()
        taken = Taker(merged)
        taken.until(lambda: Feed.LIVE in taken.feeds)
        taken.check(3)
        yield taken


def said(caplog: pytest.LogCaptureFixture, event: str, source: str) -> int:
    return sum(event in line and f"'{source}'" in line for line in caplog.text.splitlines())


def test_one_lies_one_goes_silent_and_returns_and_no_bar_is_missing_or_twice(
    exchanges: Exchanges, taker: Taker, caplog: pytest.LogCaptureFixture
) -> None:
    """D16"""
    exchanges.liar = "second"
    exchanges.minutes(2)
    taker.until(lambda: len(taker.bars) == 5)
    exchanges.liar = ""
    exchanges.minutes(1)
    taker.until(lambda: len(taker.bars) == 6)
    taker.check(6)
    assert said(caplog, "merge.left_out", "second") == 1
    assert said(caplog, "merge.counts_again", "second") == 1
    exchanges.silent = "third"
    for bars in (7, 8):
        exchanges.minutes(1)
        taker.until(lambda bars=bars: len(taker.bars) == bars)  # type: ignore[misc]
    assert said(caplog, "merge.left_out", "third") == 1
    exchanges.return_()
    exchanges.minutes(1)
    taker.until(lambda: len(taker.bars) == 9)
    exchanges.minutes(1)
    taker.until(lambda: len(taker.bars) == 10)
    taker.check(10)
    assert said(caplog, "merge.counts_again", "third") == 1
    assert taker.feeds == [Feed.LIVE], "two of three are a quorum"


def test_without_a_quorum_bars_are_not_live_and_come_when_enough_are_back(
    exchanges: Exchanges, taker: Taker
) -> None:
    away = [exchanges.sims[name].control for name in ("second", "third")]
    for control in away:
        control.fault("refuse", seconds=600)
        control.fault("disconnect")
    taker.until(lambda: taker.feeds[-1] is Feed.DISCONNECTED)
    exchanges.minutes(3)
    for control in away:
        control.clear()
    taker.until(lambda: taker.feeds[-1] is Feed.LIVE and len(taker.bars) == 6)
    taker.check(6)


def test_a_plain_script_that_starts_again_is_shown_the_bars_it_saw(
    exchanges: Exchanges, tmp_path: Path
) -> None:
    """D16: stock Cerebro; the second life has a source less, and is shown what was merged before."""

    class Keeper(Watcher):
        def __init__(self) -> None:
            super().__init__()
            self.closes: list[float] = []

        def notify_data(self, data: Any, status: int, *args: object, **kwargs: object) -> None:
            super().notify_data(data, status)
            if status == data.LIVE:
                exchanges.minutes(1)

        def next(self) -> None:
            self.closes.append(self.data.close[0])
            super().next()
            if self.states[-1] == "LIVE":
                exchanges.minutes(1)

    exchanges.liar, exchanges.lie = "third", 1.004
    exchanges.minutes(5)
    start = market_time(exchanges.sims["first"])

    def life(names: tuple[str, ...], live_bars: int) -> Keeper:
        cerebro = bt.Cerebro()
        data = feeds.MergedData(
            dataname=SYMBOL,
            timeframe=bt.TimeFrame.Minutes,
            sources=[feeds.VenueStream(name, "binance", "", exchanges.settings(name)) for name in names],
            fromdate=start - 4 * MINUTE,
            grace=1.0,
            tolerance=0.01,
            remember=tmp_path / "bars.json",
        )
        cerebro.adddata(data)
        cerebro.addstrategy(Keeper, live_bars=live_bars)
        keeper: Keeper = cerebro.run()[0]
        return keeper

    first = life(NAMES, 2)
    assert first.states == ["DELAYED", "LIVE"]
    assert first.times[0] == start - 3 * MINUTE
    second = life(("first", "second"), 5)
    assert not first.closes[0].is_integer(), "the third counts"
    assert second.closes[-1].is_integer(), "and is gone"
    assert second.closes[: len(first.closes)] == first.closes
    assert second.times[: len(first.times)] == first.times
    assert len(second.times) > len(first.times)
    assert all(later - one == MINUTE for one, later in itertools.pairwise(second.times))


def test_an_exchange_that_is_asked_is_away_refuses_and_comes_back(exchanges: Exchanges) -> None:
    """D16: ccxt's own requests, for an exchange without a stream; each bar once."""
    second = exchanges.sims["second"].control
    streams = CcxtStreams(exchanges.asked("second"))
    source = streams.source(SYMBOL, "1m", market_time(exchanges.sims["second"]) - 3 * MINUTE)
    source.start()
    try:
        taken = Taker(source)
        taken.until(lambda: Feed.LIVE in taken.feeds)
        taken.check(3)
        for fault in ("drop-before-accept", "reject"):
            bars = len(taken.bars)
            second.fault(fault, match="GET /api/v3/klines", code=-1000, times=1000)
            taken.until(lambda: taken.feeds[-1] is Feed.DISCONNECTED)
            exchanges.minutes(2)
            second.clear()
            taken.until(lambda bars=bars: taken.feeds[-1] is Feed.LIVE and len(taken.bars) == bars + 2)  # type: ignore[misc]
        taken.check(7)
    finally:
        streams.close()


class Session:
    """`live.run` at the first of the exchanges, its bars merged with the others'; the market moves while it is waited for."""

    def __init__(self, exchanges: Exchanges, folder: Path) -> None:
        self.exchanges, self.folder = exchanges, folder
        addresses = exchanges.sims["first"].variables("binance")
        (folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in addresses.items()))
        (folder / "s.py").write_text(ROUND_TRIPS)
        self.merge = ",".join(f"{name}={exchanges.address(name)}" for name in ("second", "third"))

    @property
    def run(self) -> Path | None:
        return next((path.parent for path in self.folder.glob("runs/*/log.jsonl")), None)

    def bars(self) -> list[str]:
        """What was merged, a line a bar."""
        file = self.run / "bars-0.json.merged.txt" if self.run else self.folder / "none"
        return file.read_text().splitlines() if file.exists() else []

    def said(self, **wanted: str) -> int:
        lines = (self.run / "log.jsonl").read_text().splitlines() if self.run else []
        return sum(wanted.items() <= json.loads(line).items() for line in lines if line.endswith("}"))

    def until(self, done: Callable[[], bool], *, moving: bool = True) -> None:
        end = time.monotonic() + 6 * SECONDS
        while not done():
            assert time.monotonic() < end, self.bars()[-3:]
            self.exchanges.minutes(int(moving))
            time.sleep(0.2)

    @contextmanager
    def going_live(self) -> Iterator[None]:
        """What is started in the block is waited for while the market stands."""
        before = self.said(event="feed.state", state="live")
        yield
        self.until(lambda: self.said(event="feed.state", state="live") > before, moving=False)

    def more_bars(self, count: int) -> None:
        before = len(self.bars())
        self.until(lambda: len(self.bars()) >= before + count)


def test_a_session_trades_on_merged_bars_and_is_shown_them_again_after_it_was_killed(
    exchanges: Exchanges, spawned: Any, forked: Any, tmp_path: Path
) -> None:
    """D16, D17: by configuration alone; one lies, one is silent, the traded one lies; no order twice."""
    session = Session(exchanges, tmp_path)
    at = ("--broker", "binance", "--symbols", SYMBOL, "--merge", session.merge, "--cash", "5000")
    since = ("--since", market_time(exchanges.sims["first"]).isoformat())
    given = (*at, *since, "--set", "live.merge.grace=1", "--param", "size=0.1")
    with session.going_live():
        first = spawned(tmp_path, "-m", "live.run", "s.py:RoundTrips", *given)
    session.until(lambda: session.said(event="order.event", status="filled") >= 2)
    exchanges.liar = "second"
    session.until(lambda: session.said(event="merge.left_out", source="second") == 1)
    session.more_bars(2)
    exchanges.silent = "third"
    session.until(lambda: session.said(event="feed.state", state="disconnected") == 1)
    exchanges.return_()
    exchanges.liar = ""
    session.until(lambda: session.said(event="merge.counts_again") >= 2)
    exchanges.liar = "first"
    session.until(lambda: session.said(event="merge.left_out", source="binance") == 1)
    session.more_bars(7)
    exchanges.liar = ""
    session.until(lambda: session.said(event="merge.counts_again", source="binance") == 1)
    session.more_bars(3)
    os.kill(first.pid, signal.SIGKILL)
    first.wait(SECONDS)
    assert session.run is not None
    shown, before = session.bars(), decisions(tmp_path, session.run.name)
    sent = [order["client_id"] for order in exchanges.sims["first"].orders()]
    again = ("s.py:RoundTrips", "--resume", "--bars", "5", "--set", "live.on_stop=flatten", "--json")
    with ThreadPoolExecutor() as pool:
        with session.going_live():
            second = pool.submit(forked, tmp_path, *again)
        session.until(second.done)
    assert second.result().code == 0, second.result().stderr
    assert session.bars()[: len(shown)] == shown
    assert len(session.bars()) > len(shown)
    ids = [order["client_id"] for order in exchanges.sims["first"].orders()]
    assert ids[: len(sent)] == sent
    assert Counter(ids).most_common(1)[0][1] == 1
    after = decisions(tmp_path, session.run.name)
    assert after[0][: len(before[0])] == before[0]
    assert json.loads(second.result().stdout)["left"] == {"held": {}, "resting": 0}
    with store.open_store(f"sqlite:///{tmp_path}/runs/tradewright.db") as database:
        told = [item.event for item in database.journal(session.run.name).events()]
    assert any(
        "binance is out of the consensus: +50.00% from the median" in (event.reason or "") for event in told
    )
