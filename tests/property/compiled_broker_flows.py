"""Random order flows through stock Backtrader and through the compiled broker, compared to the last bit.

    .venv/bin/python tests/property/compiled_broker_flows.py --flows 5000 --seed 1

Prices mostly lie on a coarse grid, so that opens, limits, triggers and extremes are often exactly equal.
"""

from __future__ import annotations

import argparse
import itertools
import math
import random
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from datetime import time as clock
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Protocol, TypeVar

import backtrader as bt
import numpy as np

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from engine.compiled import broker as compiled
from engine.compiled.broker_setup import rules_of, schemes_of, sessions_of
from engine.compiled.records import (
    BRACKET_LOST,
    HAS_LIMIT,
    HAS_PRICE,
    HAS_TRAIL_AMOUNT,
    HAS_TRAIL_PERCENT,
    NO_COC,
    STOP_TRAIL,
)

T = TypeVar("T")


class Choice(Protocol):
    """Where a flow's randomness comes from."""

    def integer(self, low: int, high: int) -> int: ...

    def pick(self, values: Sequence[T]) -> T: ...


class Dice:
    """Plain random numbers."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def integer(self, low: int, high: int) -> int:
        return self.random.randint(low, high)

    def pick(self, values: Sequence[T]) -> T:
        return self.random.choice(values)


@dataclass(frozen=True)
class Place:
    """One order; oco and parent count back from the orders made so far (1 is the last one)."""

    data: int
    size: float
    kind: int
    price: float | None = None
    limit: float | None = None
    trail_amount: float | None = None
    trail_percent: float | None = None
    valid: float | None = None
    oco: int | None = None
    parent: int | None = None
    transmit: bool = True
    coc: bool = True


@dataclass(frozen=True)
class Withdraw:
    """Cancel the order that many places back."""

    back: int


@dataclass(frozen=True)
class Look:
    """Read a position, or the value of a data: both make the broker keep a position."""

    data: int
    value: bool


@dataclass(frozen=True)
class Flow:
    """broker: parameters of `BackBroker`. schemes: arguments of `setcommission`, one a data.

    markets: rows of (day number, open, high, low, close), one list a data. script: commands by step, told in `next`;
    early: those told in `next_open`. room: orders the books have room for at first.
    """

    broker: dict[str, Any]
    schemes: list[dict[str, Any]]
    markets: list[list[tuple[float, ...]]]
    session_end: clock | None
    script: dict[int, list[Place | Withdraw | Look]]
    early: dict[int, list[Place | Withdraw | Look]]
    room: int = 64


@dataclass
class Outcome:
    """Rows of numbers, in the order things happened."""

    notes: list[tuple[float, ...]] = field(default_factory=list)
    fills: list[tuple[float, ...]] = field(default_factory=list)
    trades: list[tuple[float, ...]] = field(default_factory=list)
    steps: list[tuple[float, ...]] = field(default_factory=list)
    looks: list[tuple[float, ...]] = field(default_factory=list)
    positions: list[tuple[float, ...]] = field(default_factory=list)
    kinds: dict[int, int] = field(default_factory=dict)
    failed: str = ""

    def differences(self, other: Outcome) -> list[str]:
        """What is not equal, bit for bit; a run that failed is only compared as to that."""
        if self.failed or other.failed:
            return [] if self.failed == other.failed else [f"failed: {self.failed!r} / {other.failed!r}"]
        found = []
        for name in ("notes", "fills", "trades", "steps", "looks", "positions"):
            mine, others = getattr(self, name), getattr(other, name)
            if np.array_equal(np.array(mine), np.array(others), equal_nan=True):
                continue
            for n, (left, right) in enumerate(itertools.zip_longest(mine, others)):
                if left is None or right is None or not np.array_equal(left, right, equal_nan=True):
                    found.append(f"{name}[{n}]:\n  {left}\n  {right}")
                    break
        return found


# Random flows

SPACINGS = (
    timedelta(hours=6),
    timedelta(hours=6),
    timedelta(days=1),
    timedelta(hours=7, minutes=13),
    timedelta(hours=12, minutes=59, seconds=59, microseconds=999_995),
)
STARTS = (datetime(2024, 1, 1), datetime(2024, 1, 1, 9, 30), datetime(1999, 12, 30, 23, 59, 59, 999_991))


@dataclass
class Coming:
    """What a command is drawn from; `prices` occur in the next bars, so that orders are touched exactly."""

    choice: Choice
    tick: float
    datas: int
    times: list[float]
    step: int
    prices: list[float]

    def near(self) -> float:
        if self.choice.integer(0, 1):
            return self.choice.pick(self.prices)
        return self.choice.integer(14, 26) * self.tick

    def maybe(self) -> float | None:
        return self.choice.pick([None, 0.0, self.near(), self.near(), self.near()])


def market(
    choice: Choice, tick: float, times: list[float], gaps: bool, smooth: bool
) -> list[tuple[float, ...]]:
    rows, level = [], 20.0
    late = choice.pick([0, 0, 1, 3]) if gaps else 0
    for step, now in enumerate(times):
        opened = max(level + choice.pick([0, 0, 0, 0, 1, -1, 3, -3]), 6)
        level = max(opened + choice.integer(-3, 3), 6)
        above, below = choice.integer(0, 2), choice.integer(0, 2)
        if smooth:
            level += choice.integer(-999, 999) / 1313
        high, low = max(opened, level) + above, min(opened, level) - below
        if step < late or (gaps and choice.integer(0, 3) == 0):
            continue
        rows.append((now, opened * tick, high * tick, low * tick, level * tick))
    return rows or [(times[0], 20 * tick, 21 * tick, 19 * tick, 20 * tick)]


def ahead(markets: list[list[tuple[float, ...]]], times: list[float], step: int) -> list[float]:
    soon = set(times[step : step + 4])
    return sorted({p for rows in markets for row in rows if row[0] in soon for p in row[1:]}) or [10.0]


def order(coming: Coming, **fixed: Any) -> Place:
    choice, tick = coming.choice, coming.tick
    size = choice.pick([1, 2, 3, 5.0, 19.0, 20, 40.0, 0.3, 1 / 3, 0.1])
    later = coming.times[min(coming.step + choice.pick([0, 1, 2, 4]), len(coming.times) - 1)]
    drawn = {
        "data": choice.integer(0, coming.datas - 1),
        "size": choice.pick([size, -size]),
        "kind": choice.integer(0, 6),
        "price": choice.pick([coming.near(), coming.near(), coming.maybe()]),
        "limit": coming.maybe(),
        "trail_amount": choice.pick([None, 0.0, tick, 2 * tick, 0.7 * tick]),
        "trail_percent": choice.pick([None, 0.0, 0.02, 0.1]),
        "valid": choice.pick([None, None, None, 0.0, later, later + 1e-4]),
        "oco": choice.pick([None, None, None, None, 1, 2, 3]),
        "parent": choice.pick([None] * 9 + [1]),
        "transmit": choice.pick([True] * 9 + [False]),
        "coc": choice.pick([True, True, True, False]),
    }
    return Place(**{**drawn, **fixed})


def reversal(coming: Coming) -> list[Place | Withdraw | Look]:
    """A short, and a larger buy that looks cheaper than it is: cash may suffice to close but not to reverse."""
    choice = coming.choice
    alone = {"oco": None, "parent": None, "transmit": True, "data": choice.integer(0, coming.datas - 1)}
    kind = choice.pick([0, 0, 3, 5])
    short = order(coming, **alone, kind=0, price=None, limit=None, size=-choice.pick([1, 2, 5, 0.3, 20]))
    price = choice.integer(8, 18) * coming.tick
    return [short, order(coming, **alone, kind=kind, price=price, size=choice.pick([30.0, 40, 60.0, 0.7]))]


def bracket(coming: Coming) -> list[Place | Withdraw | Look]:
    alone = {"oco": None, "transmit": False, "data": coming.choice.integer(0, coming.datas - 1)}
    first = order(coming, **alone, parent=None)
    legs = {**alone, "size": -first.size}
    stop = order(coming, **legs, parent=1)
    return [first, stop, order(coming, **{**legs, "transmit": True}, parent=2)]


def commands(coming: Coming) -> list[Place | Withdraw | Look]:
    choice = coming.choice
    kind = choice.pick(["order"] * 4 + ["cancel", "cancel", "bracket", "bracket", "reversal", "look"])
    if kind == "cancel":
        return [Withdraw(choice.integer(1, 5))]
    if kind == "look":
        return [Look(choice.integer(0, coming.datas - 1), bool(choice.integer(0, 1)))]
    if kind == "order":
        return [order(coming)]
    return reversal(coming) if kind == "reversal" else bracket(coming)


def scheme(choice: Choice, tick: float) -> dict[str, Any]:
    interest = choice.pick([{}, {}, {"interest": 0.05}, {"interest": 0.31, "interest_long": True}])
    leverage = {"leverage": choice.pick([1.0, 1.0, 1.0, 2.0, 3.3])}
    kind = choice.pick(["percent", "percent", "fixed", "futures", "automargin"])
    if kind == "percent":
        return {"commission": choice.pick([0.0, 0.001, 0.0123]), **interest, **leverage}
    if kind == "fixed":
        fixed = bt.CommInfoBase.COMM_FIXED
        return {"commission": choice.pick([0.0, 0.35, 2]), "commtype": fixed, "stocklike": True, **interest}
    futures = {
        "commission": choice.pick([0.0, 0.35]),
        "mult": choice.pick([1.0, 10.0, 0.3]),
        "margin": choice.pick([1.0, 20 * tick, 7.7]),
        **interest,
        **leverage,
    }
    return futures if kind == "futures" else {**futures, "automargin": choice.pick([-1, 0.1, 0.37])}


def broker_parameters(choice: Choice, markets: list[list[tuple[float, ...]]]) -> dict[str, Any]:
    flag = lambda rare: choice.pick([False, rare])  # noqa: E731
    slip = choice.pick(["none", "none", "perc", "fixed"])
    return {
        "cash": choice.pick([60.0, 200, 10_000.0, 20 * markets[0][0][1], 1000 / 3]),
        "slip_perc": choice.pick([0.002, 0.03]) if slip == "perc" else 0.0,
        "slip_fixed": choice.pick([0.05, 0.5]) if slip == "fixed" else 0.0,
        "slip_open": flag(True),
        "slip_match": choice.pick([True, True, False]),
        "slip_limit": choice.pick([True, True, False]),
        "slip_out": choice.pick([False, False, True]),
        "coc": choice.pick([False, False, True]),
        "coo": choice.pick([False, False, True]),
        "checksubmit": choice.pick([True, True, False]),
        "shortcash": choice.pick([True, True, False]),
        "int2pnl": choice.pick([True, True, False]),
    }


def make(choice: Choice, steps: int, rounds: int) -> Flow:
    """A flow of that many bars, with commands at so many of them."""
    tick = choice.pick([0.5, 0.5, 0.1, 0.37])
    datas = choice.pick([1, 1, 2, 3])
    start, spacing = choice.pick(STARTS), choice.pick(SPACINGS)
    times = [bt.date2num(start + n * spacing) for n in range(steps)]
    smooth = choice.integer(0, 3) == 0
    markets = [market(choice, tick, times, gaps=datas > 1, smooth=smooth) for _ in range(datas)]
    real = sorted({row[0] for rows in markets for row in rows})
    script: dict[int, list[Place | Withdraw | Look]] = {}
    early: dict[int, list[Place | Withdraw | Look]] = {}
    cheats = choice.integer(0, 4) == 0
    for _ in range(rounds):
        step = choice.integer(0, len(real) - 1)
        told = early if cheats and choice.integer(0, 1) else script
        coming = Coming(choice, tick, datas, real, step, ahead(markets, real, step))
        told.setdefault(step, []).extend(commands(coming))
    return Flow(
        broker=broker_parameters(choice, markets),
        schemes=[scheme(choice, tick) for _ in range(datas)],
        markets=markets,
        session_end=choice.pick([None, clock(18), clock(12), clock(17, 59, 59, 999_990), clock(7, 13, 0, 1)]),
        script=script,
        early=early,
        room=choice.pick([1, 64, 64, 64]),
    )


# The reference


class Rows(bt.feed.DataBase):
    """Bars of one data out of a flow."""

    params = (("rows", ()),)

    def start(self) -> None:
        super().start()
        self._rows = iter(self.p.rows)

    def _load(self) -> bool:
        row = next(self._rows, None)
        if row is None:
            return False
        names = ("datetime", "open", "high", "low", "close")
        for line, value in zip(names, row, strict=True):
            getattr(self.lines, line)[0] = value
        self.lines.volume[0] = self.lines.openinterest[0] = 0.0
        return True


def number(value: float | None) -> float:
    return math.nan if value is None else float(value)


class Scripted(bt.Strategy):
    """Issues the flow's commands and writes down what the broker says."""

    params = (("flow", None),)

    def __init__(self) -> None:
        self.made: list[bt.Order] = []
        self.outcome = Outcome()
        self.step = 0
        self.opens = 0

    def notify_order(self, told: bt.Order) -> None:
        done, made = told.executed, told.created
        self.outcome.kinds[told.info.key] = told.exectype
        row = (told.info.key, told.status, self.step, made.price, made.pricelimit, done.remsize, done.size)
        self.outcome.notes.append((*row, done.price, done.value, done.comm, done.pnl, number(done.dt)))
        for bit in done.iterpending():
            closed = (bit.closed, bit.closedvalue, bit.closedcomm)
            opened = (bit.opened, bit.openedvalue, bit.openedcomm)
            row = (told.info.key, self.step, bit.dt, bit.size, bit.price)
            self.outcome.fills.append((*row, *closed, *opened, bit.pnl, bit.psize, bit.pprice))

    def notify_trade(self, trade: bt.Trade) -> None:
        number_ = next(n for n, data in enumerate(self.datas) if data is trade.data)
        bars = (trade.baropen, trade.barclose, trade.barlen)
        row = (number_, trade.ref, trade.status, trade.justopened, trade.long, *bars, self.step)
        money = (trade.value, trade.commission, trade.pnl, trade.pnlcomm)
        self.outcome.trades.append((*row, trade.dtopen, trade.dtclose, trade.size, trade.price, *money))

    def prenext(self) -> None:
        self.next()

    def next(self) -> None:
        self.outcome.steps.append((self.broker.getcash(), self.broker.getvalue()))
        self._obey(self.p.flow.script.get(self.step, ()))
        self.step += 1

    def prenext_open(self) -> None:
        self.next_open()

    def nextstart_open(self) -> None:
        self.next_open()

    def next_open(self) -> None:
        self._obey(self.p.flow.early.get(self.opens, ()))
        self.opens += 1

    def _obey(self, told: Sequence[Place | Withdraw | Look]) -> None:
        for command in told:
            if isinstance(command, Withdraw):
                if command.back <= len(self.made):
                    self.cancel(self.made[-command.back])
            elif isinstance(command, Look):
                self._look(self.datas[command.data], command.value)
            else:
                self._place(command)

    def _look(self, data: bt.DataBase, value: bool) -> None:
        if value:
            self.outcome.looks.append((self.broker.getvalue([data]), 0.0))
        else:
            held = self.getposition(data)
            self.outcome.looks.append((held.size, held.price))

    def _place(self, place: Place) -> None:
        send = self.buy if place.size > 0 else self.sell
        made = send(
            data=self.datas[place.data],
            size=abs(place.size),
            price=place.price,
            plimit=place.limit,
            exectype=place.kind,
            valid=place.valid,
            trailamount=place.trail_amount,
            trailpercent=place.trail_percent,
            oco=self._back(place.oco),
            parent=self._back(place.parent),
            transmit=place.transmit,
            key=len(self.made),
            **({} if place.coc else {"coc": False}),
        )
        self.made.append(made)

    def _back(self, back: int | None) -> bt.Order | None:
        return None if back is None or back > len(self.made) else self.made[-back]

    def stop(self) -> None:
        while (told := self.broker.get_notification()) is not None:
            self.notify_order(told)
        for data in self.datas:
            held = self.broker.positions[data]
            self.outcome.positions.append((held.size, held.price, number(held.adjbase)))


