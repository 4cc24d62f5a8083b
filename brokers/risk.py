"""Pre-trade risk: pure checks over an account, and the daily-loss state that outlives a restart.

Checks run before the journal is written. An order that only reduces what is held is always let through:
a limit must never lock you into a position.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal, Protocol

from brokers.base import Venue
from brokers.calendars import calendar, sessions_around
from core.errors import OrderRejected, VenueTransient
from core.telemetry import get_logger
from core.types import Fill, OrderEvent, OrderIntent, Side, to_decimal

OLD_PRICES = "its last bar is of the past: no new entries on old prices"

log = get_logger("brokers.risk")


class RiskSettings(Protocol):
    """What `risk_limits` reads from configuration."""

    max_daily_loss: float | None
    max_position_size: float | None
    max_position_value: float | None
    oversize: Literal["clip", "reject"]
    trading_calendar: str | None
    check_cash: bool


@dataclass(frozen=True, slots=True)
class Limits:
    """What an account may do; None switches a limit off.

    max_daily_loss: fraction of the day's opening equity. max_position_size in units, max_position_value in
    quote currency, both absolute. oversize: clip an order to what still fits, or reject it whole.
    trading_calendar: an exchange-calendars code (XNYS). intraday: bars shorter than a day, so that hours count.
    """

    max_daily_loss: Decimal | None = None
    max_position_size: Decimal | None = None
    max_position_value: Decimal | None = None
    oversize: Literal["clip", "reject"] = "reject"
    trading_calendar: str | None = None
    intraday: bool = False
    check_cash: bool = False


@dataclass(frozen=True, slots=True)
class Account:
    """What the checks need to know, in units and quote currency.

    entering: units (> 0) of open orders that would add to the position, per symbol and side.
    prices, lows: close and low of the last bar per symbol. stale: symbols whose last bar is not of now, see
    `feeds.bridge.LiveData.live`. bids: best bids, of the symbols that a rule wants one for.
    """

    cash: Decimal
    positions: Mapping[str, Decimal] = field(default_factory=dict)
    entering: Mapping[tuple[str, Side], Decimal] = field(default_factory=dict)
    prices: Mapping[str, Decimal] = field(default_factory=dict)
    stale: Set[str] = frozenset()
    lows: Mapping[str, Decimal] = field(default_factory=dict)
    bids: Mapping[str, Decimal] = field(default_factory=dict)

    @property
    def equity(self) -> Decimal:
        """Cash plus positions at the last price."""
        held = (size * self.prices.get(symbol, Decimal(0)) for symbol, size in self.positions.items())
        return sum(held, self.cash)

    def closing(self, intent: OrderIntent) -> Decimal:
        """Units of the order that make the position smaller."""
        held = self.positions.get(intent.symbol, Decimal(0))
        return min(intent.size, abs(held)) if held * intent.side.sign < 0 else Decimal(0)


@dataclass(frozen=True, slots=True)
class DailyLoss:
    """The loss limit's memory: which day it is, what the day opened at, and whether it is over for today."""

    day: date | None = None
    last: datetime | None = None
    opening: Decimal = Decimal(0)
    equity: Decimal = Decimal(0)
    halted: bool = False

    def mark(self, time: datetime, equity: Decimal, limit: Decimal | None) -> DailyLoss:
        """The state after seeing `equity` at `time`; a time already seen changes nothing.

        A new UTC day opens at the equity last seen, and lifts the halt.
        """
        if self.last is not None and time <= self.last:
            return self
        if self.day == time.date():
            current = replace(self, last=time, equity=equity)
        else:
            opening = equity if self.day is None else self.equity
            current = DailyLoss(time.date(), time, opening, equity)
        breached = limit is not None and equity <= current.opening * (1 - limit)
        return replace(current, halted=current.halted or breached)

    def as_dict(self) -> dict[str, Any]:
        """For the store; exact."""
        return {
            "last": self.last.isoformat() if self.last else None,
            "day": self.day.isoformat() if self.day else None,
            "opening": str(self.opening),
            "equity": str(self.equity),
            "halted": self.halted,
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> DailyLoss:
        """What `as_dict` wrote."""
        return cls(
            day=date.fromisoformat(stored["day"]) if stored["day"] else None,
            last=datetime.fromisoformat(stored["last"]) if stored["last"] else None,
            opening=Decimal(stored["opening"]),
            equity=Decimal(stored["equity"]),
            halted=bool(stored["halted"]),
        )


def risk_limits(settings: RiskSettings, *, intraday: bool = False) -> Limits:
    """Limits as configured; an unknown calendar is a ConfigError."""
    if settings.trading_calendar is not None:
        calendar(settings.trading_calendar)

    def decimal(value: float | None) -> Decimal | None:
        return None if value is None else to_decimal(value)

    return Limits(
        max_daily_loss=decimal(settings.max_daily_loss),
        max_position_size=decimal(settings.max_position_size),
        max_position_value=decimal(settings.max_position_value),
        oversize=settings.oversize,
        trading_calendar=settings.trading_calendar,
        intraday=intraday,
        check_cash=settings.check_cash,
    )


def check_order(
    intent: OrderIntent, account: Account, limits: Limits, *, halted: bool = False
) -> OrderIntent:
    """The order as it may be sent: unchanged, or clipped to the limits; raises OrderRejected otherwise."""
    if intent.size <= 0:
        raise OrderRejected("an order needs a size above zero", rule="size", value=intent.size)
    if reduces(intent, account):
        return intent
    if intent.symbol in account.stale:
        raise OrderRejected(OLD_PRICES, rule="stale_data")
    if halted:
        raise OrderRejected(
            "the daily loss limit is reached: no new entries until the next session",
            rule="max_daily_loss",
            limit=limits.max_daily_loss,
        )
    _check_session(intent, limits)
    intent = _fit_size(intent, account, limits)
    _check_cash(intent, account, limits)
    return intent


def fit_bracket(intent: OrderIntent, entry: OrderIntent | None) -> OrderIntent:
    """What protects an entry that was clipped must not sell more than it bought."""
    return replace(intent, size=entry.size) if entry and entry.size < intent.size else intent


def reduces(intent: OrderIntent, account: Account) -> bool:
    """Whether the order can only make the position smaller, or protects an entry that is still open."""
    if intent.parent is not None:
        return True
    return intent.size <= account.closing(intent)


def _check_session(intent: OrderIntent, limits: Limits) -> None:
    if limits.trading_calendar is None:
        return
    sessions = sessions_around(limits.trading_calendar, intent.bar_time.year // 10 * 10)
    day = intent.bar_time.date()
    if sessions is None or not sessions.first_session.date() <= day <= sessions.last_session.date():
        raise OrderRejected(
            f"nobody knows whether {limits.trading_calendar} was open on {intent.bar_time:%Y-%m-%d}",
            rule="trading_hours",
        )
    if limits.intraday:
        is_open = sessions.is_open_on_minute(
            intent.bar_time.replace(second=0, microsecond=0), ignore_breaks=False
        )
    else:
        is_open = sessions.is_session(day.isoformat())
    if not is_open:
        raise OrderRejected(
            f"{limits.trading_calendar} is closed at {intent.bar_time:%Y-%m-%d %H:%M} UTC",
            rule="trading_hours",
        )


def _fit_size(intent: OrderIntent, account: Account, limits: Limits) -> OrderIntent:
    held = account.positions.get(intent.symbol, Decimal(0))
    # Room on this order's side: the limit, less what is there or may still come on that side, plus what the
    # order closes first. Open orders of the other side make no room: they may never fill.
    already = held * intent.side.sign + account.entering.get((intent.symbol, intent.side), Decimal(0))
    rules = [("max_position_size", limits.max_position_size, Decimal(1))]
    price = account.prices.get(intent.symbol) or intent.reference_price
    rules.append(("max_position_value", limits.max_position_value, price))
    for rule, limit, unit in rules:
        if limit is None or unit <= 0:
            continue
        room = limit / unit - already
        if intent.size <= room:
            continue
        if limits.oversize == "reject" or room <= 0:
            value = (already + intent.size) * unit
            raise OrderRejected(
                f"{rule}: {value:f} exceeds the limit {limit:f}", rule=rule, limit=limit, value=value
            )
        intent = replace(intent, size=_whole_units(room, intent.size, account.closing(intent)))
    return intent


def _whole_units(room: Decimal, size: Decimal, closing: Decimal) -> Decimal:
    """Clip to `room`; an order for whole units stays whole, unless what it closes would be cut by that."""
    if size != size.to_integral_value() or closing != closing.to_integral_value():
        return room
    whole = room.to_integral_value(rounding="ROUND_FLOOR")
    if whole <= 0:
        raise OrderRejected(
            f"only {room:f} units still fit the position limit", rule="max_position_size", value=room
        )
    return whole


def _check_cash(intent: OrderIntent, account: Account, limits: Limits) -> None:
    if not limits.check_cash or intent.side.sign < 0:
        return
    price = intent.limit or intent.price or intent.reference_price
    cost = intent.size * price
    if cost > account.cash:
        raise OrderRejected(
            f"the order costs {cost:f}, the account holds {account.cash:f}",
            rule="cash",
            limit=account.cash,
            value=cost,
        )


class Rule(Protocol):
    """Something else that entries have to pass; see `brokers.compliance` and `brokers.portfolio_risk`."""

    def take(self, fill: Fill) -> None:
        """A fill of this run, whether new or repeated."""
        ...

    def mark(self, time: datetime, account: Account) -> None:
        """A step of the market; what has to outlive a restart is stored."""
        ...

    def wants_bid(self, intent: OrderIntent) -> bool:
        """Whether `check` needs the best bid."""
        ...

    def check(self, intent: OrderIntent, account: Account) -> OrderIntent:
        """The entry as it may be sent; raises OrderRejected."""
        ...

    def fit(self, intent: OrderIntent, account: Account) -> OrderIntent:
        """What `check` made of the entry's size when it let it pass; raises OrderRejected where it cannot have."""
        ...


class RiskGate:
    """Limits, further rules, and the daily-loss state; `save` makes a change durable before the next order is checked.

    rules are asked about entries alone. Of an order that closes a position and opens the opposite one, what closes
    it passes though they refuse the rest. watch: told of the account after every step.
    """

    def __init__(
        self,
        limits: Limits | None = None,
        *,
        daily_loss: DailyLoss | None = None,
        save: Callable[[DailyLoss], None] = lambda state: None,
        rules: Sequence[Rule] = (),
        watch: Callable[[datetime, Account], None] = lambda time, account: None,
    ) -> None:
        self.limits = limits or Limits()
        self.daily_loss = daily_loss or DailyLoss()
        self._save = save
        self._rules = rules
        self._watch = watch

    def mark(self, time: datetime, account: Account) -> None:
        """Take note of the account at `time`; stored when a day begins or the limit is hit."""
        for rule in self._rules:
            rule.mark(time, account)
        self._watch(time, account)
        if self.limits.max_daily_loss is None:
            return
        before = self.daily_loss
        self.daily_loss = before.mark(time, account.equity, self.limits.max_daily_loss)
        if self.daily_loss.day != before.day or self.daily_loss.halted != before.halted:
            self._save(self.daily_loss)

    def take(self, event: OrderEvent) -> None:
        """Take note of what happened to an order."""
        if event.fill is not None:
            for rule in self._rules:
                rule.take(event.fill)

    async def informed(self, account: Account, intent: OrderIntent, venue: Venue) -> Account:
        """The account with the best bid, where a rule wants it and the venue has one."""
        if reduces(intent, account) or not any(rule.wants_bid(intent) for rule in self._rules):
            return account
        try:
            quote = await venue.quote(intent.symbol)
        except VenueTransient:
            return account
        return account if quote is None else replace(account, bids={intent.symbol: quote.bid})

    def check(self, intent: OrderIntent, account: Account) -> OrderIntent:
        """The order as it may be sent; raises OrderRejected."""
        allowed = check_order(intent, account, self.limits, halted=self.daily_loss.halted)
        if reduces(allowed, account):
            return allowed
        try:
            for rule in self._rules:
                allowed = rule.check(allowed, account)
        except OrderRejected as refusal:
            closing = _closing_part(intent, account)
            if closing is None:
                raise
            log.warning("order.clipped", order=intent.client_id, size=closing.size, reason=refusal.message)
            return closing
        return allowed

    def readings(self, intent: OrderIntent, account: Account) -> tuple[OrderIntent, ...]:
        """What `check` may have made of an order in an earlier life, refusals apart, which depend on more."""
        closing = _closing_part(intent, account)
        found = [] if closing is None else [closing]
        try:
            allowed = check_order(intent, account, self.limits)
            if not reduces(allowed, account):
                for rule in self._rules:
                    allowed = rule.fit(allowed, account)
            found.append(allowed)
        except OrderRejected:
            pass
        return tuple(found)


def _closing_part(intent: OrderIntent, account: Account) -> OrderIntent | None:
    """What closes a position of an order that also opens one; None where there is none, or a bracket hangs on it."""
    closing = account.closing(intent)
    return replace(intent, size=closing) if closing and intent.transmit else None
