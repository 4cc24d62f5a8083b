"""One run on stock Cerebro, written down bar by bar: indicator lines, orders as they are sent, positions."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from io import StringIO
from typing import TYPE_CHECKING, Any

import backtrader as bt
import numpy as np
import pandas as pd

from core.errors import StrategyError
from engine.account import copied
from engine.cerebro import assemble, timeframe_of
from engine.lookahead_lines import Indicator, indicators_of
from engine.recording import ORDER_TYPES
from engine.setup import FrameData, Sizer, check_ready, strategy_errors

if TYPE_CHECKING:
    from numpy.typing import NDArray

CANCEL = "cancel"
NOTHING = 1e-9
"""A price, size or number of days this small is none."""


@dataclass(frozen=True, slots=True)
class Job:
    """All that decides a run but its bars. seed: of Python's and NumPy's global random numbers, set before each run."""

    strategy: type[bt.Strategy]
    params: Mapping[str, Any]
    broker: bt.brokers.BackBroker
    timeframes: Mapping[str, tuple[int, int]]
    resample: tuple[str, ...] = ()
    sizer: Sizer | None = None
    cheat_on_open: bool = False
    seed: int = 0
    on_bar: Callable[[], None] | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """One order as the strategy sent it, or the cancelling of one. size: signed units; NaN where a field has no value."""

    symbol: str
    type: str
    size: float
    price: float
    limit: float
    trail: float
    valid: float

    def __str__(self) -> str:
        side = "buy" if self.size > 0 else "sell"
        terms = [f"{name} {value:g}" for name, value in self._terms() if not np.isnan(value)]
        return " ".join([f"{self.type} {side} of {abs(self.size):g} {self.symbol}", *terms])

    def _terms(self) -> tuple[tuple[str, float], ...]:
        return ("at", self.price), ("limit", self.limit), ("trailing by", self.trail)

    def same(self, other: Decision, tolerance: float) -> bool:
        """Whether it is the same order, its numbers equal within a fraction of their size."""
        return (self.symbol, self.type) == (other.symbol, other.type) and bool(
            np.allclose(self._numbers(), other._numbers(), rtol=tolerance, atol=NOTHING, equal_nan=True)
        )

    def _numbers(self) -> tuple[float, ...]:
        return self.size, self.price, self.limit, self.trail, self.valid


@dataclass(slots=True)
class Watched:
    """What was seen of a run, up to where it ended or was stopped.

    times: (n,) Backtrader's day numbers, one a bar of the strategy. values: for each indicator (lines, n), NaN
    where a line has no value yet. decisions: the bar (from 0) and the order. positions: (n, datas) signed units.
    first: the first bar on which `next` was called, or n. error: what the strategy raised; at_end: whether that was
    on its last bar, with some bar before it done. cheats: names of the broker's and Cerebro's cheats that were on.
    """

    times: NDArray[np.float64]
    indicators: tuple[Indicator, ...]
    values: tuple[NDArray[np.float64], ...]
    decisions: tuple[tuple[int, Decision], ...]
    positions: NDArray[np.float64]
    first: int
    error: StrategyError | None = None
    at_end: bool = False
    cheats: tuple[str, ...] = ()

    def decided(self, bar: int) -> list[Decision]:
        """Orders sent on one bar, in their order."""
        return [decision for at, decision in self.decisions if at == bar]


class _Enough(BaseException):
    """Leaves a run whose further bars nobody asks for; no error, so that no strategy catches it."""


@dataclass(slots=True)
class _Notes:
    """What a run leaves behind while it goes on."""

    times: list[float] = field(default_factory=list)
    lengths: list[list[int]] = field(default_factory=list)
    values: list[list[float]] = field(default_factory=list)
    positions: list[list[float]] = field(default_factory=list)
    decisions: list[tuple[int, Decision]] = field(default_factory=list)
    first: int | None = None
    indicators: tuple[Indicator, ...] = ()
    once: bool = True


class _Watch(bt.Analyzer):
    """Notes every bar after the strategy has had it. until: bars to see; later: bars to add to each data's warm-up."""

    params = (("notes", None), ("until", None), ("later", None), ("on_bar", None))

    def start(self) -> None:
        """Find the indicators; hold `next` back where asked to."""
        notes, strategy = self.p.notes, self.strategy
        cerebro = strategy.cerebro
        notes.once = bool(cerebro._dopreload and cerebro._dorunonce)
        notes.indicators = indicators_of(strategy)
        if self.p.later is not None:
            strategy._minperiods = [
                bars + self.p.later.get(data._name, 0)
                for bars, data in zip(strategy._minperiods, strategy.datas, strict=True)
            ]

    def prenext(self) -> None:
        """A bar of the warm-up."""
        self._note()

    def next(self) -> None:
        """A bar that `next` has seen."""
        if self.p.notes.first is None:
            self.p.notes.first = len(self.p.notes.times)
        self._note()

    def _note(self) -> None:
        notes, strategy = self.p.notes, self.strategy
        notes.times.append(strategy.lines.datetime[0])
        # Not by `getposition`: it makes the broker value a position in a data that has no bar yet.
        held = map(strategy.broker.positions.get, strategy.datas)
        notes.positions.append([0.0 if position is None else position.size for position in held])
        if notes.once:
            notes.lengths.append([len(data) for data in strategy.datas])
        else:
            notes.values.append([value for each in notes.indicators for value in each.now()])
        if self.p.on_bar is not None:
            self.p.on_bar()
        if len(notes.times) == self.p.until:
            raise _Enough


