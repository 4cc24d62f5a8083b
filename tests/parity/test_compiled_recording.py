"""The recording made from a kernel's records equals what the recorder writes down in the same run.

The records are taken from a stock run here, so that nothing but the making of the recording is compared.
"""

from __future__ import annotations

import pickle
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd
import pytest

from engine.cerebro import assemble, history_feed, run, stock_broker
from engine.compiled import records
from engine.compiled.recording import recording_of, stamps_of
from engine.recording import Recording, prices_as_created, times_of

INFOS = ("", "risk", "time_exit")


def number(value: float | None) -> float:
    return np.nan if value is None else value


class Keeper(bt.Analyzer):
    """Writes every notification down as a compiled broker does."""

    def start(self) -> None:
        self.orders: dict[int, Any] = {}
        self.rows: dict[str, list[tuple[Any, ...]]] = {"orders": [], "notes": [], "fills": [], "trades": []}
        self.curve: list[tuple[float, float, float]] = []

    def prenext(self) -> None:
        pass

    def next(self) -> None:
        pass

    def stop(self) -> None:
        """What the last bar brought about; the recorder, which comes after, takes it out of the broker."""
        for order in self.strategy.broker.notifs:
            if order is not None:
                self.notify_order(order)

    def notify_cashvalue(self, cash: float, value: float) -> None:
        self.curve.append((self.strategy.lines.datetime[0], value, cash))

    def notify_order(self, order: bt.Order) -> None:
        data = self.strategy.datas.index(order.data)
        if order.ref not in self.orders:
            self.orders[order.ref] = len(self.orders)
            price, limit = prices_as_created(order)
            info = INFOS.index(order.info.get("exit_reason") or "")
            row = records_row(
                records.ORDER,
                data=data,
                kind=order.exectype,
                buy=order.isbuy(),
                info=info,
                created=order.created.dt,
                size=order.created.size,
                first_price=number(price),
                first_limit=number(limit),
            )
            self.rows["orders"].append(row)
        handle = self.orders[order.ref]
        before = len(self.rows["fills"])
        executed = order.executed
        for bit in executed.iterpending():
            if bit is None:
                continue
            row = records_row(
                records.FILL,
                order=handle,
                data=data,
                time=bit.dt,
                size=bit.size,
                price=bit.price,
                closed=bit.closed,
                opened=bit.opened,
                closed_commission=bit.closedcomm,
                opened_commission=bit.openedcomm,
            )
            self.rows["fills"].append(row)
        row = records_row(
            records.NOTE,
            order=handle,
            status=order.status,
            step=len(self.curve),
            fill_from=before,
            fill_to=len(self.rows["fills"]),
            filled=executed.size,
            average=executed.price,
            commission=executed.comm,
            executed=number(executed.dt),
        )
        self.rows["notes"].append(row)

    def notify_trade(self, trade: bt.Trade) -> None:
        row = records_row(
            records.TRADE,
            data=self.strategy.datas.index(trade.data),
            status=trade.status,
            bars=trade.barlen,
            opened=trade.dtopen,
            closed=trade.dtclose,
            pnl=trade.pnl,
            pnl_net=trade.pnlcomm,
            commission=trade.commission,
        )
        self.rows["trades"].append(row)

    def book(self, datas: int) -> records.Book:
        arrays = {
            name: np.array(self.rows[name], dtype=dtype)
            for name, dtype in (
                ("orders", records.ORDER),
                ("notes", records.NOTE),
                ("fills", records.FILL),
                ("trades", records.TRADE),
            )
        }
        account = np.zeros(1, records.ACCOUNT)
        for name, rows in self.rows.items():
            account[name] = len(rows)
        # Arrays are longer than what is in them.
        arrays = {name: np.concatenate([a, np.zeros(3, a.dtype)]) for name, a in arrays.items()}
        others = dict.fromkeys(records.Book._fields, np.zeros(1, np.int64))
        return records.Book(**(others | arrays | {"account": account, "lengths": np.ones(datas, np.int64)}))


def records_row(dtype: np.dtype[Any], **values: Any) -> tuple[Any, ...]:
    row = np.zeros((), dtype)
    for name, value in values.items():
        row[name] = value
    return tuple(row.tolist())


