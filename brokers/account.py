"""What an account looks like at a moment, and alarms on it: pure values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal

from brokers.base import Venue
from brokers.risk import Account
from core.errors import VenueTransient
from core.types import Bar, to_decimal

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class AccountSnapshot:
    """An account at `time`, in quote currency; of several currencies as if they were one.

    long, short: value of what is held either way, >= 0. margin: maintenance margin of both. positions: how many.
    drawdown: fraction of the highest equity seen that is gone.
    """

    time: datetime
    equity: Decimal
    cash: Decimal
    long: Decimal
    short: Decimal
    margin: Decimal
    drawdown: Decimal
    positions: int

    @property
    def gross(self) -> Decimal:
        """Exposure: longs and shorts together."""
        return self.long + self.short

    @property
    def net(self) -> Decimal:
        """Exposure: longs less shorts."""
        return self.long - self.short

    @property
    def leverage(self) -> Decimal:
        """Gross exposure as a multiple of equity; infinite where there is exposure and no equity."""
        return _part(self.gross, self.equity)

    @property
    def margin_use(self) -> Decimal:
        """Maintenance margin as a fraction of equity; at 1 a broker calls for money."""
        return _part(self.margin, self.equity)

    def figures(self) -> dict[str, float]:
        """All of it as plain numbers, by name."""
        names = (
            "equity",
            "cash",
            "long",
            "short",
            "gross",
            "net",
            "leverage",
            "margin",
            "margin_use",
            "drawdown",
        )
        return {name: float(getattr(self, name)) for name in names} | {"positions": float(self.positions)}


def snapshot(time: datetime, account: Account, *, peak: Decimal, maintenance: Decimal) -> AccountSnapshot:
    """The account at its last prices. peak: highest equity before; maintenance: margin rate, a fraction of exposure."""
    values = [size * account.prices.get(symbol, ZERO) for symbol, size in account.positions.items() if size]
    held, owed = sum((v for v in values if v > 0), ZERO), -sum((v for v in values if v < 0), ZERO)
    equity = account.equity
    drawdown = max(1 - equity / peak, ZERO) if peak > 0 else ZERO
    margin = maintenance * (held + owed)
    return AccountSnapshot(time, equity, account.cash, held, owed, margin, drawdown, len(values))


@dataclass(slots=True)
class LastBars:
    """The last bar of each symbol, and what accounts are made of: its close and its low."""

    bars: dict[str, Bar] = field(default_factory=dict)
    closes: dict[str, Decimal] = field(default_factory=dict)
    lows: dict[str, Decimal] = field(default_factory=dict)

    def take(self, bars: Mapping[str, Bar]) -> None:
        """These are the last now."""
        self.bars.update(bars)
        for symbol, bar in bars.items():
            self.closes[symbol], self.lows[symbol] = to_decimal(bar.close), to_decimal(bar.low)


async def at_quotes(account: Account, venue: Venue) -> Account:
    """The account at the middle of the venue's quotes, where it has one; else at the last close."""
    prices = dict(account.prices)
    for symbol, size in account.positions.items():
        try:
            quote = await venue.quote(symbol) if size else None
        except VenueTransient:
            quote = None
        if quote is not None:
            prices[symbol] = (quote.bid + quote.ask) / 2
    return replace(account, prices=prices)


@dataclass(frozen=True, slots=True)
class Alarm:
    """A threshold on one figure. It goes off at the threshold and is over a part of it further back, so it cannot flicker.

    below: it is too little that matters, not too much. hysteresis: that part, in [0, 1).
    """

    figure: str
    threshold: float
    hysteresis: float = 0.1
    below: bool = False
    on: bool = False

    def seen(self, value: float) -> Alarm:
        """After one more value; NaN changes nothing."""
        sign = -1 if self.below else 1
        back = self.threshold - sign * self.hysteresis * abs(self.threshold)
        if not self.on and sign * value >= sign * self.threshold:
            return replace(self, on=True)
        if self.on and sign * value <= sign * back:
            return replace(self, on=False)
        return self


def changed(alarms: Iterable[Alarm], figures: dict[str, float]) -> tuple[list[Alarm], list[Alarm]]:
    """All alarms after these figures, and those of them that went off or ended."""
    before = list(alarms)
    after = [alarm.seen(figures[alarm.figure]) for alarm in before]
    return after, [now for was, now in zip(before, after, strict=True) if was.on is not now.on]


def _part(value: Decimal, equity: Decimal) -> Decimal:
    if not value:
        return ZERO
    return value / equity if equity > 0 else Decimal("Infinity")
