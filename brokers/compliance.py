"""Compliance: rules of regulators, and of your own, for what may be entered. All are off until configured.

The rules are pure functions over plain values; `Compliance` feeds them with what was filled, and is one of the
`rules` of a `RiskGate`, which asks it about entries alone. Day trades and losses are counted from the fills in the
journal, those of the bot's earlier runs included, so a restart forgets none.

They take the run's part of an account for all of it: what you or another program trade there is not seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal, Protocol

from brokers.calendars import business_days, check_calendar, local_day
from brokers.risk import Account
from core.errors import ConfigError, OrderRejected
from core.telemetry import get_logger
from core.types import Fill, OrderIntent, OrderType, Side, is_dust, to_decimal

CIRCUIT_BREAKER = Decimal("0.9")
"""Part of the previous close at which the price test of short sales begins."""
REMEMBERED = timedelta(days=60)
"""Longer than any window of day trades."""
NEW_YORK = "XNYS"
ZERO = Decimal(0)

log = get_logger("brokers.compliance")


class ComplianceSettings(Protocol):
    """What `compliance_rules` reads from configuration."""

    pattern_day_trader: bool
    account: Literal["margin", "cash"]
    day_trades: int
    day_trade_days: int
    day_trade_equity: float
    wash_sale: Literal["off", "flag", "block"]
    wash_sale_days: int
    restricted: str | None
    short_sales: Literal["allow", "forbid"]
    hard_to_borrow: str | None
    uptick_rule: bool
    calendar: str


@dataclass(frozen=True, slots=True)
class Rules:
    """Which rules hold. day_trades: None switches that rule off. restricted: reason by symbol; intraday: see `Limits`."""

    day_trades: int | None = None
    day_trade_days: int = 5
    day_trade_equity: Decimal = Decimal(25_000)
    wash_sale: Literal["off", "flag", "block"] = "off"
    wash_sale_days: int = 30
    restricted: Mapping[str, str] = field(default_factory=dict)
    short_sales: bool = True
    hard_to_borrow: Set[str] = frozenset()
    uptick_rule: bool = False
    calendar: str = NEW_YORK
    intraday: bool = True

    @property
    def look_back(self) -> timedelta | None:
        """How far back fills matter; None: not at all."""
        days = [self.wash_sale_days] if self.wash_sale != "off" else []
        if self.day_trades is not None:
            days.append(3 * self.day_trade_days + 7)
        return timedelta(days=max(days) + 1) if days else None

    @property
    def any(self) -> bool:
        """Whether there is a rule at all."""
        shorts = not self.short_sales or self.hard_to_borrow or self.uptick_rule
        return bool(self.look_back or self.restricted or shorts)


@dataclass(frozen=True, slots=True)
class Lot:
    """What is held of a symbol. price: average, commission included; opened: day of an opening not yet day-traded."""

    size: Decimal = ZERO
    price: Decimal = ZERO
    opened: date | None = None


@dataclass(frozen=True, slots=True)
class History:
    """What fills leave behind: holdings, days of day trades, and the day of the last loss by symbol and side held."""

    lots: Mapping[str, Lot] = field(default_factory=dict)
    day_trades: tuple[date, ...] = ()
    losses: Mapping[tuple[str, Side], date] = field(default_factory=dict)

    def after(self, fill: Fill, day: date) -> History:
        """With one more fill, of session `day`.

        A day trade is what is opened and closed on one day, however many fills either takes; opening again and
        closing again is another. A loss is what a closing fill brings less than its average cost.
        """
        lot = self.lots.get(fill.symbol, Lot())
        against = lot.size * fill.side.sign < 0
        closing = min(fill.size, abs(lot.size)) if against else ZERO
        opening = fill.size - closing
        day_trades, losses = self.day_trades, self.losses
        if closing:
            traded = lot.opened == day
            recent = tuple(each for each in day_trades if day - each < REMEMBERED)
            day_trades = (*recent, day) if traded else day_trades
            lot = replace(lot, opened=None) if traded else lot
            held = Side.SELL if fill.side is Side.BUY else Side.BUY
            gain = (fill.price - lot.price) * closing * held.sign - fill.commission * closing / fill.size
            losses = {**losses, (fill.symbol, held): day} if gain < 0 else losses
            lot = replace(lot, size=lot.size + closing * fill.side.sign)
        if is_dust(lot.size, fill.size):
            lot = Lot()
        if opening and not is_dust(opening, fill.size):
            fee = fill.commission * opening / fill.size * fill.side.sign
            size = lot.size + opening * fill.side.sign
            cost = abs(lot.size) * lot.price + opening * fill.price + fee
            lot = Lot(size, cost / abs(size), day)
        return History({**self.lots, fill.symbol: lot}, day_trades, losses)

    def joined(self, other: History) -> History:
        """Day trades and losses of both, with what this one holds."""
        both = [*self.losses.items(), *other.losses.items()]
        losses = dict(sorted(both, key=lambda item: item[1]))
        return History(self.lots, (*other.day_trades, *self.day_trades), losses)

    def open_today(self, day: date) -> set[str]:
        """Symbols whose closing on `day` would be a day trade."""
        return {symbol for symbol, lot in self.lots.items() if lot.size and lot.opened == day}


def history_of(runs: Iterable[Iterable[Fill]], rules: Rules, before: datetime) -> History:
    """What earlier runs leave to a run that begins at `before`: each began and ended by itself."""
    found = History()
    for fills in runs:
        of_run = History()
        for fill in fills:
            if fill.time < before:
                of_run = of_run.after(fill, local_day(rules.calendar, fill.time, intraday=rules.intraday))
        found = found.joined(of_run)
    return replace(found, lots={})


def check_restricted(intent: OrderIntent, rules: Rules) -> None:
    """Symbols you may not trade, such as your employer's. Raises OrderRejected."""
    if intent.symbol in rules.restricted:
        reason = rules.restricted[intent.symbol]
        raise OrderRejected(
            f"{intent.symbol} is on the restricted list{f': {reason}' if reason else ''}", rule="restricted"
        )


