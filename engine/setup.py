"""A stock Cerebro brought to the point where its bars would begin: datas loaded, strategy made and started.

The fast engines start here, so that what happens before the first bar is Backtrader's own doing.

setup = prepare(Momentum, {"fast": 10}, {"GOOG": frame}, stock_broker(100_000, 0.001))
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import backtrader as bt
import numba
import numpy as np
import pandas as pd

from core.errors import DataError, StrategyError, TradewrightError
from engine import cerebro as stock
from indicators.sums import exact_sum

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

__all__ = ["FrameData", "Setup", "date2num", "frame_feed", "prepare", "prepare_cerebro", "strategy_errors"]

MICROSECONDS_A_DAY = 86_400_000_000
UNIX_EPOCH_DAY = 719_163
FIRST_DAY, LAST_DAY = 2**19, 2**20 - 1
"""Day numbers between which floats are equally far apart."""
FEW_BARS, FEW_MOMENTS = 10_000, 1_500
"""Up to so many bars and different times of day, Python's own sums take less time than to load a kernel for them."""
Sizer = type[bt.Sizer] | tuple[type[bt.Sizer], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Setup:
    """What `prepare` leaves: everything before the first bar is done, indicators are not evaluated.

    once: whether Backtrader would evaluate the indicators all at once (`_runonce`); else bar by bar.
    """

    cerebro: bt.Cerebro
    strategy: bt.Strategy
    broker: bt.brokers.BackBroker
    datas: tuple[bt.feed.DataBase, ...]
    once: bool

    def finish(self) -> None:
        """Do what Cerebro does after its last bar: `stop` of the strategy, its analyzers, the broker, the datas."""
        self.strategy._stop()
        self.broker.stop()
        for part in (*self.cerebro.datas, *self.cerebro.feeds, *self.cerebro.stores):
            part.stop()


class FrameData(stock.HistoryData):
    """`HistoryData` whose times are converted all at once."""

    def start(self) -> None:
        """Take the columns out of the frame."""
        bt.feeds.PandasData.start(self)
        frame = self.p.dataname
        self._columns = {
            name: np.ascontiguousarray(frame[name].to_numpy(), dtype=np.float64)
            for name in stock.COLUMNS
            if name in frame.columns
        }
        self._columns["datetime"] = date2num(frame.index)


def frame_feed(name: str, frame: pd.DataFrame) -> FrameData:
    """`engine.cerebro.history_feed` with the faster data; the bars are the same to the last bit."""
    timeframe, compression = stock.timeframe_of(frame.index)
    index = pd.DatetimeIndex(frame.index)
    naive = frame if index.tz is None else frame.set_axis(index.tz_convert(None))
    return FrameData(dataname=naive, name=name, timeframe=timeframe, compression=compression)


def date2num(times: pd.DatetimeIndex | pd.Index) -> NDArray[np.float64]:
    """`bt.date2num` of many naive times, bit for bit. Shape (n,); days, what is below a microsecond is dropped."""
    moments = pd.DatetimeIndex(times).to_numpy(dtype="datetime64[us]").astype(np.int64)
    days = moments // MICROSECONDS_A_DAY
    since_midnight = moments - days * MICROSECONDS_A_DAY
    ordinals = (days + UNIX_EPOCH_DAY).astype(np.float64)
    if not since_midnight.any():
        return ordinals
    if len(ordinals) <= FEW_BARS and ordinals.min() >= FIRST_DAY and ordinals.max() < LAST_DAY:
        moments, places = np.unique(since_midnight, return_inverse=True)
        if len(moments) <= FEW_MOMENTS:
            added: NDArray[np.float64] = ordinals + np.array([*map(_fraction, moments.tolist())])[places]
            return added
    numbers: NDArray[np.float64] = _add_times(ordinals, since_midnight)
    return numbers


def _fraction(microseconds: int) -> float:
    """What a time of day adds to a day number in the years 1436 to 2871, where all floats are equally far apart."""
    parts = (
        microseconds // 3_600_000_000 / 24.0,
        microseconds // 60_000_000 % 60 / 1440.0,
        microseconds // 1_000_000 % 60 / 86400.0,
        microseconds % 1_000_000 / 86400e6,
    )
    return math.fsum((FIRST_DAY, *parts)) - FIRST_DAY


@numba.njit(cache=True, nogil=True)
def _add_times(ordinals: NDArray[np.float64], microseconds: NDArray[np.int64]) -> NDArray[np.float64]:
    """Day numbers with their times of day, added without error and rounded once, as `math.fsum` does."""
    total = np.empty(len(ordinals))
    terms, partials = np.empty(5), np.empty(6)
    for row in range(len(ordinals)):
        rest = microseconds[row]
        terms[0] = ordinals[row]
        terms[1] = (rest // 3_600_000_000) / 24.0
        terms[2] = (rest // 60_000_000 % 60) / 1440.0
        terms[3] = (rest // 1_000_000 % 60) / 86400.0
        terms[4] = (rest % 1_000_000) / 86400e6
        total[row] = exact_sum(terms, 0, 5, partials)[0]
    return total


class _Paused(BaseException):
    """Leaves Cerebro before its first bar; no error, so that nobody catches it on the way."""


def prepare(
    cls: type[bt.Strategy],
    params: Mapping[str, Any],
    frames: Mapping[str, pd.DataFrame],
    broker: bt.brokers.BackBroker,
    *,
    resample: Sequence[str] = (),
    sizer: Sizer | None = None,
    cheat_on_open: bool = False,
    on_bar: Callable[[int], None] | None = None,
    recorder: bool = True,
) -> Setup:
    """Everything stock Cerebro does before its first bar.

    The datas are loaded into their line buffers and at home, the strategy and its recorder are started, the
    indicators are not evaluated. With resample, the datas are not loaded: Backtrader builds such bars one by one.
    recorder: whether `engine.recording.Recorder` is among the strategy's analyzers.

    Raises what `engine.cerebro.run` raises when the strategy cannot be made or the bars are too few.
    """
    assembled = prepare_cerebro(
        cls,
        params,
        frames,
        broker,
        resample=resample,
        sizer=sizer,
        cheat_on_open=cheat_on_open,
        on_bar=on_bar,
    )
    if not recorder:
        assembled.analyzers.clear()
    reached: list[bool] = []

    def pause(once: bool) -> Callable[[list[bt.Strategy]], None]:
        def leave(_: list[bt.Strategy]) -> None:
            reached.append(once)
            raise _Paused

        return leave

    assembled._runonce, assembled._runnext = pause(True), pause(False)
    with strategy_errors(cls, assembled), suppress(_Paused):
        assembled.run()
    del assembled._runonce, assembled._runnext
    check_ready(assembled, cls)
    return Setup(assembled, assembled.runningstrats[0], broker, tuple(assembled.datas), reached[0])


def prepare_cerebro(
    cls: type[bt.Strategy],
    params: Mapping[str, Any],
    frames: Mapping[str, pd.DataFrame],
    broker: bt.brokers.BackBroker,
    *,
    resample: Sequence[str] = (),
    sizer: Sizer | None = None,
    cheat_on_open: bool = False,
    on_bar: Callable[[int], None] | None = None,
) -> bt.Cerebro:
    """`engine.cerebro.assemble` over frames, with a sizer and orders at the open where asked for."""
    feeds = {name: frame_feed(name, frame) for name, frame in frames.items()}
    assembled = stock.assemble(cls, params, feeds, broker, resample=resample, on_bar=on_bar)
    if sizer is not None:
        kind, arguments = sizer if isinstance(sizer, tuple) else (sizer, {})
        assembled.addsizer(kind, **arguments)
    assembled.p.cheat_on_open = cheat_on_open
    return assembled


def check_ready(cerebro: bt.Cerebro, cls: type[bt.Strategy]) -> None:
    """Raise DataError when there was no data to run on, StrategyError when the strategy asked to be skipped."""
    if not cerebro.datas:
        raise DataError("there is no data to run on", hint="name at least one with --data")
    if not cerebro.runningstrats:
        raise StrategyError(f"{cls.__name__} asked to be skipped", hint="remove its StrategySkipError")


@contextmanager
def strategy_errors(cls: type[bt.Strategy], cerebro: bt.Cerebro) -> Iterator[None]:
    """Turn the strategy's own failure into the StrategyError that `engine.cerebro.run` raises."""
    try:
        yield
    except TradewrightError:
        raise
    except Exception as error:
        with_our_frames = error.__traceback__
        explained = stock._explain(error.with_traceback(_as_in_stock(with_our_frames)), cls, cerebro)
        error.__traceback__ = with_our_frames
        if explained is None:
            raise
        raise explained from error


ENGINE = Path(__file__).resolve().parent
STAND_INS = (
    "lean_account",
    "lean_broker",
    "lean_costs",
    "lean_lines",
    "lean_orders",
    "lean_positions",
    "lean_steps",
    "lean_strategy",
    "once",
    "primitives",
    "primitives_talib",
)
DRIVERS = ("setup", "lean", "lean_loop", "lean_telling", "lean_delivery", "lean_bars", "lean_bar_by_bar")


def _as_in_stock(traceback: TracebackType | None) -> TracebackType | None:
    """The traceback without the frames that stand where Backtrader's own would; a failure of ours keeps its last."""
    steps = []
    while traceback is not None:
        steps.append(traceback)
        traceback = traceback.tb_next
    kept = None
    for number, step in reversed(list(enumerate(steps))):
        path = Path(step.tb_frame.f_code.co_filename)
        ours = path.parent == ENGINE and (
            path.stem in STAND_INS or (path.stem in DRIVERS and kept is not None)
        )
        if number == 0 or not ours:
            kept = TracebackType(kept, step.tb_frame, step.tb_lasti, step.tb_lineno)
    return kept
