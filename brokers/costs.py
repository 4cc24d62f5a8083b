"""What trading costs: the commission, and everything else that a run may be charged, off unless it is asked for.

costs = Costs(spread=0.0005, slippage=0.0002, volume_share=0.1, latency=1)
backtest(Momentum, frames, costs=costs)

The models are in `brokers.slippage`, `brokers.margin`, `brokers.actions` and `brokers.movements`; docs/costs.md has
their formulas and an example of each.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from brokers.actions import Action, actions_by_symbol
from brokers.margin import Margin
from brokers.schedule import Every, Schedule, by_symbol
from brokers.slippage import Fraction, Slippage, check_slippage
from core.errors import ConfigError

FUNDING_HOURS = 8.0
"""How often perpetuals settle their funding on most exchanges: at 00:00, 08:00 and 16:00 UTC."""


@dataclass(frozen=True, slots=True)
class Commission:
    """A commission in proportion to the value traded, as `cerebro.broker.setcommission(commission=rate)`.

    rate: fraction of the value, 0.001 for a tenth of a percent.
    """

    rate: float = 0.0

    def amount(self, size: float, price: float) -> float:
        """Commission in quote currency; `size` may carry a sign.

        The order of the two products is Backtrader's: another one differs in the last bit.
        """
        return abs(size) * self.rate * price


@dataclass(frozen=True, slots=True)
class Costs:
    """What a run is charged beside the commission. Everything is off by default.

    spread: between bid and ask, as a fraction of the price, of which a fill pays half; or a Series of them by time, or
    a dict of either by symbol (`brokers.slippage.quoted_spreads` makes one of bid and ask columns). slippage: a
    fraction of the price, or a model of `brokers.slippage`. Both are kept inside the bar's high and low unless
    beyond_bar, and no limit order fills worse than its limit.
    volume_share: the fraction of a bar's volume that all fills of the bar may be; the rest keeps working. latency: bars,
    and latency_seconds, that an order or a cancel is on its way. margin: a `brokers.margin.Margin`; None is an account
    without credit for longs in which shorts need none, as Backtrader's.
    borrow: a yearly fraction of the value of shorts. funding: what longs pay shorts, as a fraction of the position's
    value, every funding_hours; or a Series of rates at their times. Both may be dicts by symbol. actions: splits and
    dividends by symbol, as `brokers.actions.actions_of` takes them. dividends: paid in cash, or "reinvest".

    Raises ConfigError for what cannot be.
    """

    slippage: float | Slippage = 0.0
    spread: Any = 0.0
    volume_share: float | None = None
    latency: int = 0
    latency_seconds: float = 0.0
    beyond_bar: bool = False
    margin: Margin | None = None
    borrow: float | Mapping[str, float] = 0.0
    funding: Any = 0.0
    funding_hours: float = FUNDING_HOURS
    actions: Mapping[str, Any] = field(default_factory=dict)
    dividends: Literal["cash", "reinvest"] = "cash"

    def __post_init__(self) -> None:
        if isinstance(self.slippage, (int, float)):
            check_slippage(Fraction(self.slippage))
        else:
            check_slippage(self.slippage)
        _check("spread", self.spread, below=1.0, like="0.0005 for 0.05% of the price")
        _check("borrow", self.borrow, below=10.0, like="0.03 for 3% a year")
        _check("latency_seconds", self.latency_seconds, below=math.inf, like="0.2")
        if not isinstance(self.latency, int) or self.latency < 0:
            raise ConfigError(
                f"latency is {self.latency!r}", hint="give whole bars, or latency_seconds instead"
            )
        if self.volume_share is not None and not 0 < self.volume_share <= 1:
            raise ConfigError(
                f"volume_share is {self.volume_share:g}",
                hint="give a fraction of the bar's volume above 0, such as 0.1; None is no limit",
            )
        if not 0 < self.funding_hours < math.inf:
            raise ConfigError(
                f"funding_hours is {self.funding_hours:g}", hint="give hours above 0, such as 8"
            )
        if self.dividends not in ("cash", "reinvest"):
            raise ConfigError(f"dividends is {self.dividends!r}", hint='give "cash" or "reinvest"')
        _check("funding", self.funding, below=1.0, like="0.0001 for 0.01% every 8 hours", signed=True)
        object.__setattr__(self, "actions", actions_by_symbol(self.actions))

    @property
    def active(self) -> bool:
        """Whether anything is switched on."""
        return bool(self.changed())

    @property
    def model(self) -> Slippage:
        """The slippage as a model."""
        given = self.slippage
        return Fraction(float(given)) if isinstance(given, (int, float)) else given

    @property
    def delays(self) -> bool:
        """Whether orders are on their way for a while."""
        return bool(self.latency or self.latency_seconds)

    @property
    def makes_wait(self) -> bool:
        """Whether even a market order may have to wait for its fill."""
        return self.delays or self.volume_share is not None

    def carries(self, symbol: str) -> bool:
        """Whether holding the symbol, or an order in it, brings anything from bar to bar."""
        return bool(self.borrow or symbol in self.actions) or not _is_nothing(self.funding)

    def symbols(self) -> set[str]:
        """Symbols that anything is given for by name."""
        given: tuple[Any, ...] = (self.spread, self.borrow, self.funding)
        return {*self.actions, *(symbol for each in given if by_symbol(each) for symbol in each)}

    def changed(self) -> dict[str, Any]:
        """What is switched on, by the name of its field."""
        found = {}
        for each in fields(self):
            value = getattr(self, each.name)
            if (
                value is not None
                and not _is_nothing(value)
                and each.name not in ("funding_hours", "dividends", "beyond_bar")
            ):
                found[each.name] = value
        return found

    def borrow_of(self, symbol: str) -> float:
        """Yearly fraction for shorts of a symbol."""
        return self.borrow.get(symbol, 0.0) if isinstance(self.borrow, Mapping) else self.borrow

    def actions_for(self, symbol: str) -> tuple[Action, ...]:
        """Splits and dividends of a symbol, oldest first."""
        found: tuple[Action, ...] = self.actions.get(symbol, ())
        return found

    def figures(self) -> dict[str, float]:
        """What is switched on, where it is a single number: for `RunResult.costs`."""
        return {
            name: float(value) for name, value in self.changed().items() if isinstance(value, (int, float))
        }

    def text(self) -> str:
        """What is charged, in a line for a report; "no costs beside the commission" for nothing."""
        said = [_words(name, value, self) for name, value in self.changed().items()]
        return "; ".join(part for part in said if part) or "no costs beside the commission"


def _is_nothing(given: Any) -> bool:
    return isinstance(given, (int, float, Mapping)) and not given


def spread_of(costs: Costs, symbol: str) -> Schedule | float:
    """The spread of a symbol: one fraction, or a schedule of them."""
    given = costs.spread
    if by_symbol(given):
        given = given.get(symbol, 0.0)
    return float(given) if isinstance(given, (int, float)) else Schedule.of(given, f"the spread of {symbol}")


def funding_of(costs: Costs, symbol: str) -> Schedule | Every | None:
    """When a symbol's funding falls due, and at what rate; None for no funding."""
    given = costs.funding
    if by_symbol(given):
        given = given.get(symbol, 0.0)
    if isinstance(given, (int, float)):
        return Every(float(given), costs.funding_hours) if given else None
    return Schedule.of(given, f"the funding of {symbol}")