def broker_of(flow: Flow) -> bt.brokers.BackBroker:
    broker = bt.brokers.BackBroker(**flow.broker)
    for n, arguments in enumerate(flow.schemes):
        broker.setcommission(**arguments, name=f"D{n}")
    return broker


def stock(flow: Flow) -> Outcome:
    bt.Trade.refbasis = itertools.count(1)
    cerebro = bt.Cerebro(stdstats=False, cheat_on_open=bool(flow.early))
    for n, rows in enumerate(flow.markets):
        cerebro.adddata(Rows(rows=rows, sessionend=flow.session_end), name=f"D{n}")
    cerebro.setbroker(broker_of(flow))
    cerebro.addstrategy(Scripted, flow=flow)
    try:
        (strategy,) = cerebro.run()
    except IndexError as error:
        if "pop from an empty deque" not in str(error):
            raise
        return Outcome(failed="bracket lost")
    return strategy.outcome


# The compiled broker


def new_book(flow: Flow) -> Any:
    broker = broker_of(flow)
    if flow.early:  # Cerebro itself does so
        broker.set_coo(True)
    end = clock(23, 59, 59, 999_990) if flow.session_end is None else flow.session_end
    parameters = SimpleNamespace(sessionend=end)
    datas = [SimpleNamespace(_name=f"D{n}", _tz=None, p=parameters) for n in range(len(flow.markets))]
    lengths = np.array([len(rows) for rows in flow.markets])
    bars = np.full((len(datas), 6, lengths.max()), np.nan)
    for n, rows in enumerate(flow.markets):
        for row, column in zip((5, 0, 1, 2, 3), zip(*rows, strict=True), strict=True):
            bars[n, row, : len(rows)] = column
    cash, sessions = float(flow.broker["cash"]), sessions_of(datas)
    return compiled.new_book(
        bars, lengths, rules_of(broker), schemes_of(broker, datas), cash, orders=flow.room, sessions=sessions
    )


