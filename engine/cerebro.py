"""The only Cerebro assembly: over history with the stock broker, or over live feeds with a bridged venue.

cerebro = assemble(Momentum, {"fast": 10}, {"GOOG": history_feed("GOOG", frame)}, stock_broker(100_000, 0.001))
recording = run(cerebro)
"""

from __future__ import annotations

import array
import math
import os
import re
import sys
import sysconfig
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd

from core.errors import DataError, StrategyError, TradewrightError, UserError
from engine.recording import Recorder, Recording, times_of

__all__ = [
    "HistoryData",
    "Recorder",
    "Recording",
    "assemble",
    "history_feed",
    "parse_timeframe",
    "run",
    "stock_broker",
    "timeframe_of",
]

RECORDER = "tradewright_recorder"
SECONDS_A_DAY = 86_400.0
COLUMNS = ("open", "high", "low", "close", "volume", "openinterest")
SPEC = re.compile(r"(?P<count>[1-9]\d*)?(?P<unit>[smhdDwWM])")
UNITS: Mapping[str, tuple[int, int]] = {
    "s": (bt.TimeFrame.Seconds, 1),
    "m": (bt.TimeFrame.Minutes, 1),
    "h": (bt.TimeFrame.Minutes, 60),
    "d": (bt.TimeFrame.Days, 1),
    "w": (bt.TimeFrame.Weeks, 1),
    "M": (bt.TimeFrame.Months, 1),
}
LENGTHS: Mapping[int, float] = {
    bt.TimeFrame.Seconds: 1.0,
    bt.TimeFrame.Minutes: 60.0,
    bt.TimeFrame.Days: SECONDS_A_DAY,
    bt.TimeFrame.Weeks: 7 * SECONDS_A_DAY,
    bt.TimeFrame.Months: 28 * SECONDS_A_DAY,
    bt.TimeFrame.Years: 365 * SECONDS_A_DAY,
}
"""Shortest length in seconds of one unit of Backtrader's timeframes."""


class HistoryData(bt.feeds.PandasData):
    """`PandasData` that fills its lines in one go; the values are the same to the last bit."""

    @property
    def known_bars(self) -> int:
        """How many bars there will be."""
        return len(self.p.dataname)

    def start(self) -> None:
        """Take the columns out of the frame once, instead of once a bar."""
        super().start()
        frame = self.p.dataname
        self._columns = {
            name: np.ascontiguousarray(frame[name].to_numpy(), dtype=np.float64)
            for name in COLUMNS
            if name in frame.columns
        }
        days = [bt.date2num(time) for time in frame.index.to_pydatetime()]
        self._columns["datetime"] = np.array(days, dtype=np.float64)

    def preload(self) -> None:
        """All bars at once; filters (resampling) need them one by one."""
        if self._filters or self._ffilters:
            super().preload()
            return
        for name in self.getlinealiases():
            column = self._columns.get(name)
            values = np.full(self.known_bars, np.nan) if column is None else column
            line = getattr(self.lines, name)
            line.array = array.array("d", values.tobytes())
        self._idx = self.known_bars
        self.home()

    def _load(self) -> bool:
        self._idx += 1
        if self._idx >= self.known_bars:
            return False
        for name, column in self._columns.items():
            getattr(self.lines, name)[0] = column[self._idx]
        return True


def history_feed(name: str, frame: pd.DataFrame) -> HistoryData:
    """A Backtrader data over validated bars.

    frame: float64 open, high, low, close, volume; strictly increasing aware UTC index, which becomes naive
    UTC inside Backtrader, as everywhere there.
    """
    timeframe, compression = timeframe_of(frame.index)
    return HistoryData(
        dataname=frame.set_axis(_naive(frame.index)), name=name, timeframe=timeframe, compression=compression
    )


def stock_broker(cash: float, commission: float) -> bt.brokers.BackBroker:
    """Backtrader's own simulated broker. commission: a fraction of the traded value."""
    broker = bt.brokers.BackBroker()
    broker.setcash(cash)
    broker.setcommission(commission=commission)
    return broker


