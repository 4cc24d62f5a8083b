"""One strategy on stock Backtrader and on the fast engines, and the first place where two answers part."""

from __future__ import annotations

import contextlib
import datetime
import importlib
import io
import itertools
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd

from core.errors import StrategyError
from engine.cerebro import assemble, history_feed, run, stock_broker
from engine.parity import compare
from engine.recording import Recording
from engine.refusal import Refused

FAST = {"lean": "engine.lean", "compiled": "engine.compiled"}
TABLES = ("orders", "fills", "trades")
CURVES = ("equity", "cash")


@dataclass(frozen=True)
class Case:
    """All that decides a run. broker: what is done to a fresh stock broker before the run."""

    strategy: type[bt.Strategy]
    params: Mapping[str, Any]
    frames: Mapping[str, pd.DataFrame]
    resample: tuple[str, ...] = ()
    cash: float = 100_000.0
    commission: float = 0.001
    cheat_on_open: bool = False
    broker: Callable[[bt.brokers.BackBroker], None] | None = None
    sizer: Any = None

    def fresh_broker(self) -> bt.brokers.BackBroker:
        broker = stock_broker(self.cash, self.commission)
        if self.broker is not None:
            self.broker(broker)
        return broker


@dataclass(frozen=True)
class Answer:
    """What a run came to: a recording, or what it raised; and what it printed.

    notifications: of orders and trades, where they were counted.
    """

    recording: Recording | None
    error: BaseException | None
    printed: str
    notifications: int = 0

    @property
    def refusal(self) -> Refused | None:
        return self.error if isinstance(self.error, Refused) else None


class Notifications(bt.Analyzer):
    """Counts what the strategy is told of."""

    count = 0

    def notify_order(self, order: bt.Order) -> None:
        self.count += 1

    def notify_trade(self, trade: bt.Trade) -> None:
        self.count += 1


def _answer(job: Callable[[], Recording]) -> Answer:
    # What strategies print may contain the numbers of orders, which otherwise count on from run to run.
    bt.order.OrderBase.refbasis = itertools.count(1)
    bt.Trade.refbasis = itertools.count(1)
    out = io.StringIO()
    recording, error = None, None
    with contextlib.redirect_stdout(out):
        try:
            recording = job()
        except Exception as raised:  # noqa: BLE001 - whatever an engine raises is its answer
            error = raised
    strategy = recording.strategy if recording is not None else None  # a kernel that is at hand makes none
    counters = strategy.analyzers if strategy is not None else ()
    told = sum(counter.count for counter in counters if isinstance(counter, Notifications))
    return Answer(recording, error, out.getvalue(), told)


def on_stock(case: Case) -> Answer:
    """The reference: an ordinary Cerebro with the stock broker."""

    def job() -> Recording:
        feeds = {name: history_feed(name, frame) for name, frame in case.frames.items()}
        cerebro = assemble(case.strategy, case.params, feeds, case.fresh_broker(), resample=case.resample)
        cerebro.p.cheat_on_open = case.cheat_on_open
        if case.sizer is not None:
            kind, arguments = case.sizer if isinstance(case.sizer, tuple) else (case.sizer, {})
            cerebro.addsizer(kind, **arguments)
        cerebro.addanalyzer(Notifications)
        return run(cerebro)

    return _answer(job)


def on_fast(engine: str, case: Case) -> Answer:
    """The same on a fast engine, "lean" or "compiled"."""
    module = importlib.import_module(FAST[engine])
    return _answer(
        lambda: module.run(
            case.strategy,
            case.params,
            case.frames,
            case.fresh_broker(),
            resample=case.resample,
            sizer=case.sizer,
            cheat_on_open=case.cheat_on_open,
        )
    )


def difference(stock: Answer, fast: Answer) -> str | None:
    """Where the answers part, or None. Every number has to be the same to the last bit."""
    if stock.error is not None or fast.error is not None:
        left, right = _error_of(stock), _error_of(fast)
        return None if left == right else f"stock: {left or 'no error'}, fast: {right or 'no error'}"
    assert stock.recording is not None
    assert fast.recording is not None
    return recordings_differ(stock.recording, fast.recording)


def traces_differ(stock: Answer, fast: Answer) -> str | None:
    """What a strategy that really ran left behind: all it printed, and its numbers and texts in the end."""
    if stock.printed != fast.printed:
        return f"printed: {stock.printed[-200:]!r} and {fast.printed[-200:]!r}"
    if stock.recording is None or fast.recording is None:
        return None
    left, right = (vars(answer.recording.strategy) for answer in (stock, fast) if answer.recording)
    for name in left:
        mine, theirs = _values(left[name]), _values(right.get(name))
        if not name.startswith("_") and _is_plain(mine) and repr(mine) != repr(theirs):
            return f"self.{name}: {mine!r} and {theirs!r}"
    return None


def _values(value: Any) -> Any:
    """A dictionary's values, whose keys may be datas; anything else as it is."""
    return list(value.values()) if isinstance(value, dict) else value


def _is_plain(value: Any) -> bool:
    """Whether it is a number, a text, None, or a sequence of such."""
    if isinstance(value, (list, tuple, deque)):
        return all(map(_is_plain, value))
    return value is None or type(value) in (
        int,
        float,
        bool,
        str,
        np.float64,
        datetime.date,
        datetime.datetime,
    )


def recordings_differ(reference: Recording, other: Recording) -> str | None:
    """The first difference of two recordings, in words, or None. Types and last bits count too."""
    unequal = [
        name for name in (*TABLES, *CURVES) if not _equal(getattr(reference, name), getattr(other, name))
    ]
    if unequal:
        report = compare(reference, other)
        if not report.identical:
            return str(report)
        left, right = (pd.DataFrame(getattr(each, unequal[0])) for each in (reference, other))
        return f"{unequal[0]}, in the last bits or types: {_first_cell(left, right)}"
    for name in ("open_trades", "notes"):
        if getattr(reference, name) != getattr(other, name):
            return f"{name}: {getattr(reference, name)!r} and {getattr(other, name)!r}"
    return None


def _equal(left: Any, right: Any) -> bool:
    """Tables or series of the same values, types and index."""
    return bool(left.equals(right) and left.index.equals(right.index))


def _first_cell(left: pd.DataFrame, right: pd.DataFrame) -> str:
    if list(left.dtypes) != list(right.dtypes):
        return f"types {list(left.dtypes)} and {list(right.dtypes)}"
    for row in range(min(len(left), len(right))):
        for column in left.columns:
            a, b = left[column].iloc[row], right[column].iloc[row]
            if a != b and not (pd.isna(a) and pd.isna(b)):
                return f"row {row}, {column}: {a!r} and {b!r}"
    return f"lengths or index: {left.index!r} and {right.index!r}"


def _error_of(answer: Answer) -> tuple[str, str] | None:
    """Kind and text of the error, below what the engines wrap around it."""
    error = answer.error
    if error is None:
        return None
    cause = error.__cause__ if isinstance(error, StrategyError) and error.__cause__ is not None else error
    return type(cause).__name__, str(cause)
