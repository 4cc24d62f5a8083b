"""Risk of all that is held together: exposure, concentration, sectors, correlation, and how much a drawdown allows.

Pure functions over an `Account` decide; `PortfolioRisk` remembers prices and the drawdown, and is one of the `rules`
of a `RiskGate`, which asks it about entries alone. A limit counts what is held, what open orders may still add, and
the order itself, at the last prices.

A drawdown moves a state: normal, reduced (entries of a part of their size), risk-off (none). It begins at its
threshold and ends only when the drawdown has come back to a part of it, so that it does not flicker there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import ROUND_FLOOR, Decimal
from enum import StrEnum
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from brokers.compliance import pairs
from brokers.risk import Account
from core.errors import ConfigError, OrderRejected
from core.telemetry import get_logger
from core.types import Fill, OrderIntent, Side, to_decimal
from feeds.ring import RingBuffer

ZERO, ONE = Decimal(0), Decimal(1)

log = get_logger("brokers.portfolio_risk")


class PortfolioSettings(Protocol):
    """What `portfolio_limits` reads from configuration."""

    max_gross_exposure: float | None
    max_net_exposure: float | None
    max_concentration: float | None
    max_sector_exposure: float | None
    sectors: str | None
    max_correlation: float | None
    correlation_bars: int
    drawdown_steps: str | None
    reduced_drawdown: float | None
    reduced_size: float
    risk_off_drawdown: float | None
    recovery: float
    cool_off_days: int | None


class Mode(StrEnum):
    """What a drawdown leaves of entries."""

    NORMAL = "normal"
    REDUCED = "reduced"
    RISK_OFF = "risk_off"


@dataclass(frozen=True, slots=True)
class PortfolioLimits:
    """Limits as fractions of equity; None switches one off. steps: (drawdown, part of size), the smallest first.

    sectors: by symbol; one that is not there is a sector of its own. clip: an entry over a limit becomes what fits.
    """

    gross: Decimal | None = None
    net: Decimal | None = None
    concentration: Decimal | None = None
    sector: Decimal | None = None
    sectors: Mapping[str, str] = field(default_factory=dict)
    correlation: float | None = None
    correlation_bars: int = 60
    steps: tuple[tuple[Decimal, Decimal], ...] = ()
    reduced_at: Decimal | None = None
    reduced_size: Decimal = Decimal("0.5")
    risk_off_at: Decimal | None = None
    recovery: Decimal = Decimal("0.5")
    cool_off: timedelta | None = None
    clip: bool = False

    @property
    def any(self) -> bool:
        """Whether there is a limit at all."""
        caps = (self.gross, self.net, self.concentration, self.sector, self.correlation)
        return self.follows_drawdown or any(cap is not None for cap in caps)

    @property
    def follows_drawdown(self) -> bool:
        """Whether a drawdown changes anything."""
        return bool(self.steps) or self.reduced_at is not None or self.risk_off_at is not None


@dataclass(frozen=True, slots=True)
class RiskState:
    """How far equity has come down. peak: its highest; since: the day the mode began; last: the last time seen."""

    mode: Mode = Mode.NORMAL
    peak: Decimal = ZERO
    equity: Decimal = ZERO
    since: date | None = None
    last: datetime | None = None

    @property
    def drawdown(self) -> Decimal:
        """Fraction of the peak that is gone, in [0, 1]."""
        return min(max(ONE - self.equity / self.peak, ZERO), ONE) if self.peak > 0 else ZERO

    def continued(self, equity: Decimal) -> RiskState:
        """In a run that begins with `equity`: as far down as the one before was, whatever either began with."""
        return replace(self, peak=equity / (ONE - self.drawdown)) if self.drawdown < ONE else self

    def mark(self, time: datetime, equity: Decimal, limits: PortfolioLimits) -> RiskState:
        """After seeing `equity` at `time`; a time already seen changes nothing.

        Down at once, by as many states as it takes; up one state at a time. Once `cool_off` is over, risk-off ends
        in reduced and the drawdown is counted from there: with nothing held, equity would never come back.
        """
        if self.last is not None and time <= self.last:
            return self
        seen = replace(self, peak=max(self.peak, equity), equity=equity, last=time)
        lowest = seen._fallen_to(limits)
        if lowest is not None and _RANK[lowest] > _RANK[self.mode]:
            return replace(seen, mode=lowest, since=time.date())
        cooled = limits.cool_off is not None and (time.date() - (self.since or date.min)) >= limits.cool_off
        if self.mode is Mode.RISK_OFF:
            if cooled:
                return replace(seen, mode=Mode.REDUCED, since=time.date(), peak=equity)
            if seen._recovered(limits.risk_off_at, limits):
                return replace(seen, mode=Mode.REDUCED, since=time.date())
        elif self.mode is Mode.REDUCED:
            waited = limits.cool_off is None or cooled
            if waited and seen._recovered(limits.reduced_at or limits.risk_off_at, limits):
                return replace(seen, mode=Mode.NORMAL, since=time.date())
        return seen

    def _fallen_to(self, limits: PortfolioLimits) -> Mode | None:
        if limits.risk_off_at is not None and self.drawdown >= limits.risk_off_at:
            return Mode.RISK_OFF
        if limits.reduced_at is not None and self.drawdown >= limits.reduced_at:
            return Mode.REDUCED
        return None

    def _recovered(self, threshold: Decimal | None, limits: PortfolioLimits) -> bool:
        return threshold is None or self.drawdown <= threshold * limits.recovery

    def part(self, limits: PortfolioLimits) -> Decimal:
        """Part of its size an entry keeps, in [0, 1]."""
        if self.mode is Mode.RISK_OFF:
            return ZERO
        parts = [part for depth, part in limits.steps if self.drawdown >= depth]
        return min([*parts, limits.reduced_size if self.mode is Mode.REDUCED else ONE])

    def as_dict(self) -> dict[str, Any]:
        """For the store; exact."""
        return {
            "mode": str(self.mode),
            "peak": str(self.peak),
            "equity": str(self.equity),
            "since": self.since.isoformat() if self.since else None,
            "last": self.last.isoformat() if self.last else None,
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> RiskState:
        """What `as_dict` wrote."""
        return cls(
            mode=Mode(stored["mode"]),
            peak=Decimal(stored["peak"]),
            equity=Decimal(stored["equity"]),
            since=date.fromisoformat(stored["since"]) if stored["since"] else None,
            last=datetime.fromisoformat(stored["last"]) if stored["last"] else None,
        )


_RANK = {mode: rank for rank, mode in enumerate(Mode)}


def reach(account: Account) -> dict[str, tuple[Decimal, Decimal]]:
    """Lowest and highest position each symbol may come to, in units, once its open entries have filled.

    Raises OrderRejected where a symbol has no price.
    """
    symbols = {symbol for symbol, size in account.positions.items() if size}
    symbols |= {symbol for (symbol, _), size in account.entering.items() if size}
    found = {}
    for symbol in sorted(symbols):
        if account.prices.get(symbol, ZERO) <= 0:
            raise OrderRejected(f"no price is known of {symbol}, which is held", rule="exposure")
        held = account.positions.get(symbol, ZERO)
        low = held - account.entering.get((symbol, Side.SELL), ZERO)
        found[symbol] = (low, held + account.entering.get((symbol, Side.BUY), ZERO))
    return found


def fit_exposure(intent: OrderIntent, account: Account, limits: PortfolioLimits) -> OrderIntent:
    """The entry as it fits gross, net, sector and concentration limits; raises OrderRejected."""
    caps = (limits.gross, limits.net, limits.concentration, limits.sector)
    if all(cap is None for cap in caps):
        return intent
    sign, price = intent.side.sign, account.prices.get(intent.symbol) or intent.reference_price
    if price <= 0:
        raise OrderRejected(f"no price is known of {intent.symbol}", rule="exposure")
    reaches = reach(account)
    low, high = reaches.pop(intent.symbol, (ZERO, ZERO))
    before = high if sign > 0 else -low
    worst = {s: max(abs(least), abs(most)) * account.prices[s] for s, (least, most) in reaches.items()}
    ours = limits.sectors.get(intent.symbol)
    same = [value for s, value in worst.items() if ours is not None and limits.sectors.get(s) == ours]
    net = [(most if sign > 0 else -least) * account.prices[s] for s, (least, most) in reaches.items()]
    rules: list[tuple[str, Decimal | None, Iterable[Decimal]]] = [
        ("max_gross_exposure", limits.gross, worst.values()),
        ("max_net_exposure", limits.net, net),
        ("max_concentration", limits.concentration, ()),
        ("max_sector_exposure", limits.sector, same),
    ]
    closing = account.closing(intent)
    for rule, cap, others in rules:
        if cap is None:
            continue
        room = (cap * account.equity - sum(others, ZERO)) / price - before
        if intent.size <= room:
            continue
        value = (
            (sum(others, ZERO) + (before + intent.size) * price) / account.equity
            if account.equity > 0
            else ZERO
        )
        over = f"{rule}: {value:.4f} of equity would exceed the limit {cap:f}"
        if not limits.clip or room <= closing:
            raise OrderRejected(over, rule=rule, limit=cap, value=value)
        intent = scaled(intent, room, closing, over, rule)
    return intent


def scaled(intent: OrderIntent, size: Decimal, closing: Decimal, why: str, rule: str) -> OrderIntent:
    """The order with at most `size` units; one for whole units stays whole.

    closing: units of it that close a position. Raises OrderRejected where nothing beyond them is left.
    """
    whole = intent.size == intent.size.to_integral_value()
    size = size.to_integral_value(ROUND_FLOOR) if whole else size
    if size <= closing:
        raise OrderRejected(why, rule=rule)
    return replace(intent, size=min(size, intent.size))


def throttle(intent: OrderIntent, account: Account, state: RiskState, limits: PortfolioLimits) -> OrderIntent:
    """The entry, what of it opens cut down to the part that the drawdown leaves; raises OrderRejected."""
    part = state.part(limits)
    if part == ONE:
        return intent
    closing = account.closing(intent)
    why = f"a drawdown of {state.drawdown:.4f} ({state.mode}) leaves {part:f} of an entry"
    if part == ZERO:
        raise OrderRejected(why, rule="drawdown", limit=part, value=state.drawdown)
    return scaled(intent, closing + (intent.size - closing) * part, closing, why, "drawdown")


def correlation(
    first: Sequence[float] | NDArray[np.float64], second: Sequence[float] | NDArray[np.float64]
) -> float:
    """Pearson's correlation of the log returns of two equally long series of prices > 0, oldest first.

    NaN where one of them does not move, or a price is missing.
    """
    returns = np.diff(np.log(np.array([first, second])))
    spread = returns - returns.mean(axis=1, keepdims=True)
    scale = np.sqrt((spread**2).sum(axis=1).prod())
    return float((spread[0] * spread[1]).sum() / scale) if scale > 0 else float("nan")


def check_correlation(
    intent: OrderIntent, account: Account, closes: Mapping[str, NDArray[np.float64]], most: float
) -> None:
    """Refuse what would repeat a bet that is there already. Raises OrderRejected.

    closes: (n,) prices by symbol, of the symbols that have enough; side by side in time. Long against short counts
    with the sign turned. most: correlation in (0, 1].
    """
    ours = closes.get(intent.symbol)
    if ours is None:
        return
    for symbol, (low, high) in reach(account).items():
        theirs = closes.get(symbol)
        if symbol == intent.symbol or theirs is None:
            continue
        found = correlation(ours, theirs)
        alike = [found * intent.side.sign * sign for sign, bound in ((1, high), (-1, -low)) if bound > 0]
        if any(each > most for each in alike):
            raise OrderRejected(
                f"{intent.symbol} moves with {symbol}, which is held: correlation {found:.2f}",
                rule="max_correlation",
                limit=to_decimal(most),
                value=to_decimal(found),
            )


class PortfolioRisk:
    """The limits with what they need to know. state: as `save` was given it by an earlier run."""

    def __init__(
        self,
        limits: PortfolioLimits,
        *,
        state: RiskState | None = None,
        save: Callable[[RiskState], None] = lambda state: None,
    ) -> None:
        self.limits = limits
        self.state = state or RiskState()
        self._continues = state is not None
        self._save = save
        self._closes: dict[str, RingBuffer] = {}

    def take(self, fill: Fill) -> None:
        """Fills are in the account."""

    def mark(self, time: datetime, account: Account) -> None:
        """A step of the market; a new mode, peak or day is stored."""
        if self.limits.correlation is not None:
            for symbol, price in account.prices.items():
                ring = self._closes.setdefault(
                    symbol, RingBuffer(self.limits.correlation_bars + 1, ("close",))
                )
                ring.append((float(price),))
        if not self.limits.follows_drawdown:
            return
        if self._continues:
            self.state, self._continues = self.state.continued(account.equity), False
        before = self.state
        self.state = after = before.mark(time, account.equity, self.limits)
        if after.mode is not before.mode:
            log.warning("risk.mode", mode=after.mode, before=before.mode, drawdown=after.drawdown)
        new_day = after.last is not None and (before.last is None or after.last.date() != before.last.date())
        if new_day or (after.mode, after.peak) != (before.mode, before.peak):
            self._save(after)

    def wants_bid(self, intent: OrderIntent) -> bool:
        """Never."""
        return False

    def check(self, intent: OrderIntent, account: Account) -> OrderIntent:
        """The entry as it may be sent; raises OrderRejected."""
        if self.limits.correlation is not None:
            closes = {
                symbol: ring.last()["close"]
                for symbol, ring in self._closes.items()
                if len(ring) == ring.capacity
            }
            check_correlation(intent, account, closes, self.limits.correlation)
        return self.fit(intent, account)

    def fit(self, intent: OrderIntent, account: Account) -> OrderIntent:
        """The size that drawdown and exposure leave; raises OrderRejected."""
        return fit_exposure(throttle(intent, account, self.state, self.limits), account, self.limits)


def portfolio_limits(settings: PortfolioSettings, *, clip: bool = False) -> PortfolioLimits:
    """Limits as configured. Raises ConfigError for steps and sectors that cannot be read."""

    def decimal(value: float | None) -> Decimal | None:
        return None if value is None else to_decimal(value)

    return PortfolioLimits(
        gross=decimal(settings.max_gross_exposure),
        net=decimal(settings.max_net_exposure),
        concentration=decimal(settings.max_concentration),
        sector=decimal(settings.max_sector_exposure),
        sectors=pairs(settings.sectors, "risk.portfolio.sectors"),
        correlation=settings.max_correlation,
        correlation_bars=settings.correlation_bars,
        steps=drawdown_steps(settings.drawdown_steps),
        reduced_at=decimal(settings.reduced_drawdown),
        reduced_size=to_decimal(settings.reduced_size),
        risk_off_at=decimal(settings.risk_off_drawdown),
        recovery=to_decimal(settings.recovery),
        cool_off=None if settings.cool_off_days is None else timedelta(days=settings.cool_off_days),
        clip=clip,
    )


def drawdown_steps(text: str | None) -> tuple[tuple[Decimal, Decimal], ...]:
    """`0.05=0.5,0.1=0.25` as numbers. Raises ConfigError unless both are fractions and the deeper leaves less."""
    found = []
    for depth, part in pairs(text, "risk.portfolio.drawdown_steps").items():
        try:
            found.append((Decimal(depth), Decimal(part)))
        except ArithmeticError:
            found.append((ZERO, ZERO))
    found.sort()
    parts = [ONE, *(part for _, part in found)]
    falling = all(after < before for before, after in pairwise(parts))
    if not falling or any(not ZERO < depth < ONE or part < 0 for depth, part in found):
        raise ConfigError(
            f"risk.portfolio.drawdown_steps = {text} are no steps",
            hint="write drawdown=part of size, fractions, such as 0.05=0.5,0.1=0.25",
        )
    return tuple(found)