def drive(flow: Flow, book: Any) -> Outcome:
    """One run over an empty book, as a kernel would do it."""
    account, outcome = book.account[0], Outcome()
    times = sorted({row[0] for rows in flow.markets for row in rows})
    for step, now in enumerate(times):
        for n, rows in enumerate(flow.markets):
            if book.at[n] + 1 < len(rows) and rows[book.at[n] + 1][0] <= now:
                book.at[n] += 1
        obey(flow.early.get(step, ()), book, step, outcome)
        compiled.before_bar(book, step)
        outcome.steps.append((float(account["cash"]), float(account["value"])))
        tell(book, compiled.deliver(book, step), outcome)
        obey(flow.script.get(step, ()), book, step, outcome)
        if account["overflow"] or account["error"]:
            outcome.failed = "bracket lost" if account["error"] == BRACKET_LOST else "overflow"
            return outcome
    tell(book, compiled.deliver(book, len(times)), outcome)
    for position in book.positions:
        outcome.positions.append((position["size"], position["price"], position["adjust_base"]))
    return outcome


def obey(told: Sequence[Place | Withdraw | Look], book: Any, step: int, outcome: Outcome) -> None:
    for command in told:
        count = int(book.account[0]["orders"])
        if isinstance(command, Withdraw):
            if command.back <= count:
                compiled.cancel(book, count - command.back)
        elif isinstance(command, Look):
            if command.value:
                outcome.looks.append((compiled.data_value(book, command.data), 0.0))
            else:
                compiled.touch(book, command.data)
                held = book.positions[command.data]
                outcome.looks.append((float(held["size"]), float(held["price"])))
        else:
            place(command, book, step, count)


