"""Backtrader's broker under realistic costs: it asks the pure functions of `brokers`, and books what they say.

Everything they do not change is `BackBroker`'s own code: queues, groups, brackets, the booking of a fill.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import TYPE_CHECKING, Any

import backtrader as bt

from brokers import conditions
from brokers.conditions import Conditions, Piece
from brokers.costs import Costs, funding_of, spread_of
from brokers.intents import utc
from brokers.matching import NOTHING, STOP_LIMITS, STOPS, Match
from brokers.movements import Movement, movements
from brokers.order_scaling import scale_order, scale_position, scale_trades
from brokers.schedule import Every, Schedule
from core.errors import ConfigError
from core.types import Bar, OrderType
from engine.realistic_margin import MarginBroker
from engine.recording import ORDER_TYPES

if TYPE_CHECKING:
    import pandas as pd

STOPS_AT_MARKET = STOPS - STOP_LIMITS


@dataclass(frozen=True, slots=True)
class Seen:
    """A Backtrader order as `brokers.matching` sees it."""

    type: OrderType
    buy: bool
    price: float
    limit: float
    triggered: bool
    created: datetime
    session_end: datetime | None
    noted_close: float | None


class RealisticBroker(MarginBroker):
    """`BackBroker` under `costs`.

    movements: what happened to the account beside its fills, oldest first.
    """

    params: Any = (("costs", Costs()),)

    def init(self) -> None:
        """Reset the bookkeeping; Backtrader calls this on creation and before a run."""
        super().init()
        self.terms = self.p.costs.margin
        self._market: defaultdict[Any, Conditions] = defaultdict(Conditions)
        self._made: dict[int, tuple[int, datetime]] = {}
        self._leaving: list[tuple[bt.Order, int, datetime, int]] = []
        self._size = 0.0
        self._spreads: dict[str, Schedule | float] = {}
        self._fundings: dict[str, Schedule | Every | None] = {}
        self._carries: dict[str, bool] = {}

    def start(self) -> None:
        """Take over how much fills."""
        super().start()
        self.p.filler = self._of_this_bar
        self._window = self.p.costs.model.bars
        for data in self.cerebro.datas:
            self._spreads[data._name] = spread_of(self.p.costs, data._name)
            self._fundings[data._name] = funding_of(self.p.costs, data._name)
            self._carries[data._name] = self.p.costs.carries(data._name)

    # -- Backtrader calls these

    def submit(self, order: bt.Order, check: bool = True) -> bt.Order:
        """Note when the order set out."""
        self._made[order.ref] = self._market[order.data].bars, utc(bt.num2date(order.created.dt))
        return super().submit(order, check)

    def cancel(self, order: bt.Order, bracket: bool = False) -> bool:
        """As `BackBroker`; what a strategy asks for is on its way as long as an order is."""
        if bracket or not self.p.costs.delays:
            return bool(super().cancel(order, bracket))
        market = self._market[order.data]
        if order.alive() and market.bar is not None:
            self._leaving.append((order, market.bars, market.bar.time, next(reversed(self._made))))
        return False

    def next(self) -> None:
        """One step: what the account is charged, cancels that arrive, then as `BackBroker`; then the margin."""
        for data in self.cerebro.datas:
            if len(data) > self._market[data].bars:
                self._take_bar(data)
        if self._leaving:
            self._cancel_arrived()
        super().next()
        self.settle_margin()

    # -- bars

    def _take_bar(self, data: Any) -> None:
        costs, name, before = self.p.costs, data._name, self._market[data].bar
        bar = _bar_of(data)
        if before is not None and self._carries[name]:
            size, funding = self.positions[data].size, self._fundings[name]
            for movement in movements(costs, funding, name, size, before.close, before.time, bar.time):
                self._apply(data, movement)
        self._market[data] = self._market[data].take(bar, self._window)

    def _apply(self, data: Any, movement: Movement) -> None:
        self.movements.append(movement)
        self.cash += movement.cash
        if movement.ratio == 1.0 and not movement.lowered:
            return
        scale_position(self.positions[data], movement.ratio)
        scale_trades(self.cerebro.runningstrats, data, movement.ratio)
        for order in self._waiting(data):
            scale_order(order, ORDER_TYPES[order.exectype], movement)
        self._market[data] = self._market[data].scaled(movement.ratio, movement.lowered)
        if data._name in self._marks:
            self._marks[data._name] = self._marks[data._name] / movement.ratio - movement.lowered

    def _waiting(self, data: Any) -> Iterator[bt.Order]:
        """Orders of a data that can still fill, those held back for their bracket too."""
        found = chain(self.pending, self.submitted, *self._pchildren.values())
        return iter({o.ref: o for o in found if o.data is data and o.alive()}.values())

    def _cancel_arrived(self) -> None:
        leaving, self._leaving = self._leaving, []
        for order, bars, time, last in leaving:
            if not conditions.has_arrived(self.p.costs, time, bars, self._market[order.data]):
                if order.alive():
                    self._leaving.append((order, bars, time, last))
            elif order in self.pending:
                self._withdraw(order, last)

    def _withdraw(self, order: bt.Order, last: int) -> None:
        """Cancel, and with it what had joined its group when that was asked for; later ones stay a group."""
        leader = self._ocos[self._ocos[order.ref]]
        members = self._ocol.get(leader, [])
        later = [ref for ref in members if ref > last]
        if later:
            self._ocol[leader] = [ref for ref in members if ref <= last]
        super().cancel(order)
        if later:
            self._ocol[leader] = later

    # -- fills

    def _try_exec(self, order: bt.Order) -> None:
        """What the bar does to the order, by `brokers.matching`, and how much of it at what price."""
        market = self._market[order.data]
        if market.bar is None or not self._has_arrived(order, market) or self._runs_out(order):
            return
        seen = self._seen(order)
        matched = conditions.match(seen, market.bar, in_part=bool(order.executed.size))
        if matched is NOTHING:
            return
        if matched.triggered:
            order.triggered = True
        if matched.price is not None:
            self._fill(order, seen, matched, market)
        if matched.noted_close is not None:
            order.pannotated = matched.noted_close
        if matched.trail_by is not None and order.alive():
            order.trailadjust(matched.trail_by)

    def _has_arrived(self, order: bt.Order, market: Conditions) -> bool:
        if not self.p.costs.delays or self._closing.get(order.data) is order:
            return True
        bars, time = self._made[order.ref]
        return conditions.has_arrived(self.p.costs, time, bars, market)

    def _runs_out(self, order: bt.Order) -> bool:
        """A market order that has to wait ends with its time in force; Backtrader never lets one wait."""
        if order.exectype != bt.Order.Market or not order.valid or not self.p.costs.makes_wait:
            return False
        if order.data.datetime[0] <= order.valid:
            return False
        order.status, order.executed.dt = order.Expired, order.data.datetime[0]
        self.notify(order)
        self._ococheck(order)
        self._bracketize(order, cancel=True)
        return True

    def _seen(self, order: bt.Order) -> Seen:
        kind, created = ORDER_TYPES[order.exectype], order.created
        close = kind is OrderType.CLOSE
        return Seen(
            kind,
            order.isbuy(),
            created.price,
            created.pricelimit,
            bool(order.triggered),
            self._made[order.ref][1],
            utc(bt.num2date(order.dteos)) if close else None,
            order.pannotated if close else None,
        )

    def _fill(self, order: bt.Order, seen: Seen, matched: Match, market: Conditions) -> None:
        before = order.executed.size
        piece = conditions.piece_of(
            self.p.costs,
            self._spreads[order.data._name],
            seen,
            matched,
            market,
            remaining=order.executed.remsize,
            ordered=order.size,
            held=self.positions[order.data].size,
        )
        if piece.size:
            self._execute_piece(order, piece, ago=-1 if matched.previous_bar else 0)
        traded = abs(order.executed.size - before)
        if traded:
            self._market[order.data] = market.filled(traded, before=matched.previous_bar)
            left = order.executed.remsize if order.alive() else 0.0
            self.movements.extend(conditions.noted(order.data._name, market, traded, piece, left))
        if order.alive() and seen.type in STOPS_AT_MARKET:
            order.triggered = True

    def _execute_piece(self, order: bt.Order, piece: Piece, ago: int) -> None:
        whole = isinstance(order.size, int) and float(piece.size).is_integer()
        size = int(piece.size) if whole else piece.size
        if conditions.takes_the_rest(order.executed.remsize, size):
            order.executed.remsize = size
        if self.p.costs.margin is None:
            self._size = abs(size)
            self._execute(order, ago=ago, price=piece.price)
        else:
            self.trade_on_margin(order, size, piece.price, ago)

    def _of_this_bar(self, order: bt.Order, price: float, ago: int) -> float:
        """The filler: what was decided, without a sign."""
        return self._size


def realistic(
    broker: bt.brokers.BackBroker, costs: Costs, frames: Mapping[str, pd.DataFrame]
) -> RealisticBroker:
    """A broker with the cash and the commission schemes of `broker`, under `costs`.

    frames: the bars it will see, by symbol. Raises ConfigError for what the two cannot do together, for costs of
    symbols that are not traded, and for a share of volumes that are all 0.
    """
    _check_broker(broker, costs)
    check_symbols(costs, frames)
    parameters = {**dict(broker.p._getkwargs()), "costs": costs}
    made = RealisticBroker(**parameters)
    made.comminfo = broker.comminfo
    return made


def check_symbols(costs: Costs, frames: Mapping[str, pd.DataFrame]) -> None:
    """Raise ConfigError for costs of symbols that are not traded, and for shares of volumes that are all 0."""
    unknown = sorted(costs.symbols() - set(frames))
    if unknown:
        raise ConfigError(
            f"costs are given for {', '.join(unknown)}, of which there are no bars",
            hint=f"name the data as it is named: {', '.join(frames)}",
        )
    if costs.volume_share is None:
        return
    for name, frame in frames.items():
        if not (frame["volume"].to_numpy() > 0).any():
            raise ConfigError(
                f"{name} has no volume, of which volume_share would be a part",
                hint="leave volume_share out, or load bars with volumes",
            )


def _check_broker(broker: bt.brokers.BackBroker, costs: Costs) -> None:
    if type(broker) is not bt.brokers.BackBroker:
        raise ConfigError(
            f"costs are charged by a broker of their own, and a {type(broker).__name__} is given too",
            hint="give an ordinary backtrader.brokers.BackBroker, or leave costs out",
        )
    given = [name for name in ("slip_perc", "slip_fixed", "filler", "coc", "coo") if getattr(broker.p, name)]
    if given:
        raise ConfigError(
            f"the broker sets {', '.join(given)}, and costs are given too",
            hint="set slippage and volumes in costs; cheat-on-open and cheat-on-close go without costs",
        )
    if costs.margin is None:
        return
    plain = all(scheme.stocklike and scheme.get_leverage() == 1 for scheme in broker.comminfo.values())
    if not (plain and broker.p.shortcash and broker.p.checksubmit):
        raise ConfigError(
            "costs.margin goes with plain commission schemes alone",
            hint="leave margin=, leverage=, shortcash=False and checksubmit=False off the broker, or margin off the costs",
        )


def _bar_of(data: Any) -> Bar:
    return Bar(
        data._name,
        utc(bt.num2date(data.datetime[0])),
        data.open[0],
        data.high[0],
        data.low[0],
        data.close[0],
        data.volume[0],
    )
