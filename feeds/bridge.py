"""A Backtrader data over any source of bars that arrive one by one.

Usable in a plain script: `cerebro.adddata(LiveData(source=Replay("GOOG", frame)))`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import backtrader as bt

from core.connect import exchange_names, is_exchange
from core.errors import ConfigError, UnknownNameError
from core.types import Bar
from feeds.live.binance import BinanceStreams, StreamSettings
from feeds.live.ccxt import CcxtStreams, CcxtStreamSettings
from feeds.live.ibkr import IBKRStreams, IBKRStreamSettings
from feeds.live.streams import Streams, release, shared
from feeds.live.yahoo import YahooStreams, YahooStreamSettings
from feeds.merge import GRACE_SECONDS, MergedBars, kept_until
from feeds.remembered import Remembered
from feeds.source import BarSource, Feed
from feeds.together import Together

STATES = {
    Feed.DELAYED: bt.feed.DataBase.DELAYED,
    Feed.LIVE: bt.feed.DataBase.LIVE,
    Feed.DISCONNECTED: bt.feed.DataBase.DISCONNECTED,
}


class LiveData(bt.feed.DataBase):
    """Bars from `source`, as they come; turns Backtrader's preload and runonce off.

    qcheck: seconds to wait for a bar under a broker that does not wait for news itself, as ours do. on_state: called
    with the data's name and every new state of the source; on_bar: with its name before each bar is handed out.
    """

    _feed = Feed.LIVE
    _stopped = False
    _together: Together | None = None
    ahead: Bar | None = None
    _loading: Bar | None = None
    heard = False
    _busy: Callable[[], bool] = staticmethod(lambda: False)

    params: Any = (("source", None), ("qcheck", 0.2), ("on_state", None), ("on_bar", None))

    def islive(self) -> bool:
        """True: Backtrader must take bars one at a time."""
        return True

    def start(self) -> None:
        """Begin to listen, and tell the strategy what comes now."""
        super().start()
        self.p.source.start()
        self._change(self.p.source.feed)

    def stop(self) -> None:
        """Listen no more."""
        self._stopped = True
        self.p.source.stop()
        super().stop()

    def end(self) -> None:
        """Stop, unless Backtrader has done so: it does not when a run fails."""
        if not self._stopped:
            self.stop()

    def wait_for(self, wake: Callable[[], None], busy: Callable[[], bool]) -> None:
        """A broker waits for bars, and is woken by `wake`; while it is `busy` with something else none comes."""
        self.p.source.on_news = wake
        self._busy = busy

    def join(self, together: Together) -> None:
        """Hand bars over with those of other datas that belong to the same moment; before the run."""
        self._together = together
        together.join(self)

    def look_ahead(self) -> None:
        """Take the next bar in, if it has come; the strategy is told of changes of state before it."""
        if self.ahead is None:
            self.ahead = self._take()

    def next(self, datamaster: Any = None, ticks: bool = True) -> Any:
        """As Backtrader asks; datas that keep together are asked once a round, not again to fill up one of another's."""
        if self._together is not None and datamaster is not None:
            return False
        return super().next(datamaster=datamaster, ticks=ticks)

    @property
    def live(self) -> bool:
        """Whether its last bar came as it closed, not from history."""
        return self._feed is Feed.LIVE

    @property
    def ended(self) -> bool:
        """Whether the source has no more bars."""
        return bool(self.p.source.ended) and self.ahead is None

    @property
    def known_bars(self) -> int | None:
        """How many bars there will be, where the source knows."""
        return getattr(self.p.source, "known_bars", None)

    def seconds_to_next(self) -> float:
        """How long until the source may have a bar."""
        if self._together is not None and self.ahead is not None:
            return self._together.seconds_to_next()
        return float(self.p.source.seconds_to_next())

    def get_notifications(self) -> Any:
        """As Backtrader's, which is asked twice a round and mostly has none."""
        return super().get_notifications() if self.notifs else ()

    def load(self) -> Any:
        """As Backtrader's, which moves each line forth and back to find that no bar has come."""
        if not self._barstack and not self._barstash:
            self._loading = self._next_bar()
            if self._loading is None:
                return self._without_bar()
        return super().load()

    def _without_bar(self) -> bool | None:
        """False at the end of all bars, None where another may come."""
        return False if self.ended and not self._busy() else None

    def _load(self) -> bool | None:
        bar, self._loading = self._loading or self._next_bar(), None
        if bar is None:
            return self._without_bar()
        self.lines.datetime[0] = bt.date2num(_naive(bar.time))
        self.lines.open[0] = bar.open
        self.lines.high[0] = bar.high
        self.lines.low[0] = bar.low
        self.lines.close[0] = bar.close
        self.lines.volume[0] = bar.volume
        return True

    def _next_bar(self) -> Bar | None:
        """The next bar; the strategy is told of changes of state before it."""
        if self._together is not None:
            told = self.ahead if self._together.may_hand_out(self, self._busy) else None
            self.ahead = self.ahead if told is None else None
        else:
            told = None if self._busy() else self._take()
        if told is not None:
            self._begin_bar()
            if self.p.on_bar is not None:
                self.p.on_bar(self._name)
        return told

    def _take(self) -> Bar | None:
        source: BarSource = self.p.source
        told = source.next()
        if told is None and not source.ended:
            source.wait(self.p.qcheck)
            told = source.next()
        while isinstance(told, Feed):
            self._change(told)
            told = source.next()
        return told

    def _change(self, state: Feed) -> None:
        self._note(state)
        self.put_notification(STATES[state])

    def _note(self, state: Feed) -> None:
        self._feed = state
        self.heard = self.heard or state is Feed.LIVE
        if self.p.on_state is not None:
            self.p.on_state(self._name, state)

    def _begin_bar(self) -> None:
        """One more bar is handed out."""