def place(command: Place, book: Any, step: int, count: int) -> None:
    optional = (command.price, command.limit, command.trail_amount, command.trail_percent)
    bits = (HAS_PRICE, HAS_LIMIT, HAS_TRAIL_AMOUNT, HAS_TRAIL_PERCENT)
    given = sum(bit for bit, value in zip(bits, optional, strict=True) if value is not None)
    given |= 0 if command.coc else NO_COC
    back = lambda n: -1 if n is None or n > count else count - n  # noqa: E731
    compiled.submit(
        book,
        step,
        command.data,
        float(command.size),
        command.kind,
        *(float(value or 0.0) for value in optional),
        given,
        number(command.valid),
        back(command.oco),
        back(command.parent),
        int(command.transmit),
        0,
    )


NOTE_FIELDS = ("price", "limit", "remaining", "filled", "average", "value", "commission", "pnl", "executed")
FILL_FIELDS = (
    *("time", "size", "price", "closed", "closed_value", "closed_commission", "opened", "opened_value"),
    *("opened_commission", "pnl", "position_size", "position_price"),
)
TRADE_FIELDS = (
    *(
        "data",
        "ref",
        "status",
        "just_opened",
        "long",
        "open_bar",
        "close_bar",
        "bars",
        "step",
        "opened",
        "closed",
    ),
    *("size", "price", "value", "commission", "pnl", "pnl_net"),
)