def check_day_trades(
    intent: OrderIntent, account: Account, history: History, rules: Rules, window: tuple[date, date]
) -> None:
    """Refuse an entry whose closing on the same day could be one day trade too many. Raises OrderRejected.

    window: first and last business day that count. FINRA Rule 4210(f)(8)(B) called a customer a pattern day trader who
    makes four day trades within five business days in a margin account, and wanted 25,000 dollars of equity from one.
    As exits are never refused, what was entered today and is still held counts as a day trade to come. The exemption
    for accounts where day trades are six per cent of all trades at most is not taken.

    The SEC approved the removal of that paragraph on 14 April 2026 (Release 34-105226, SR-FINRA-2025-017, 91 FR
    20731): since 4 June 2026 intraday margin stands in its place, and firms may keep the old rule until 20 October
    2027. Ask your broker which it applies; this rule is off by default.
    """
    if rules.day_trades is None or account.equity >= rules.day_trade_equity:
        return
    done = sum(window[0] <= day <= window[1] for day in history.day_trades)
    entering = {symbol for symbol, _ in account.entering}
    to_come = len(history.open_today(window[1]) | entering | {intent.symbol})
    if done + to_come > rules.day_trades:
        raise OrderRejected(
            f"{done} day trades in {rules.day_trade_days} business days and {to_come} that could come are more than "
            f"{rules.day_trades}, with equity below {rules.day_trade_equity:f}",
            rule="pattern_day_trader",
            limit=Decimal(rules.day_trades),
            value=Decimal(done + to_come),
        )


def check_wash_sale(intent: OrderIntent, history: History, rules: Rules, day: date) -> None:
    """Refuse to enter again what was closed at a loss within the last days. Raises OrderRejected.

    Internal Revenue Code §1091(a): a loss is not deducted where the same securities are acquired within 30 days before
    or after the sale; (e) says the same of short sales. What was acquired before the loss cannot be undone, and
    securities that are substantially identical under another symbol are not known here.
    """
    lost = history.losses.get((intent.symbol, intent.side))
    if rules.wash_sale == "off" or lost is None or day - lost > timedelta(days=rules.wash_sale_days):
        return
    what = f"{intent.symbol} was closed at a loss on {lost}, less than {rules.wash_sale_days} days ago"
    if rules.wash_sale == "block":
        raise OrderRejected(f"wash sale: {what}", rule="wash_sale", limit=Decimal(rules.wash_sale_days))
    log.warning("order.flagged", rule="wash_sale", symbol=intent.symbol, order=intent.client_id, reason=what)


def check_short_sale(intent: OrderIntent, rules: Rules, bid: Decimal | None, *, restricted: bool) -> None:
    """Refuse a sale that opens a short, where shorts are not allowed. Raises OrderRejected.

    restricted: whether the price test holds for the symbol. Regulation SHO Rule 201 (17 CFR 242.201(b)): once a
    price has fallen by a tenth from the previous close, a short sale may be executed or displayed only above the best
    bid, for the rest of that day and the next. Locating the shares (Rule 203) is your broker's task:
    `hard_to_borrow` is what you know of it.
    """
    if intent.side is not Side.SELL:
        return
    if not rules.short_sales:
        raise OrderRejected("short sales are forbidden here", rule="short_sale")
    if intent.symbol in rules.hard_to_borrow:
        raise OrderRejected(f"{intent.symbol} is hard to borrow", rule="hard_to_borrow")
    if not (rules.uptick_rule and restricted):
        return
    fallen = f"{intent.symbol} has fallen by a tenth: short sales only above the best bid"
    if intent.type is not OrderType.LIMIT or intent.price is None:
        raise OrderRejected(f"{fallen}, by a limit order", rule="uptick")
    if bid is None:
        raise OrderRejected(f"{fallen}, which nobody knows", rule="uptick")
    if intent.price <= bid:
        raise OrderRejected(f"{fallen} of {bid:f}", rule="uptick", limit=bid, value=intent.price)