def _check(name: str, given: Any, *, below: float, like: str, signed: bool = False) -> None:
    """Raise ConfigError unless all numbers of it, by symbol or by time, are finite, 0 or more, and below `below`."""
    if isinstance(given, (int, float)):
        least = -below if signed else 0.0
        if not (math.isfinite(given) and least <= given < below):
            raise ConfigError(f"{name} is {given:g}", hint=f"give a number such as {like}; 0 is none")
    elif by_symbol(given):
        for symbol, each in given.items():
            _check(f"{name} of {symbol}", each, below=below, like=like, signed=signed)
    elif hasattr(given, "items"):
        for value in Schedule.of(given, name).values:
            _check(name, value, below=below, like=like, signed=signed)
    else:
        raise ConfigError(f"{name} is {given!r}", hint=f"give a number such as {like}, or a Series by time")


def _words(name: str, value: Any, costs: Costs) -> str:
    single = isinstance(value, (int, float))
    if name == "spread":
        return f"half of a spread of {value:.4%}" if single else "half of the spreads given"
    if name == "slippage":
        return f"slippage of {costs.model}"
    if name == "volume_share":
        return f"at most {value:.4g} of a bar's volume"
    if name == "latency":
        return f"orders {value} bar{'s' if value > 1 else ''} on their way"
    if name == "latency_seconds":
        return f"orders {value:g} s on their way"
    if name == "borrow":
        return f"shorts borrowed at {value:.2%} a year" if single else "shorts borrowed at the rates given"
    if name == "funding":
        every = f"funding of {value:.4%} every {costs.funding_hours:g} h" if single else ""
        return every or "funding at the rates given"
    if name == "actions":
        count = sum(map(len, costs.actions.values()))
        return f"{count} split{'s' if count != 1 else ''} and dividends, {'reinvested' if costs.dividends == 'reinvest' else 'in cash'}"
    return str(value)
