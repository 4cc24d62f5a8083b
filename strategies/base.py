"""The base class that adds typed signals, protective orders, sizing and kept state to a Backtrader strategy.

Everything it does, it does with ordinary Backtrader orders, so it runs on a stock `bt.Cerebro` and on any
broker with the same rules. Each addition is opt-in: override the hook that decides it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import backtrader as bt

from core.errors import StrategyError
from core.types import ExitReason, SignalType, TradingSignal
from strategies import sizing, stops
from strategies.growth import extended
from strategies.protection import (
    ExitPlan,
    OpenTrade,
    Slice,
    open_trade,
    trade_from_state,
    trade_state,
    wanted_slices,
)
from strategies.stops import StopPlan, Target

HOLD = TradingSignal(SignalType.HOLD)
STATE_VERSION = 1


class Strategy(bt.Strategy):
    """A strategy for one market (the first data): override `signal`, and the hooks you need.

    `signal` says after each bar what to be: LONG, SHORT, EXIT or HOLD. Entries and exits are market orders,
    filled at the next open. When an entry fills, the stop and the targets that `stop_plan` and `target_plan`
    chose are sent to the broker, as one pair a target that cancels each other; they work from the next bar
    on. Every closing order carries `exit_reason`.

    You may override `next` instead, and call `enter`, `exit` (or Backtrader's `close`) yourself. An override
    of `notify_order` or `notify_cashvalue` must call its parent's.

    exposure: the largest part of equity put into one position. leverage: how often equity may be lent.
    lot: smallest step of size; None takes whole units, or decimal fractions of a unit where units are dear.
    """

    exposure = 0.95
    leverage = 1.0
    lot: float | None = None

    def __new__(cls, *args: Any, **kwargs: Any) -> Strategy:
        """Prepare the bookkeeping, so that your `__init__` need not call this class's."""
        self: Strategy = super().__new__(cls)
        self._trade = None
        self._entry = None
        self._entry_plan = None
        self._last_exit = None
        self._restored = None
        self._adopted = ()
        return self

    _trade: OpenTrade | None
    _entry: bt.Order | None
    _entry_plan: ExitPlan | None
    _last_exit: str | None
    _restored: Mapping[str, Any] | None
    _adopted: tuple[bt.Order, ...]

    # -- what authors override

    def signal(self) -> TradingSignal:
        """The decision on the bar that just closed."""
        return HOLD

    def stop_plan(self, signal: TradingSignal) -> StopPlan | None:
        """The stop an entry gets; by default the signal's `stop` price, if it names one."""
        return None if signal.stop is None else StopPlan(price=signal.stop)

    def target_plan(self, signal: TradingSignal) -> tuple[Target, ...]:
        """Where profit is taken; by default all of it at the signal's `target` price, if it names one."""
        return () if signal.target is None else (Target(price=signal.target),)

    def size_for(self, equity: float, price: float, stop_distance: float | None) -> float:
        """Units for an entry at about `price`, before strength, scale and cash are applied."""
        return sizing.percent(equity, price, self.exposure)

    def scale(self) -> float:
        """A factor in (0, 1] for sizes, stop and target distances; 1 leaves them as they are."""
        return 1.0

    def forced_exit(self) -> ExitReason | None:
        """A reason to leave the position now, whatever `signal` says; None for none."""
        return None

    def next(self) -> None:
        """Leave if something forces it, else do what `signal` says."""
        reason = self.forced_exit() if self.position.size else None
        if reason is not None:
            self.exit(reason)
        else:
            self.act(self.signal())

    # -- what authors call

    def act(self, signal: TradingSignal) -> None:
        """Bring the position in line with `signal`; a signal for the side already held changes nothing."""
        if signal.type is SignalType.EXIT:
            self.exit(signal.exit_reason or ExitReason.SIGNAL)
        elif signal.type is SignalType.LONG:
            self.enter(1, signal)
        elif signal.type is SignalType.SHORT:
            self.enter(-1, signal)

    def enter(self, side: int, signal: TradingSignal | None = None) -> bt.Order | None:
        """Open a position (+1 long, -1 short) at the next open, closing an opposite one first.

        Returns the order, or None where nothing was sent: already there, an order under way, or size zero.
        """
        held = self.position.size
        if self._entry_alive() or held * side > 0 or (self._trade is not None and self._trade.exiting):
            return None
        if signal is None:
            signal = TradingSignal(SignalType.LONG if side > 0 else SignalType.SHORT)
        price = float(self.data.close[0])
        plan = self._plan(side, signal)
        size = self._entry_size(signal, plan, price)
        if held:
            self.exit(ExitReason.REVERSAL)
        if not size:
            return None
        self._entry_plan = plan
        self._entry = super().buy(size=size) if side > 0 else super().sell(size=size)
        return self._entry

    def exit(self, reason: ExitReason = ExitReason.SIGNAL) -> bt.Order | None:
        """Close the position at the next open and take its resting orders away; None when flat or under way.

        A protective order the broker has not accepted yet cannot be taken away: the closing order of that
        slice then joins its OCO group, so that only one of them fills.
        """
        self._cancel_entry()
        held = abs(self.position.size)
        trade = self._trade
        if not held or (trade is not None and trade.exiting):
            return None
        side = 1 if self.position.size > 0 else -1
        orders = []
        taken = 0.0
        for part in self._stand_down():
            orders.append(self._send(-side, part.size, reason, oco=part.first))
            taken += part.size
        if held > taken:
            orders.append(self._send(-side, held - taken, reason))
        if trade is not None:
            trade.exits = orders
            trade.exit_reason = str(reason)
        return orders[-1]

    @property
    def bars_held(self) -> int:
        """Bars since the one the entry filled on; 0 when flat."""
        return 0 if self._trade is None else len(self.data) - self._trade.entry_bar

    @property
    def stop_level(self) -> float | None:
        """Where the stop of the open position stands, None without one."""
        return None if self._trade is None else self._trade.stop_level

    @property
    def last_exit_reason(self) -> str | None:
        """Why the last trade was closed, None before the first."""
        return self._last_exit

    # -- kept state

    def state(self) -> dict[str, Any]:
        """What the strategy knows beyond its data, as plain JSON values: equal runs have equal states."""
        trade = self._trade
        return {
            "version": STATE_VERSION,
            "last_exit_reason": self._last_exit,
            "entry_pending": self._entry_alive(),
            "trade": None if trade is None else {**trade_state(trade), "bars_held": self.bars_held},
        }

    def restore(self, state: Mapping[str, Any], orders: Iterable[bt.Order] = ()) -> None:
        """Go on from `state`, which `state()` gave, at the next bar on which the position is seen.

        orders: this strategy's orders still resting at the broker; those tagged with an `exit_reason` are
        taken away and sent anew at the levels kept, so that nothing rests twice.
        """
        if state.get("version") != STATE_VERSION:
            raise StrategyError(
                f"the kept state has version {state.get('version')!r}, this strategy reads {STATE_VERSION}",
                hint="start without resuming",
            )
        self._last_exit = state["last_exit_reason"]
        self._restored = state["trade"]
        self._adopted = tuple(order for order in orders if order.info.get("exit_reason"))

    # -- Backtrader calls these

    def notify_order(self, order: bt.Order) -> None:
        """Protect an entry as soon as it fills; note why a position was closed."""
        if order.status in (bt.Order.Partial, bt.Order.Completed):
            reason = order.info.get("exit_reason")
            if reason:
                self._last_exit = str(reason)
            self._reconcile()

    def notify_cashvalue(self, cash: float, value: float) -> None:
        """Once a bar, before `next`: bring the resting orders in line with what is held."""
        self._reconcile()
        trade = self._trade
        if trade is not None and len(self.data) > trade.entry_bar:
            best = float(self.data.high[0] if trade.plan.side > 0 else self.data.low[0])
            trade.high_water = trade.plan.side * max(
                trade.plan.side * trade.high_water, trade.plan.side * best
            )

    def close(self, data: Any = None, size: float | None = None, **kwargs: Any) -> bt.Order | None:
        """Backtrader's `close`; of a whole position in the strategy's market it is `exit`."""
        if not self._protects(data) or size is not None or kwargs.get("exectype"):
            return super().close(data=data, size=size, **kwargs)
        return self.exit(ExitReason(kwargs.get("exit_reason", ExitReason.SIGNAL)))

    def buy(self, data: Any = None, size: float | None = None, **kwargs: Any) -> bt.Order | None:
        """Backtrader's `buy`; against a protected short it takes the protection into account."""
        if self.position.size < 0 and self._protects(data):
            return self._against(1, size, kwargs)
        return super().buy(data=data, size=size, **kwargs)

    def sell(self, data: Any = None, size: float | None = None, **kwargs: Any) -> bt.Order | None:
        """Backtrader's `sell`; against a protected long it takes the protection into account."""
        if self.position.size > 0 and self._protects(data):
            return self._against(-1, size, kwargs)
        return super().sell(data=data, size=size, **kwargs)

    # -- entries and exits

    def _plan(self, side: int, signal: TradingSignal) -> ExitPlan:
        scale = self.scale()
        stop = self.stop_plan(signal)
        targets = self.target_plan(signal)
        stops.check_targets(targets)
        lot = self.lot or sizing.natural_lot(float(self.broker.getvalue()), float(self.data.close[0]))
        return ExitPlan(side, stop.scaled(scale) if stop else None, targets, lot, scale)

    def _entry_size(self, signal: TradingSignal, plan: ExitPlan, price: float) -> float:
        """Units the account can pay once an opposite position is closed, in whole lots."""
        cash = float(self.broker.getcash())
        if self.position.size:
            cash += float(self.broker.getvalue([self.data]))
        level = plan.stop.level(price, plan.side) if plan.stop else None
        distance = abs(price - level) if level is not None else None
        wanted = self.size_for(float(self.broker.getvalue()), price, distance)
        wanted *= plan.scale * min(max(signal.strength, 0.0), 1.0)
        paid = sizing.affordable(wanted, cash * self.exposure, price, self.leverage)
        return sizing.round_down(paid, plan.lot)

    def _send(
        self,
        side: int,
        size: float,
        reason: ExitReason,
        *,
        exectype: int | None = None,
        price: float | None = None,
        oco: bt.Order | None = None,
        trailpercent: float | None = None,
        trailamount: float | None = None,
    ) -> bt.Order:
        """An exit of the base class itself, past the checks that authors' own orders go through."""
        send = super().buy if side > 0 else super().sell
        return send(
            size=size,
            exectype=exectype,
            price=price,
            oco=oco,
            trailpercent=trailpercent,
            trailamount=trailamount,
            exit_reason=reason,
        )

    def _against(self, side: int, size: float | None, kwargs: dict[str, Any]) -> bt.Order | None:
        """An author's order against a protected position: it closes or reverses it, and takes its stop away."""
        held = abs(self.position.size)
        wanted = abs(self.getsizing(self.data, isbuy=side > 0) if size is None else size)
        if kwargs.get("exectype") not in (None, bt.Order.Market) or wanted < held:
            raise StrategyError(
                "a position with a stop or target cannot also be reduced by your own order",
                hint="use exit() or close(), or give target_plan() a share to take off",
            )
        closing = self.exit(ExitReason.REVERSAL if wanted > held else ExitReason.SIGNAL)
        if wanted == held:
            return closing
        send = super().buy if side > 0 else super().sell
        return send(size=wanted - held, **kwargs)

    def _protects(self, data: Any) -> bool:
        """Whether `data` is the strategy's market and orders of ours rest in it."""
        mine = data is None or data is self.data or data == self.data._name
        return mine and self._trade is not None and bool(self._trade.slices)

    def _entry_alive(self) -> bool:
        return self._entry is not None and self._entry.alive()

    def _cancel_entry(self) -> None:
        self._cancel(self._entry)

    def _cancel(self, order: bt.Order | None) -> None:
        if order is not None and order.alive():
            self.cancel(order)

    # -- protection

    def _stand_down(self) -> list[Slice]:
        """Take the resting exits away; returns the slices whose orders could not be cancelled yet."""
        if self._trade is None:
            return []
        self._tighten()
        slices = self._trade.slices
        self._trade.slices = []
        for part in slices:
            self._cancel(part.stop)
            self._cancel(part.target)
        return [part for part in slices if part.alive]

    def _reconcile(self) -> None:
        """Make the resting orders fit the position; does nothing when they do."""
        held = float(self.position.size)
        trade = self._trade
        if not held:
            if trade is not None:
                self._stand_down()
                self._cancel_filled_entry(trade)
                self._trade = None
            return
        side = 1 if held > 0 else -1
        if trade is None or trade.plan.side != side or self._restored is not None:
            self._stand_down()
            trade = self._opened(side)
            self._trade = trade
        elif self._entry_alive() or trade.size < abs(held):
            trade.entry_price = float(self.position.price)
        trade.size = max(trade.size, abs(held))
        self._tighten()
        if not trade.exiting:
            self._settle(trade, abs(held))

    def _cancel_filled_entry(self, trade: OpenTrade) -> None:
        """A stop that fires while the entry is still filling takes the rest of the entry with it."""
        if self._entry_plan is trade.plan:
            self._cancel_entry()

    def _opened(self, side: int) -> OpenTrade:
        """The trade a first fill opened: by our entry, by state kept from an earlier life, or by an author's order."""
        price, size, bar = float(self.position.price), abs(float(self.position.size)), len(self.data)
        if self._restored is not None:
            kept = self._restored
            self._restored = None
            if kept["side"] == side:
                return self._resumed(kept)
        plan = self._entry_plan
        if plan is None or plan.side != side:
            plan = self._plan(side, TradingSignal(SignalType.LONG if side > 0 else SignalType.SHORT))
        return open_trade(plan, price, size, bar)

    def _resumed(self, kept: Mapping[str, Any]) -> OpenTrade:
        """The trade of an earlier life; its resting orders are taken away, to be sent anew."""
        for order in self._adopted:
            self._cancel(order)
        return trade_from_state(kept, len(self.data) - int(kept["bars_held"]))

    def _settle(self, trade: OpenTrade, held: float) -> None:
        """Send what is missing; fewer kinds of order after each refusal, the market order as the last resort."""
        if any(part.refused and not part.part for part in trade.slices):
            trade.refusals += 1
        for part in trade.slices:
            if part.closed:
                trade.targets = [target for target in trade.targets if target.price != part.target_price]
        trade.slices = [part for part in trade.slices if not part.closed]
        if not trade.targets and trade.stop_level is None:
            trade.slices = []
        if trade.slices and not trade.broken(held):
            return
        if getattr(self.broker, "protects_in_parts", False) and extended(self, trade, held):
            return
        if trade.refusals == 1:
            trade.targets = []
        if trade.refusals > 1:
            self.exit(ExitReason.RISK)
        elif not self._stand_down():
            # A stop may have filled before its cancel came.
            held = abs(float(self.position.size))
            if held:
                self._arm(trade, held, held)

    def _arm(self, trade: OpenTrade, units: float, held: float) -> None:
        """Send a stop and a target for every slice of `units`, of `held` in all."""
        shares = [min(1.0, target.share * trade.size / held) for target in trade.targets]
        trade.slices = wanted_slices(trade, sizing.split(units, shares, trade.plan.lot))
        for part in trade.slices:
            if trade.stop_level is not None and trade.plan.stop is not None:
                part.stop = self._send_stop(trade, trade.plan.stop, part.size)
            if part.target_price is not None:
                part.target = self._send(
                    -trade.plan.side,
                    part.size,
                    ExitReason.PROFIT_TARGET,
                    exectype=bt.Order.Limit,
                    price=part.target_price,
                    oco=part.stop,
                )

    def _send_stop(self, trade: OpenTrade, plan: StopPlan, size: float) -> bt.Order:
        side, level = trade.plan.side, trade.stop_level
        if not plan.trailing:
            return self._send(-side, size, ExitReason.STOP_LOSS, exectype=bt.Order.Stop, price=level)
        fraction = plan.trail_fraction()
        distance = None if fraction is not None else plan.offset(trade.entry_price)
        return self._send(
            -side,
            size,
            ExitReason.TRAILING_STOP,
            exectype=bt.Order.StopTrail,
            price=stops.trail_reference(float(level or 0.0), side, distance=distance, fraction=fraction),
            trailpercent=fraction,
            trailamount=distance,
        )

    def _tighten(self) -> None:
        """Take the trailing level over from the orders at the broker; it never loosens."""
        trade = self._trade
        if trade is None:
            return
        for part in trade.slices:
            if part.stop is not None:
                trade.stop_level = stops.tighter(
                    trade.stop_level, float(part.stop.created.price), trade.plan.side
                )
