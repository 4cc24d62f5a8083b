"""The Backtrader broker over any venue.

It keeps Backtrader's own bookkeeping (positions, cash, values, order objects) by Backtrader's arithmetic, and
leaves every decision about an order to the venue: `submit` and `cancel` go through risk, journal and venue,
and what comes back changes the order objects exactly as the stock broker would.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import backtrader as bt

from brokers.booking import book_fill
from brokers.ending import Left, flatten, units
from brokers.gateway import Gateway
from brokers.intents import ORDER_TYPES, Place, intent_of, utc
from brokers.movements import Movement
from brokers.order_objects import move_stop, resize, signed_size, split_commission
from brokers.order_scaling import scale_order, scale_position, scale_trades
from brokers.venue_decides import VenueDecides
from core.errors import InconsistentState, StrategyError, VenueTransient
from core.telemetry import get_logger
from core.types import (
    Bar,
    EventKind,
    ExitReason,
    Fill,
    OrderEvent,
    OrderIntent,
    OrderStatus,
)
from feeds.bridge import LiveData

log = get_logger("brokers.bridge")

# The stock broker would send the whole bracket a second time.
ALREADY_SENT = (bt.Order.Submitted, bt.Order.Accepted, bt.Order.Partial, bt.Order.Completed)


class VenueBroker(VenueDecides, bt.brokers.BackBroker):
    """Orders to a venue through `gateway`; `cash` is what the account held when the run began.

    bot and strategy enter the client order ids. ending: see `brokers.ending`.
    """

    params: Any = (("gateway", None), ("bot", "default"), ("strategy", ""), ("ending", None))

    def init(self) -> None:
        """Reset the bookkeeping; Backtrader calls this on creation and before a run."""
        super().init()
        self._orders_by_id: dict[str, bt.Order] = {}
        self._ids: dict[int, str] = {}
        self._group_of: dict[int, bt.Order] = {}
        self._legs: defaultdict[tuple[str, datetime], int] = defaultdict(int)
        self._lengths: dict[bt.feed.DataBase, int] = {}
        self._number = 0
        self.movements: list[Movement] = []
        self._traded: list[bt.feed.DataBase] = []
        self.stopped_early = self.flattened = False
        self.left = Left()
        self._time = datetime.min.replace(tzinfo=UTC)
        self.pending: deque[bt.Order] = deque()

    def start(self) -> None:
        """Connect and recover before the first bar."""
        super().start()
        self._traded = [data for data in self.cerebro.datas if not _derived(data)]
        self.gateway.start()
        for data in self._traded:
            if isinstance(data, LiveData):
                data.wait_for(self.gateway.wake, lambda: self.gateway.news)

    def stop(self) -> None:
        """At the end, check that journal and venue agree; then close the session."""
        super().stop()
        try:
            self._take(self.gateway.wind_up())
        except VenueTransient as error:
            log.warning("session.not_wound_up", reason=error.message)
        if not self.stopped_early:
            self.gateway.finish()
        elif self.p.ending is not None and not self.gateway.recovering:
            try:
                self.gateway.agree()
            except VenueTransient as error:
                log.warning("session.not_compared", reason=error.message)
        sizes = {data._name: units(position.size) for data, position in self.positions.items()}
        held = {name: size for name, size in sizes.items() if size}
        self.left = Left(held, sum(order.alive() for order in self.pending))
        self.gateway.stop()

    @property
    def gateway(self) -> Gateway:
        """The door to the executor."""
        gateway: Gateway = self.p.gateway
        return gateway

    @property
    def protects_in_parts(self) -> bool:
        """Whether exits that rest are to stay where an entry fills further: a venue goes on while nobody runs."""
        return self.gateway.hears_late

    # -- Backtrader calls these

    def next(self) -> None:
        """One market step: hand the new bars over, take in what happened, value the account; or news between bars.

        A stop takes effect here, before a step: a step is taken with all of its bars or not at all, so that
        a run that goes on later repeats it whole. What is to be closed is known once the run has recovered.
        """
        bars = self._new_bars()
        if self.gateway.stop_requested and (bars or self._waiting()) and not self._yet_to_recover():
            if self.p.ending == "flatten":
                self.flattened = flatten(self)
            self.stopped_early = True
            self.cerebro.runstop()
            return
        if not bars and (self.gateway.news or self.gateway.missed or self._idle()):
            self.hear()
            return
        self._number += 1
        stale = {d._name for d in self._traded if isinstance(d, LiveData) and not d.live}
        events = self.gateway.step(self._number, self._time, bars, stale)
        moved = self.gateway.movements(self._number)
        self._move(moved)
        self._take(events)
        self._get_value()
        self._liquidate(moved)

    def hear(self) -> None:
        """Take in what happened to orders since the last bar, and while nobody ran."""
        told = self.gateway.news or self.gateway.missed
        self._take(self.gateway.between_bars() if told else [])

    def submit(self, order: bt.Order, check: bool = True) -> bt.Order:
        """Send one order; its status is up to date when this returns.

        What a strategy's `stop` orders after an early end is refused: the run is to go on as if not stopped.
        """
        if self.stopped_early:
            order.reject()
            self.notify(order)
            return order
        if order.parent is not None and order.parent.status in ALREADY_SENT:
            raise StrategyError(
                "a child order was made for an order that was already sent",
                hint="make the entry with transmit=False, as buy_bracket does, or the child without parent=",
            )
        intent = self._intent(order)
        self._orders_by_id[intent.client_id] = order
        self._ids[order.ref] = intent.client_id
        submission = self.gateway.submit(intent)
        if submission.intent.size != intent.size:
            resize(order, submission.intent.signed_size)
        self._take(submission.events)
        return order

    def cancel(self, order: bt.Order, bracket: bool = False) -> bool:
        """Ask for a cancel; False when it was too late."""
        client_id = self._ids.get(order.ref)
        if client_id is None or not order.alive() or self.stopped_early:
            return False
        events = self.gateway.cancel(client_id, self._time)
        self._take(events)
        return bool(events)

    def client_id(self, order: bt.Order) -> str | None:
        """The client order id of an order (or of a notified copy of it)."""
        return self._ids.get(order.ref)

    def _ocoize(self, order: bt.Order, oco: bt.Order | None) -> None:
        if oco is not None:
            self._group_of[order.ref] = oco

    # -- the market

    def _new_bars(self) -> dict[str, Bar]:
        bars: dict[str, Bar] = {}
        for data in self._traded:
            if len(data) > self._lengths.get(data, 0):
                self._lengths[data] = len(data)
                bars[data._name] = bar_of(data)
        if bars:
            self._time = max(bar.time for bar in bars.values())
        return bars

    def _idle(self) -> bool:
        """Whether this round of Backtrader's loop had no bar because none is due yet; waits for the next."""
        waiting = self._waiting()
        if waiting:
            seconds = min(data.seconds_to_next() for data in waiting)
            self.gateway.wait(seconds, stopping=self._yet_to_recover())
        return bool(waiting)

    def _yet_to_recover(self) -> bool:
        """Whether it is not known yet what a stop has to close."""
        return self.p.ending == "flatten" and self.gateway.recovering

    def _waiting(self) -> list[LiveData]:
        """Live datas that will still have bars."""
        return [data for data in self._traded if isinstance(data, LiveData) and not data.ended]

    # -- orders out

    def _intent(self, order: bt.Order) -> OrderIntent:
        data = order.data
        if _derived(data):
            raise StrategyError(
                f"an order was made on {data._name or 'a resampled data'}, which is not traded",
                hint="make it on the data it was resampled from",
            )
        bar_time = _bar_time(data)
        key = (data._name, bar_time)
        self._legs[key] += 1
        group = self._group_of.get(order.ref)
        place = Place(
            bot=self.p.bot,
            strategy=self.p.strategy,
            symbol=data._name,
            bar_time=bar_time,
            leg=self._legs[key],
            oco=self._ids[group.ref] if group is not None else None,
            parent=self._ids[order.parent.ref] if order.parent is not None else None,
        )
        return intent_of(order, place)

    # -- what happens to the account beside its fills

    def _move(self, moved: Sequence[Movement]) -> None:
        """Money, and splits of what is held and what rests; before the fills of the step."""
        self.movements.extend(moved)
        for movement in moved:
            self.cash += movement.cash
            if movement.ratio == 1.0 and not movement.lowered:
                continue
            data = self.cerebro.datasbyname[movement.symbol]
            scale_position(self.positions[data], movement.ratio)
            scale_trades(self.cerebro.runningstrats, data, movement.ratio)
            for order in self._orders_by_id.values():
                if order.data is data and order.alive():
                    scale_order(order, ORDER_TYPES[order.exectype], movement)

    def _liquidate(self, moved: Sequence[Movement]) -> None:
        """Close what the venue asks for, before the strategy decides anything."""
        for movement in moved:
            if movement.kind == "liquidation":
                close = self.buy if movement.units > 0 else self.sell
                data, owner = self.cerebro.datasbyname[movement.symbol], self.cerebro.runningstrats[0]
                close(owner, data, abs(movement.units), exit_reason=ExitReason.RISK)

    # -- events in

    def _take(self, events: Iterable[OrderEvent]) -> None:
        for event in events:
            self._apply(event)

    def _apply(self, event: OrderEvent) -> None:
        """Change the order object as the stock broker would, and queue the notification."""
        order = self._orders_by_id.get(event.client_id)
        if order is None:
            raise InconsistentState(
                f"order {event.client_id} is told of before it was made again",
                hint="a run that goes on needs the bars it began with: give fromdate=, or remember=",
            )
        if event.kind is EventKind.TRAIL:
            move_stop(order, event)
            return
        if event.kind is EventKind.TRIGGERED:
            order.triggered = True
            return
        if event.fill is not None:
            self._fill(order, event.fill)
            if event.status is OrderStatus.FILLED and order.executed.remsize:
                # Whole lots, less what a commission took: nothing more will come of it.
                order.executed.remsize = 0
                order.completed()
        else:
            self._set_status(order, event.status)
        if order.alive() and order.status != bt.Order.Submitted:
            if order not in self.pending:
                self.pending.append(order)
        elif order in self.pending:
            self.pending.remove(order)
        self.notify(order)

    def _set_status(self, order: bt.Order, status: OrderStatus) -> None:
        if status is OrderStatus.SUBMITTED:
            order.submit()
            self.orders.append(order)
        elif status is OrderStatus.ACCEPTED:
            order.submit()
            order.accept()
        elif status is OrderStatus.CANCELLED:
            order.cancel()
        elif status is OrderStatus.MARGIN:
            order.margin()
        elif status is OrderStatus.REJECTED:
            order.reject()
        elif status is OrderStatus.EXPIRED:
            order.status = bt.Order.Expired
            order.executed.dt = order.data.datetime[0]

    def _fill(self, order: bt.Order, fill: Fill) -> None:
        """Book one execution by the stock broker's arithmetic, in its order of operations."""
        size = signed_size(order, fill, self.positions[order.data].size, in_parts=self.protects_in_parts)
        paid, time = float(fill.commission), fill.time.replace(tzinfo=None)
        book_fill(
            self,
            order,
            size,
            float(fill.price),
            lambda closed, opened: split_commission(paid, closed, opened),
            bt.date2num(time),
            time,
        )


def _derived(data: bt.feed.DataBase) -> bool:
    return bool(data._clone or data.resampling or data.replaying)


def _bar_time(data: bt.feed.DataBase) -> datetime:
    return utc(bt.num2date(data.datetime[0]))


def bar_of(data: bt.feed.DataBase) -> Bar:
    """The last bar of a data."""
    return Bar(
        symbol=data._name,
        time=_bar_time(data),
        open=data.open[0],
        high=data.high[0],
        low=data.low[0],
        close=data.close[0],
        volume=data.volume[0],
    )
