"""Quotes, bars and history, and the streams of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from brokers.simulators.market import BarBuilder, MarketBar, Tick, floor_time, resampled
from brokers.simulators.simulation import Simulation
from brokers.simulators.tws.codec import Fields, Malformed, Value, stamp
from brokers.simulators.tws.contracts import Directory, Stock, read_contract
from brokers.simulators.tws.desk import read_duration, read_time
from brokers.simulators.tws.session import Handler, Session

SECONDS = timedelta(seconds=5)
NEW_YORK = ZoneInfo("America/New_York")
BID, ASK, LAST = 1, 2, 4
SIZES = {BID: 0, ASK: 3, LAST: 5}
LIVE = 1
CONFLATION_SECONDS = 0.05
NO_DEFINITION = "No security definition has been found for the request"
_UNITS = {
    "sec": timedelta(seconds=1),
    "secs": timedelta(seconds=1),
    "min": timedelta(minutes=1),
    "mins": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "hours": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(weeks=1),
}
Key = tuple[Session, int]


@dataclass(slots=True)
class Series:
    """A stream of bars.

    told: the start of the newest bar told. epoch: times are seconds since 1970. regular: only of the regular trading
    hours.
    """

    stock: Stock
    period: timedelta
    told: datetime
    epoch: bool = True
    regular: bool = False


class MarketData:
    """What the market does, to whoever asked; as IBKR's own, quotes are not told tick by tick.

    paused: nothing is told until it ends.
    """

    def __init__(self, simulation: Simulation, directory: Directory) -> None:
        self.paused = False
        self._simulation = simulation
        self._directory = directory
        self._fine = BarBuilder(SECONDS)
        self._quotes: dict[Key, Stock] = {}
        self._histories: dict[Key, Series] = {}
        self._real_time: dict[Key, Series] = {}
        self._moved: set[str] = set()
        self._soon: asyncio.TimerHandle | None = None

    def handlers(self) -> dict[int, Handler]:
        """What is answered here, by the number of the request."""
        return {
            1: lambda session, fields: self._asked(session, fields, self._quotes_wanted),
            2: lambda session, fields: self._end(self._quotes, session, fields),
            20: self._history_wanted,
            25: lambda session, fields: self._end(self._histories, session, fields),
            50: lambda session, fields: self._asked(session, fields, self._real_time_wanted),
            51: lambda session, fields: self._end(self._real_time, session, fields),
            59: lambda session, fields: None,
        }

    def forget(self, session: Session) -> None:
        """The session has ended."""
        for streams in (self._quotes, self._histories, self._real_time):
            for key in [key for key in streams if key[0] is session]:
                del streams[key]

    def forget_all(self) -> None:
        """The streams of every session are lost."""
        for streams in (self._quotes, self._histories, self._real_time):
            streams.clear()

    def on_tick(self, tick: Tick | None, changed: Sequence[MarketBar]) -> None:
        """The market has moved, or (without a tick) the clock alone; who listens is told a little later."""
        if tick is None:
            self._fine.close_until(self._simulation.clock.now())
            self._moved |= {bar.symbol for bar in changed}
        else:
            self._fine.add(tick)
            self._moved.add(tick.symbol)
        if self._soon is None:
            self._soon = asyncio.get_running_loop().call_later(CONFLATION_SECONDS, self.flush)

    def flush(self) -> None:
        """Tell what has moved: the last quote, and every bar that was closed meanwhile."""
        if self._soon is not None:
            self._soon.cancel()
            self._soon = None
        if self.paused or not self._moved:
            return
        moved, self._moved = self._moved, set()
        for (session, request), stock in self._quotes.items():
            tick = self._simulation.exchange.books.tick(stock.symbol)
            if stock.symbol in moved and tick is not None:
                _push_quote(session, request, tick)
        for (session, request), series in self._histories.items():
            if series.stock.symbol in moved:
                for bar in self._news(series):
                    session.push(90, request, *_updated_bar(bar, series))
        for (session, request), series in self._real_time.items():
            if series.stock.symbol in moved:
                for bar in self._news(series)[:-1]:
                    session.push(50, 3, request, int(bar.start.timestamp()), *_figures(bar), bar.trades)

    # -- requests

    def _asked(
        self, session: Session, fields: Fields, answer: Callable[[Session, int, Stock, Fields], None]
    ) -> None:
        """Read version, request and contract, and answer when the contract is known."""
        fields.skip(1)
        request, wanted = fields.integer(), read_contract(fields)
        found = self._directory.find(wanted)
        if found:
            answer(session, request, found[0], fields)
        else:
            session.error(request, 200, NO_DEFINITION)

    def _end(self, streams: dict[Key, Any], session: Session, fields: Fields) -> None:
        fields.skip(1)
        request = fields.integer()
        if streams.pop((session, request), None) is None:
            session.error(request, 300, f"Can't find EId with tickerId:{request}")

    def _quotes_wanted(self, session: Session, request: int, stock: Stock, fields: Fields) -> None:
        if fields.flag():
            session.error(request, 321, "Error validating request: no delta neutral contracts")
            return
        fields.skip(1)
        snapshot = fields.flag()
        session.send(81, request, stock.min_tick, "9c0001", 3)
        session.send(58, 1, request, LIVE)
        tick = self._simulation.exchange.books.tick(stock.symbol)
        if tick is not None:
            _push_quote(session, request, tick)
        if snapshot:
            session.send(57, 1, request)
        else:
            self._quotes[session, request] = stock

    def _real_time_wanted(self, session: Session, request: int, stock: Stock, fields: Fields) -> None:
        self._real_time[session, request] = Series(stock, SECONDS, self._now_of(SECONDS))

    def _history_wanted(self, session: Session, fields: Fields) -> None:
        request, wanted = fields.integer(), read_contract(fields)
        fields.skip(1)
        end, size, duration = fields.text(), fields.text(), fields.text()
        regular = fields.flag()
        fields.skip(1)
        epoch, keep = fields.integer() == 2, fields.flag()
        found = self._directory.find(wanted)
        if not found:
            session.error(request, 200, NO_DEFINITION)
            return
        try:
            period, span = _period(size), read_duration(duration)
            until = read_time(end) if end else self._simulation.clock.now()
        except Malformed as error:
            session.error(request, 321, f"Error validating request: {error}")
            return
        series = Series(found[0], period, floor_time(until - span, period), epoch, regular)
        bars = [bar for bar in self._bars(series) if bar.start < until or not end]
        if not bars:
            text = "Historical Market Data Service error message:HMDS query returned no data"
            session.error(request, 162, text)
            return
        told = [value for bar in bars for value in (_time(bar, series), *_figures(bar), bar.trades)]
        session.send(17, request, stamp(series.told), stamp(until), len(bars), *told)
        if keep:
            series.told = bars[-1].start
            self._histories[session, request] = series

    # -- bars

    def _now_of(self, period: timedelta) -> datetime:
        return floor_time(self._simulation.clock.now(), period)

    def _news(self, series: Series) -> list[MarketBar]:
        """The bars from the newest that was told on; the last still grows."""
        bars = self._bars(series)
        if bars:
            series.told = bars[-1].start
        return bars

    def _bars(self, series: Series) -> list[MarketBar]:
        """The bars from `told` on, out of the finest that are kept."""
        source = self._simulation.bars if series.period >= self._simulation.bars.period else self._fine
        found = source.since(series.stock.symbol, series.told)
        return resampled(self._of_regular_hours(found) if series.regular else found, series.period)

    def _of_regular_hours(self, bars: Sequence[MarketBar]) -> Sequence[MarketBar]:
        if self._simulation.hours is None:
            return bars
        begin, end = self._simulation.hours
        return [bar for bar in bars if begin <= bar.start.astimezone(NEW_YORK).time() < end]


def _period(text: str) -> timedelta:
    """`5 secs`, `1 min`, `1 hour`, `1 day` and their multiples."""
    amount, _, unit = text.strip().partition(" ")
    if not amount.isdigit() or unit not in _UNITS:
        raise Malformed(f"{text!r} is no bar size")
    period = int(amount) * _UNITS[unit]
    if period < SECONDS or period % SECONDS:
        raise Malformed(f"the simulated gateway has no bars of {text}")
    return period


def _time(bar: MarketBar, series: Series) -> Value:
    if series.period >= timedelta(days=1):
        return f"{bar.start:%Y%m%d}"
    return int(bar.start.timestamp()) if series.epoch else stamp(bar.start)


def _average(bar: MarketBar) -> Decimal:
    return bar.value / bar.volume if bar.volume else bar.close


def _figures(bar: MarketBar) -> tuple[Value, ...]:
    """Open, high, low, close, volume, average."""
    return bar.open, bar.high, bar.low, bar.close, bar.volume, _average(bar)


def _updated_bar(bar: MarketBar, series: Series) -> tuple[Value, ...]:
    """As historicalDataUpdate carries it: in an order of its own."""
    start = _time(bar, series)
    return bar.trades, start, bar.open, bar.close, bar.high, bar.low, _average(bar), bar.volume


def _push_quote(session: Session, request: int, tick: Tick) -> None:
    for kind, price in ((BID, tick.bid), (ASK, tick.ask), (LAST, tick.last)):
        session.push(1, 6, request, kind, price, tick.volume, 0)
        session.push(2, 6, request, SIZES[kind], tick.volume)