class Flow(bt.Strategy):
    """Random orders of every kind, on every data, also before its first bar."""

    params = (("seed", 0), ("orders", 0.25), ("early", False))

    def __init__(self) -> None:
        self.random = np.random.default_rng(self.p.seed)
        self.alive: list[Any] = []

    def prenext(self) -> None:
        if self.p.early:
            self.next()

    def next(self) -> None:
        random = self.random
        for data in self.datas:
            if random.random() > self.p.orders:
                continue
            self.act(data, int(random.integers(0, 12)))

    def act(self, data: Any, what: int) -> None:
        random, close = self.random, data.close[0]
        side = self.buy if random.random() < 0.5 else self.sell
        size = int(random.integers(1, 20)) * (100 if random.random() < 0.02 else 1)
        offset = float(random.normal(0.0, 0.02)) * close
        if what < 2:
            order = side(data=data, size=size)
        elif what == 2:
            order = side(data=data, size=size, exectype=bt.Order.Close)
        elif what == 3:
            order = side(data=data, size=size, exectype=bt.Order.Limit, price=close + offset)
        elif what == 4:
            order = side(data=data, size=size, exectype=bt.Order.Stop, price=close + offset)
        elif what == 5:
            order = side(
                data=data, size=size, exectype=bt.Order.StopLimit, price=close, plimit=close + offset
            )
        elif what == 6:
            order = side(data=data, size=size, exectype=bt.Order.StopTrail, trailpercent=0.02)
        elif what == 7:
            order = side(
                data=data,
                size=size,
                exectype=bt.Order.StopTrailLimit,
                trailamount=0.01 * close,
                price=close,
                plimit=close + offset,
            )
        elif what == 8:
            order = self.buy_bracket(
                data=data, size=size, price=close, stopprice=close * 0.98, limitprice=close * 1.02
            )[0]
        elif what == 9 and self.alive:
            self.cancel(self.alive.pop(int(random.integers(0, len(self.alive)))))
            return
        else:
            order = self.order_target_size(data=data, target=int(random.integers(-2, 3)) * 5)
        if order is not None:
            self.alive.append(order)
            if random.random() < 0.3:
                order.addinfo(exit_reason=INFOS[int(random.integers(0, len(INFOS)))] or None)


def frame(seed: int, bars: int, start: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    close = 100.0 * np.exp(np.cumsum(random.normal(0.0, 0.015, bars)))
    opening = close * np.exp(random.normal(0.0, 0.005, bars))
    index = pd.date_range("2021-03-01 10:00", periods=bars + start, freq="1h", tz="UTC", name="time")[start:]
    return pd.DataFrame(
        {
            "open": opening,
            "high": np.maximum(opening, close) * 1.004,
            "low": np.minimum(opening, close) * 0.996,
            "close": close,
            "volume": 1000.0,
        },
        index=index,
    )


def both(
    frames: dict[str, pd.DataFrame], cash: float = 10_000.0, **params: Any
) -> tuple[Recording, Recording]:
    """What the recorder wrote, and what is made of the records of the same run."""
    feeds = {name: history_feed(name, bars) for name, bars in frames.items()}
    cerebro = assemble(Flow, params, feeds, stock_broker(cash, 0.002))
    cerebro.addanalyzer(Keeper, _name="keeper")
    cerebro.analyzers.reverse()
    written = run(cerebro)
    assert written.strategy is not None
    keeper = written.strategy.analyzers.keeper
    times, equity, cash_left = (np.array(column) for column in zip(*keeper.curve, strict=True))
    book = keeper.book(len(frames))
    return written, recording_of(book, times, list(frames), INFOS, equity, cash_left)


def same(written: Recording, made: Recording) -> None:
    pd.testing.assert_series_equal(made.equity, written.equity, check_exact=True, check_freq=False)
    pd.testing.assert_series_equal(made.cash, written.cash, check_exact=True, check_freq=False)
    for name in ("orders", "fills", "trades"):
        pd.testing.assert_frame_equal(getattr(made, name), getattr(written, name), check_exact=True)
    assert (made.open_trades, made.notes) == (written.open_trades, written.notes)


@pytest.mark.parametrize("seed", range(8))
def test_one_data(seed: int) -> None:
    written, made = both({"A": frame(seed, 400)}, seed=seed)
    same(written, made)
    assert len(made.trades) > 5
    assert made.orders["type"].nunique() == 7


@pytest.mark.parametrize("seed", range(4))
def test_datas_that_start_late(seed: int) -> None:
    """Orders made on a data before its first bar look ahead, and that is said."""
    frames = {
        "A": frame(seed, 300),
        "B": frame(seed + 50, 200, start=60),
        "C": frame(seed + 90, 150, start=30),
    }
    written, made = both(frames, seed=seed, early=True)
    same(written, made)
    assert len(made.notes) == 2


def test_too_little_cash() -> None:
    written, made = both({"A": frame(3, 300)}, cash=700.0, seed=3)
    same(written, made)
    assert {"margin", "filled"} <= set(made.orders["status"])


def test_a_run_without_orders() -> None:
    written, made = both({"A": frame(1, 40)}, orders=0.0)
    same(written, made)
    assert made.orders.empty
    assert made.trades.empty


def test_tables_are_made_when_asked_for_and_survive_a_pickle() -> None:
    written, made = both({"A": frame(5, 200)}, seed=5)
    again = pickle.loads(pickle.dumps(made))
    same(written, again)
    assert made.orders is made.orders


def test_times_are_those_of_the_recorder() -> None:
    days = np.array([730000.25, np.nan, 738000.123456, 735555.9999999])
    made = pd.DatetimeIndex(stamps_of(days), tz="UTC")
    pd.testing.assert_index_equal(made, times_of(days))


def test_deliveries_at_one_time_leave_the_last() -> None:
    book = Keeper.book(_empty(), 1)
    times = np.array([730000.0, 730001.0, 730001.0])
    made = recording_of(book, times, ["A"], INFOS, np.array([1.0, 2.0, 3.0]), np.array([4.0, 5.0, 6.0]))
    assert made.equity.tolist() == [1.0, 3.0]
    assert made.cash.tolist() == [4.0, 6.0]


def _empty() -> Any:
    class Nothing:
        rows: dict[str, list[tuple[Any, ...]]] = {"orders": [], "notes": [], "fills": [], "trades": []}

    return Nothing()