def timeframe_of(index: pd.Index) -> tuple[int, int]:
    """Backtrader's timeframe and compression for bars at these times: the commonest spacing decides."""
    times = _naive(index).to_numpy(dtype="datetime64[ms]").astype(np.int64)
    if len(times) < 2:
        return bt.TimeFrame.Days, 1
    spacings, counts = np.unique(np.diff(times), return_counts=True)
    seconds = float(spacings[np.argmax(counts)]) / 1000.0
    days = round(seconds / SECONDS_A_DAY)
    if days >= 360:
        return bt.TimeFrame.Years, round(days / 365)
    if days >= 28:
        return bt.TimeFrame.Months, round(days / 30)
    if days >= 7:
        return bt.TimeFrame.Weeks, round(days / 7)
    if days >= 1:
        return bt.TimeFrame.Days, days
    if seconds >= 60 and seconds % 60 == 0:
        return bt.TimeFrame.Minutes, int(seconds // 60)
    return bt.TimeFrame.Seconds, max(1, round(seconds))


def _naive(index: pd.Index) -> pd.DatetimeIndex:
    times = pd.DatetimeIndex(index)
    return times if times.tz is None else times.tz_convert(None)


def parse_timeframe(spec: str) -> tuple[int, int]:
    """Backtrader's timeframe and compression for "15m", "4h", "1D", "1W" or "1M" (a month)."""
    match = SPEC.fullmatch(spec.strip())
    if match is None:
        raise UserError(
            f"cannot read the timeframe {spec!r}",
            hint='write a count and a unit, such as "15m", "4h", "1D", "1W", "1M"',
        )
    unit = match["unit"] if match["unit"] == "M" else match["unit"].lower()
    timeframe, factor = UNITS[unit]
    return timeframe, int(match["count"] or 1) * factor


def assemble(
    strategy: type[bt.Strategy],
    params: Mapping[str, Any],
    feeds: Mapping[str, bt.feed.DataBase],
    broker: bt.BrokerBase,
    *,
    resample: Sequence[str] = (),
    quicknotify: bool = False,
    on_bar: Callable[[int], None] | None = None,
) -> bt.Cerebro:
    """A Cerebro ready to run: the datas by name, one strategy, one broker, the recorder, nothing else.

    resample: timeframes above the first data's, added as further datas named "NAME 1W". A feed that is live
    turns preloading off by itself. on_bar: called once a bar with the number of bars so far.
    Raises UserError when a timeframe cannot be read or is not above the first data's.
    """
    cerebro = bt.Cerebro(stdstats=False, quicknotify=quicknotify)
    for name, feed in feeds.items():
        cerebro.adddata(feed, name=name)
    for spec in resample:
        _resample(cerebro, spec)
    cerebro.setbroker(broker)
    cerebro.addstrategy(strategy, **params)
    cerebro.addanalyzer(Recorder, _name=RECORDER, on_bar=on_bar)
    return cerebro


def _resample(cerebro: bt.Cerebro, spec: str) -> None:
    base = cerebro.datas[0]
    timeframe, compression = parse_timeframe(spec)
    own = LENGTHS.get(base._timeframe, 0.0) * base._compression
    if LENGTHS[timeframe] * compression <= own:
        raise UserError(
            f"cannot resample {base._name} to {spec}: its bars are that long already, or longer",
            hint="name a higher timeframe, or load finer bars",
        )
    cerebro.resampledata(base, name=f"{base._name} {spec}", timeframe=timeframe, compression=compression)


def run(cerebro: bt.Cerebro) -> Recording:
    """Run what `assemble` made, to its end.

    Raises StrategyError, with the original as its cause, when the strategy fails: it names the class, the
    file and line, and the bar. Raises DataError when the bars are fewer than the warm-up. Errors of this
    project and KeyboardInterrupt pass unchanged.
    """
    strategy = cerebro.strats[0][0][0]
    try:
        strategies = cerebro.run()
    except TradewrightError:
        raise
    except Exception as error:
        explained = _explain(error, strategy, cerebro)
        if explained is None:
            raise
        raise explained from error
    if not cerebro.datas:
        raise DataError("there is no data to run on", hint="name at least one with --data")
    if not strategies:
        raise StrategyError(f"{strategy.__name__} asked to be skipped", hint="remove its StrategySkipError")
    recorder: Recorder = strategies[0].analyzers.getbyname(RECORDER)
    return recorder.recording()


HOUSE = Path(__file__).resolve().parents[1]
PACKAGES = ("core", "store", "feeds", "brokers", "analyzers", "reports", "engine", "live")
OURS = tuple(str(HOUSE / name) + os.sep for name in PACKAGES)
LIBRARIES = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})


def _explain(error: Exception, strategy: type[bt.Strategy], cerebro: bt.Cerebro) -> StrategyError | None:
    """What to tell the strategy's author, or None when the failure is ours."""
    frames = list(_frames(error.__traceback__))[1:]
    authors = _files_of(strategy)
    culprit: tuple[str, int] | None = None
    for file, line in frames:
        if file in authors or not file.startswith((*OURS, *LIBRARIES, "<")):
            culprit = file, line
        elif file.startswith(OURS):
            culprit = None
    if culprit is None and any(file.startswith(OURS) for file, _ in frames):
        return None
    file, line = culprit or frames[-1]
    hint = (
        "" if culprit else "no line of the strategy is involved: check its indicators' periods and the bars"
    )
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return StrategyError(
        f"{strategy.__name__} failed at {file}:{line} {_moment(cerebro)}: {text}",
        hint=hint,
        file=file,
        line=line,
    )


def _frames(traceback: TracebackType | None) -> Iterator[tuple[str, int]]:
    while traceback is not None:
        yield traceback.tb_frame.f_code.co_filename, traceback.tb_lineno
        traceback = traceback.tb_next


def _files_of(strategy: type[bt.Strategy]) -> set[str]:
    """Files of the strategy's classes, Backtrader's own left out."""
    files = set()
    for kind in strategy.__mro__:
        file = getattr(sys.modules.get(kind.__module__), "__file__", None)
        if file is not None and kind.__module__.partition(".")[0] != "backtrader":
            files.add(str(file))
    return files


def _moment(cerebro: bt.Cerebro) -> str:
    """Where in the run it happened, in words."""
    running = getattr(cerebro, "runningstrats", [])
    if not running:
        return "while it was being set up"
    times = running[0].lines.datetime
    if not len(times) or math.isnan(times[0]):
        return "before its first bar"
    return f"on the bar of {times_of([times[0]])[0].isoformat()}"