def watch(
    job: Job,
    frames: Mapping[str, pd.DataFrame],
    *,
    until: int | None = None,
    later: Mapping[str, int] | None = None,
) -> Watched:
    """Run `job` over `frames`. until: stop after so many bars. later: bars of each data before `next` may be called.

    What the strategy raises is kept in the answer; it prints to nobody.
    """
    notes = _Notes()
    broker = copied(job.broker)
    feeds = {name: _feed(name, frame, job.timeframes[name]) for name, frame in frames.items()}
    cerebro = assemble(job.strategy, job.params, feeds, broker, resample=job.resample)
    cerebro.analyzers.clear()
    cerebro.addanalyzer(_Watch, notes=notes, until=until, later=later, on_bar=job.on_bar)
    cerebro.p.cheat_on_open = job.cheat_on_open
    if job.sizer is not None:
        kind, arguments = job.sizer if isinstance(job.sizer, tuple) else (job.sizer, {})
        cerebro.addsizer(kind, **arguments)
    _listen(broker, notes)
    error = None
    with _seeded(job.seed), redirect_stdout(StringIO()):
        try:
            with strategy_errors(job.strategy, cerebro):
                cerebro.run()
            check_ready(cerebro, job.strategy)
        except _Enough:
            pass
        except StrategyError as raised:
            error = raised
    at_end = error is not None and all(len(feed) == feed.known_bars for feed in feeds.values())
    return _watched(notes, cerebro, error, at_end)


def _feed(name: str, frame: pd.DataFrame, timeframe: tuple[int, int]) -> FrameData:
    """A data whose timeframe does not depend on how many of the bars there are."""
    index = pd.DatetimeIndex(frame.index)
    naive = frame if index.tz is None else frame.set_axis(index.tz_convert(None))
    return FrameData(dataname=naive, name=name, timeframe=timeframe[0], compression=timeframe[1])


def timeframes_of(frames: Mapping[str, pd.DataFrame]) -> dict[str, tuple[int, int]]:
    """Backtrader's timeframe and compression of each frame."""
    return {name: timeframe_of(frame.index) for name, frame in frames.items()}


def _listen(broker: bt.brokers.BackBroker, notes: _Notes) -> None:
    """Note what is sent to the broker; the bar is the one that has not been noted yet."""
    submit, cancel = broker.submit, broker.cancel

    def submitting(order: bt.Order, **options: Any) -> Any:
        notes.decisions.append((len(notes.times), _decision(order, ORDER_TYPES[order.exectype].value)))
        return submit(order, **options)

    def cancelling(order: bt.Order, bracket: bool = False) -> Any:
        if not bracket:
            notes.decisions.append((len(notes.times), _decision(order, CANCEL)))
        return cancel(order, bracket=bracket)

    broker.submit, broker.cancel = submitting, cancelling


def _decision(order: bt.Order, kind: str) -> Decision:
    asked = order.p

    def number(value: Any) -> float:
        return float(value) if isinstance(value, (int, float)) else np.nan

    return Decision(
        order.data._name,
        kind,
        float(order.created.size),
        number(asked.price),
        number(asked.pricelimit),
        number(asked.trailamount if asked.trailamount is not None else asked.trailpercent),
        number(order.valid),
    )


def _watched(notes: _Notes, cerebro: bt.Cerebro, error: StrategyError | None, at_end: bool) -> Watched:
    bars, broker = len(notes.times), cerebro.broker
    cheats = [
        name
        for name, on in (
            ("cheat-on-close", broker.p.coc),
            ("cheat-on-open", cerebro.p.cheat_on_open or broker.p.coo),
        )
        if on
    ]
    return Watched(
        np.array(notes.times),
        notes.indicators,
        tuple(_values(notes)),
        tuple(notes.decisions),
        np.array(notes.positions, dtype=np.float64).reshape(bars, len(cerebro.datas)),
        bars if notes.first is None else notes.first,
        error,
        at_end and bars > 0 and len(cerebro.runningstrats[0]) > bars,
        tuple(cheats),
    )


def _values(notes: _Notes) -> Iterator[NDArray[np.float64]]:
    """Each indicator's lines as the strategy could see them on its bars, (lines, n)."""
    bars = len(notes.times)
    if not bars:
        yield from (np.empty((len(each.lines), 0)) for each in notes.indicators)
        return
    if not notes.once:
        table = np.array(notes.values, dtype=np.float64).reshape(bars, -1).T
        place = 0
        for each in notes.indicators:
            yield table[place : place + len(each.lines)]
            place += len(each.lines)
        return
    lengths = np.array(notes.lengths, dtype=np.int64)
    for each in notes.indicators:
        seen = lengths[:, each.clock] - 1
        yield np.array([_seen(line, seen) for line in each.arrays()])


def _seen(line: NDArray[np.float64], places: NDArray[np.int64]) -> NDArray[np.float64]:
    values = np.full(len(places), np.nan)
    known = (places >= 0) & (places < len(line))
    values[known] = line[places[known]]
    return values


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Global random numbers start the same in every run; whoever called finds theirs as they were."""
    python, numpy = random.getstate(), np.random.get_state()
    random.seed(seed)
    np.random.seed(seed)
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