class _VenueData(LiveData):
    """Bars of a venue, by Backtrader's own parameters.

    fromdate: the first bar wanted; without it, `backfill` bars before now. remember: a file in which that and every
    change of state are kept, so that a script that starts again is shown what it was shown before.
    """

    params: Any = (("backfill", 500), ("remember", None), ("settings", None))
    streams: tuple[type[Streams], Callable[[], Any]]

    def __init__(self) -> None:
        super().__init__()
        step = _length(self.p.timeframe, self.p.compression)
        first: datetime = self.p.fromdate or datetime.now(UTC) - (self.p.backfill + 1) * step
        self.p.fromdate, self._bars = None, 0
        self._remembered = Remembered(
            Path(self.p.remember) if self.p.remember else None,
            first if first.tzinfo else first.replace(tzinfo=UTC),
        )
        self._streams: list[Streams] = []
        self.p.source = self._source(step)
        if not self.p.name:
            self._name = self.p.name = self.p.dataname

    def _source(self, step: timedelta) -> BarSource:
        kind, defaults = self.streams
        return self._stream(kind, self.p.settings or defaults(), self.p.dataname, step)

    def _stream(
        self,
        kind: type[Streams],
        settings: Any,
        symbol: str,
        step: timedelta,
        since: datetime | None = None,
    ) -> BarSource:
        streams = shared(kind, settings)
        self._streams.append(streams)
        return streams.source(symbol, _interval(step), since or self._remembered.since)

    def _change(self, state: Feed) -> None:
        self._note(state)
        if self._remembered.note(self._bars, state):
            self.put_notification(STATES[state])

    def _begin_bar(self) -> None:
        for state in self._remembered.changes_before(self._bars):
            self.put_notification(STATES[state])
        self._bars += 1

    def stop(self) -> None:
        """Listen no more; the last that stops ends the connection."""
        super().stop()
        while self._streams:
            release(self._streams.pop())


class BinanceData(_VenueData):
    """Binance's bars for a plain script: history first (DELAYED), then as they close (LIVE), stamped at their close.

    cerebro.adddata(feeds.BinanceData(dataname="BTC/USDT", timeframe=bt.TimeFrame.Minutes, compression=5))

    settings: a `feeds.live.binance.StreamSettings`.
    """

    streams = (BinanceStreams, StreamSettings)


class IBKRData(_VenueData):
    """IBKR's bars for a plain script, over TWS or IB Gateway: history, then as they close, stamped at their close.

    cerebro.adddata(feeds.IBKRData(dataname="AAPL", timeframe=bt.TimeFrame.Minutes, compression=1))

    settings: a `feeds.live.ibkr.IBKRStreamSettings`, with a client id that no broker uses.
    """

    streams = (IBKRStreams, IBKRStreamSettings)


