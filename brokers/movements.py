"""What happens to an account beside its fills, at each step of the market: pure, from the bars and what was held.

Between a symbol's last bar and the new one, for what was held over it, at the last close (the mark):

- borrow: |size| x mark x yearly fraction x elapsed seconds / (365 x 86,400), for shorts;
- funding: size x mark x rate at each time it falls due; positive rates take it from longs and give it to shorts;
- splits and dividends: see `brokers.actions`.

All of it comes before anything fills on the new bar, so who enters on it pays nothing, and who leaves on it does.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from brokers import actions
from brokers.costs import Costs
from brokers.schedule import Every, Schedule

YEAR_SECONDS = 365 * 86_400.0

TOTALS = {
    "slippage": "slippage_paid",
    "borrow": "borrow_paid",
    "funding": "funding_paid",
    "dividend": "dividends_received",
}
"""The movements that are added up, and the names of their sums in `RunResult.costs`."""
EVENTS = ("split", "dividend", "margin_call", "liquidation")
"""The movements that are told one by one."""


@dataclass(frozen=True, slots=True)
class Movement:
    """One thing that happened to the account.

    kind: slippage, borrow, funding, dividend, split, margin_call, liquidation, or part (of an order that filled).
    cash: what the account receives, in account currency, negative when it pays. amount: the figure a report shows,
    positive when paid (for a dividend: when received; for a margin call: the equity that was lacking). ratio: by which
    positions and open orders grow, and their prices shrink. lowered: by how much open buy limits and sell stops go
    down. units: signed size a liquidation has to trade, or that a fill in part left over.
    """

    kind: str
    symbol: str
    time: datetime
    cash: float = 0.0
    amount: float = 0.0
    ratio: float = 1.0
    lowered: float = 0.0
    units: float = 0.0


def movements(
    costs: Costs,
    funding: Schedule | Every | None,
    symbol: str,
    size: float,
    mark: float,
    after: datetime,
    until: datetime,
) -> list[Movement]:
    """What holding `size` units from the bar stamped `after` to the one stamped `until` brings, in its order.

    mark: the close of the bar before. funding: `brokers.costs.funding_of` of the symbol.
    """
    found = []
    rate = costs.borrow_of(symbol)
    if rate and size < 0:
        fee = -size * mark * rate * ((until - after).total_seconds() / YEAR_SECONDS)
        found.append(Movement("borrow", symbol, until, cash=-fee, amount=fee))
    due: list[tuple[datetime, int, Any]] = []
    if funding is not None and size:
        due += [(time, 0, value) for time, value in funding.between(after, until)]
    due += [(action.time, 1, action) for action in actions.due(costs.actions_for(symbol), after, until)]
    for time, _, what in sorted(due, key=lambda entry: entry[:2]):
        if isinstance(what, float):
            paid = size * mark * what
            found.append(Movement("funding", symbol, time, cash=-paid, amount=paid))
            continue
        for movement in _of_action(what, costs, symbol, size, mark):
            found.append(movement)
            size, mark = size * movement.ratio, mark / movement.ratio - movement.lowered
    return found


def _of_action(action: actions.Action, costs: Costs, symbol: str, size: float, mark: float) -> list[Movement]:
    found = []
    if action.ratio != 1.0:
        found.append(Movement("split", symbol, action.time, ratio=action.ratio))
        size, mark = size * action.ratio, mark / action.ratio
    if not action.amount:
        return found
    received = size * action.amount
    if costs.dividends == "reinvest":
        ratio = actions.reinvested(mark, action.amount, symbol)
        found.append(Movement("dividend", symbol, action.time, amount=received, ratio=ratio))
    else:
        lowered = action.amount
        found.append(
            Movement("dividend", symbol, action.time, cash=received, amount=received, lowered=lowered)
        )
    return found


def totals(told: Iterable[Movement]) -> dict[str, float]:
    """What was charged over a run, in account currency: one figure for each of `TOTALS`.

    slippage_paid: against the prices without spread and slippage; it is in the fills' prices already.
    """
    sums = dict.fromkeys(TOTALS.values(), 0.0)
    for movement in told:
        if movement.kind in TOTALS:
            sums[TOTALS[movement.kind]] += movement.amount
    return sums


def events(told: Iterable[Movement]) -> list[dict[str, Any]]:
    """Splits, dividends, margin calls and liquidations as plain values, for a report."""
    return [
        {
            "kind": movement.kind,
            "symbol": movement.symbol,
            "time": movement.time.isoformat(),
            "amount": movement.amount,
            "ratio": movement.ratio,
            "units": movement.units,
        }
        for movement in told
        if movement.kind in EVENTS
    ]


def notes(told: Iterable[Movement]) -> tuple[str, ...]:
    """What a reader has to know of them, in words."""
    kinds = [movement.kind for movement in told]
    calls, sold, parts = kinds.count("margin_call"), kinds.count("liquidation"), kinds.count("part")
    found = []
    if calls:
        found.append(
            f"{_count(calls, 'margin call')}, {_count(sold, 'position')} closed by the broker at the next open"
        )
    if parts:
        found.append(
            f"{_count(parts, 'fill')} took only a part of what was left, for want of volume in the bar"
        )
    return tuple(found)


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