@dataclass(frozen=True, slots=True)
class PriceTest:
    """One symbol's prices against its previous close. fell: the last day on which the price test began."""

    day: date | None = None
    close: Decimal | None = None
    previous: Decimal | None = None
    fell: date | None = None

    def seen(self, day: date, low: Decimal, close: Decimal) -> PriceTest:
        """After a bar of session `day`; one of an earlier day changes nothing."""
        if self.day is not None and day < self.day:
            return self
        previous = self.previous if day == self.day else self.close
        fell = previous is not None and low <= previous * CIRCUIT_BREAKER
        return PriceTest(day, close, previous, day if fell else self.fell)


class Compliance:
    """The rules with what they need to know. earlier: see `history_of`; fell: days by symbol, as `save` was given them."""

    def __init__(
        self,
        rules: Rules,
        *,
        earlier: History | None = None,
        fell: Mapping[str, str] | None = None,
        save: Callable[[Mapping[str, Any]], None] = lambda state: None,
    ) -> None:
        self.rules = rules
        self._history = earlier or History()
        self._prices = {
            symbol: PriceTest(fell=date.fromisoformat(day)) for symbol, day in (fell or {}).items()
        }
        self._save = save

    def take(self, fill: Fill) -> None:
        """A fill of this run."""
        if self.rules.look_back is not None:
            self._history = self._history.after(fill, self._day(fill.time))

    def mark(self, time: datetime, account: Account) -> None:
        """A step of the market."""
        if not self.rules.uptick_rule:
            return
        before, day = self._fell(), self._day(time)
        for symbol, close in account.prices.items():
            test = self._prices.get(symbol, PriceTest())
            self._prices[symbol] = test.seen(day, account.lows.get(symbol, close), close)
        if self._fell() != before:
            self._save(self._fell())

    def wants_bid(self, intent: OrderIntent) -> bool:
        """Whether `check` needs the best bid for this entry."""
        limited = intent.side is Side.SELL and intent.type is OrderType.LIMIT
        return limited and self.rules.uptick_rule and self._restricted(intent)

    def check(self, intent: OrderIntent, account: Account) -> OrderIntent:
        """The entry, unchanged; raises OrderRejected."""
        rules = self.rules
        check_restricted(intent, rules)
        check_short_sale(
            intent,
            rules,
            account.bids.get(intent.symbol),
            restricted=rules.uptick_rule and self._restricted(intent),
        )
        if rules.look_back is not None:
            day = self._day(intent.bar_time)
            check_wash_sale(intent, self._history, rules, day)
            if rules.day_trades is not None:
                window = (business_days(rules.calendar, day, rules.day_trade_days)[0], day)
                check_day_trades(intent, account, self._history, rules, window)
        return intent

    def fit(self, intent: OrderIntent, account: Account) -> OrderIntent:
        """No rule changes the size of an entry."""
        return intent

    def _restricted(self, intent: OrderIntent) -> bool:
        fell = self._prices.get(intent.symbol, PriceTest()).fell
        if fell is None:
            return False
        today = self._day(intent.bar_time)
        return business_days(self.rules.calendar, today, 2)[0] <= fell <= today

    def _fell(self) -> dict[str, str]:
        return {symbol: test.fell.isoformat() for symbol, test in self._prices.items() if test.fell}

    def _day(self, time: datetime) -> date:
        return local_day(self.rules.calendar, time, intraday=self.rules.intraday)


def compliance_rules(settings: ComplianceSettings, *, intraday: bool = True) -> Rules:
    """Rules as configured; an unknown calendar is a ConfigError."""
    if settings.calendar != NEW_YORK:  # which is there, and looking it up would slow every start
        check_calendar(settings.calendar)
    counted = settings.pattern_day_trader and settings.account == "margin"
    return Rules(
        day_trades=settings.day_trades if counted else None,
        day_trade_days=settings.day_trade_days,
        day_trade_equity=to_decimal(settings.day_trade_equity),
        wash_sale=settings.wash_sale,
        wash_sale_days=settings.wash_sale_days,
        restricted=pairs(settings.restricted, "risk.compliance.restricted"),
        short_sales=settings.short_sales == "allow",
        hard_to_borrow=frozenset(pairs(settings.hard_to_borrow, "risk.compliance.hard_to_borrow")),
        uptick_rule=settings.uptick_rule,
        calendar=settings.calendar,
        intraday=intraday,
    )


def pairs(text: str | None, key: str) -> dict[str, str]:
    """`A=x,B` as {A: x, B: ''}. Raises ConfigError for a part without a name, or a name given twice."""
    found: dict[str, str] = {}
    for part in (text or "").split(",") if text else ():
        name, _, value = (each.strip() for each in part.partition("="))
        if not name or name in found:
            raise ConfigError(
                f"{key} = {text} is not a list", hint="write it as A=x,B=y, each name once", key=key
            )
        found[name] = value
    return found