class YahooData(_VenueData):
    """Yahoo's bars for a plain script: history, then each when it is over and Yahoo, asked every so often, has it.

    cerebro.adddata(feeds.YahooData(dataname="AAPL", timeframe=bt.TimeFrame.Minutes, compression=1))

    settings: a `feeds.live.yahoo.YahooStreamSettings`.
    """

    streams = (YahooStreams, YahooStreamSettings)


@dataclass(frozen=True, slots=True)
class VenueStream:
    """One of the sources of a `MergedData`.

    name: what it is called where it is left out. venue: binance, ibkr, yahoo or an exchange that ccxt knows; without
    it, `name`. symbol: what the venue calls it, where that is not the data's name. settings: of the venue's stream, as
    for its own data; a `feeds.live.ccxt.CcxtStreamSettings` for an exchange of ccxt.
    """

    name: str
    venue: str = ""
    symbol: str = ""
    settings: Any = None


class MergedData(_VenueData):
    """Bars of one instrument at several venues, merged into one a period, for a plain script.

    here, there = feeds.VenueStream("binance"), feeds.VenueStream("kraken")
    cerebro.adddata(feeds.MergedData(dataname="BTC/USDT", timeframe=bt.TimeFrame.Minutes, sources=[here, there]))

    quorum: sources that must agree; fewer give no bar, and the data is disconnected. tolerance: the fraction of the
    median close by which one may differ. grace: seconds the first closed bar waits for the others. remember: merged
    bars are kept beside this file, and shown again as they were.
    """

    params: Any = (("sources", ()), ("quorum", 2), ("tolerance", 0.005), ("grace", GRACE_SECONDS))

    def _source(self, step: timedelta) -> BarSource:
        sources: Sequence[VenueStream] = self.p.sources
        names = [each.name for each in sources]
        if len(set(names)) < len(names):
            raise ConfigError(f"two sources have the same name: {', '.join(names)}", hint="name each its own")
        kept = Path(f"{self.p.remember}.merged.txt") if self.p.remember else None
        until = kept_until(kept) if kept is not None else None
        return MergedBars(
            self.p.dataname,
            {each.name: self._stream_of(each, step, until) for each in sources},
            step=step,
            quorum=self.p.quorum,
            tolerance=self.p.tolerance,
            grace=self.p.grace,
            keep=kept,
        )

    def _stream_of(self, wanted: VenueStream, step: timedelta, since: datetime | None) -> BarSource:
        kinds = {"binance": BinanceData, "ibkr": IBKRData, "yahoo": YahooData}
        venue, settings = wanted.venue or wanted.name, wanted.settings
        if venue not in kinds and settings is None:
            if not is_exchange(venue):
                raise UnknownNameError("venue of bars", venue, [*kinds, *exchange_names()])
            settings = CcxtStreamSettings(venue)
        if isinstance(settings, CcxtStreamSettings):
            return self._stream(CcxtStreams, settings, wanted.symbol or self.p.dataname, step, since)
        kind, defaults = kinds[venue].streams
        return self._stream(kind, settings or defaults(), wanted.symbol or self.p.dataname, step, since)


def _length(timeframe: int, compression: int) -> timedelta:
    """How long a bar is. Raises ConfigError where that is not always the same."""
    units = {
        bt.TimeFrame.Seconds: timedelta(seconds=1),
        bt.TimeFrame.Minutes: timedelta(minutes=1),
        bt.TimeFrame.Days: timedelta(days=1),
    }
    if timeframe not in units:
        raise ConfigError(
            f"live bars of {bt.TimeFrame.getname(timeframe)} are not served",
            hint="take days or minutes, and cerebro.resampledata for longer ones",
        )
    return units[timeframe] * compression


def _interval(step: timedelta) -> str:
    """As exchanges write it: 30s, 5m, 4h, 1d."""
    seconds = int(step.total_seconds())
    for unit, length in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds % length == 0:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"


def _naive(time: datetime) -> datetime:
    """Backtrader calculates in naive UTC."""
    return time.replace(tzinfo=None)