def tell(book: Any, news: tuple[int, int, int, int], outcome: Outcome) -> None:
    for note in book.notes[news[0] : news[1]]:
        handle, step = int(note["order"]), int(note["step"])
        row = (float(note[name]) for name in NOTE_FIELDS)
        outcome.notes.append((handle, int(note["status"]), step, *row))
        for fill in book.fills[note["fill_from"] : note["fill_to"]]:
            outcome.fills.append((handle, step, *(float(fill[name]) for name in FILL_FIELDS)))
    for trade in book.trades[news[2] : news[3]]:
        outcome.trades.append(tuple(float(trade[name]) for name in TRADE_FIELDS))


def machine(flow: Flow) -> Outcome:
    """The flow through the compiled broker, with larger books until they suffice."""
    book = new_book(flow)
    while (outcome := drive(flow, book)).failed == "overflow":
        book = compiled.grown(book, float(flow.broker["cash"]))
    return outcome


# By hand


def main() -> int:
    parser = argparse.ArgumentParser(description="Compare random order flows: stock against compiled.")
    parser.add_argument("--flows", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--seconds", type=float, default=math.inf)
    arguments = parser.parse_args()
    began, count, notes, trades, failed, different = time.monotonic(), 0, 0, 0, 0, 0
    statuses: Counter[tuple[int, int]] = Counter()
    for seed in range(arguments.seed * 1_000_000, arguments.seed * 1_000_000 + arguments.flows):
        dice = Dice(seed)
        flow = make(dice, arguments.steps, dice.integer(1, arguments.steps))
        expected, got = stock(flow), machine(flow)
        count += 1
        failed += bool(expected.failed)
        notes += len(expected.notes)
        trades += len(expected.trades)
        statuses.update((expected.kinds[int(note[0])], int(note[1])) for note in expected.notes)
        if found := expected.differences(got):
            different += 1
            if different < 6:
                print(f"--- seed {seed}", *found, sep="\n")
        if time.monotonic() - began > arguments.seconds:
            break
    for kind in range(STOP_TRAIL + 2):
        shown = ", ".join(f"{bt.Order.Status[s]} {statuses[kind, s]}" for s in range(1, 9))
        print(f"{bt.Order.ExecTypes[kind]:>14}: {shown}")
    print(f"{count} flows ({failed} in which stock raises), {notes} order notifications, {trades} trade")
    print(f"notifications, {different} flows with differences, {time.monotonic() - began:.0f} s")
    return 1 if different else 0


if __name__ == "__main__":
    raise SystemExit(main())
