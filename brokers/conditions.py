"""The market as one symbol's orders meet it, and what of an order a bar fills at what price under given costs.

The decisions of the backtest's broker and of the paper venue: both keep a `Conditions` a symbol and ask `piece_of`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NamedTuple

from brokers import matching
from brokers.costs import Costs
from brokers.matching import Match, Resting
from brokers.movements import Movement
from brokers.schedule import Schedule
from brokers.slippage import bounded, fillable, share_of, worse
from core.types import Bar, OrderType, is_dust, to_decimal

LIMITED = matching.STOP_LIMITS | {OrderType.LIMIT}


@dataclass(frozen=True, slots=True)
class Conditions:
    """What is known of a symbol's market.

    bars: how many there were. true_range: Wilder's average of it, quote currency, over the bars so far until there are
    enough (a first bar has its high less its low). used and used_before: units filled on the last bar, and on the one
    before it.
    """

    bars: int = 0
    bar: Bar | None = None
    before: Bar | None = None
    true_range: float = 0.0
    used: float = 0.0
    used_before: float = 0.0

    def take(self, bar: Bar, window: int) -> Conditions:
        """With the next bar. window: bars of the average true range; 0 keeps none."""
        average = 0.0
        if window:
            reach = bar.high - bar.low
            if self.bar is not None:
                reach = max(reach, abs(bar.high - self.bar.close), abs(bar.low - self.bar.close))
            count = min(self.bars + 1, window)
            average = (self.true_range * (count - 1) + reach) / count
        return Conditions(self.bars + 1, bar, self.bar, average, 0.0, self.used)

    def filled(self, size: float, *, before: bool) -> Conditions:
        """After a fill; before: it belongs to the bar before the last."""
        if before:
            return replace(self, used_before=self.used_before + abs(size))
        return replace(self, used=self.used + abs(size))

    def scaled(self, ratio: float, lowered: float = 0.0) -> Conditions:
        """The bars so far as they would have been after a split of `ratio`, or less a dividend."""
        return replace(
            self,
            bar=_scaled(self.bar, ratio, lowered),
            before=_scaled(self.before, ratio, lowered),
            true_range=self.true_range / ratio,
        )


def _scaled(bar: Bar | None, ratio: float, lowered: float) -> Bar | None:
    if bar is None:
        return None
    prices = {name: getattr(bar, name) / ratio - lowered for name in ("open", "high", "low", "close")}
    return replace(bar, **prices, volume=bar.volume * ratio)


class Piece(NamedTuple):
    """What of an order fills now. size: signed, 0 for nothing; ideal: the price without spread and slippage."""

    size: float
    price: float
    ideal: float


def has_arrived(costs: Costs, sent: datetime, bars: int, market: Conditions) -> bool:
    """Whether what was sent on bar number `bars`, stamped `sent`, is at the market on its last bar."""
    if costs.latency and market.bars - bars <= costs.latency:
        return False
    if not costs.latency_seconds:
        return True
    return market.bar is not None and market.bar.time >= sent + timedelta(seconds=costs.latency_seconds)


def match(order: Resting, bar: Bar, *, in_part: bool) -> Match:
    """`brokers.matching.match_bar`, for orders that may have filled in part.

    A stop that was reached is a market order from then on; what a close order has left goes at later closes.
    """
    if order.type in (OrderType.STOP, OrderType.STOP_TRAIL) and order.triggered:
        return Match(bar.open)
    if order.type is OrderType.CLOSE and in_part:
        return Match(bar.close)
    return matching.match_bar(order, bar)


def piece_of(
    costs: Costs,
    spread: Schedule | float,
    order: Resting,
    matched: Match,
    market: Conditions,
    *,
    remaining: float,
    ordered: float,
    held: float,
) -> Piece:
    """What of `order` fills where `matched` says it would, under `costs`.

    remaining and ordered: signed, what is left of the order and what it was for. held: the position, whose last
    rounding is closed with it. matched.price must not be None.
    """
    bar, used = market.bar, market.used
    if matched.previous_bar and market.before is not None:
        bar, used = market.before, market.used_before
    if bar is None or matched.price is None:
        return Piece(0.0, 0.0, 0.0)
    ideal = matched.price
    size = fillable(remaining, bar.volume, costs.volume_share, used)
    if size != ordered and held and size and is_dust(to_decimal(held) + to_decimal(size), to_decimal(held)):
        size = -held
    half = (spread.at(bar.time) if isinstance(spread, Schedule) else spread) / 2.0
    share = share_of(size, bar.volume, used)
    offset = ideal * half + costs.model.offset(ideal, share, market.true_range)
    price = bounded(
        order.buy,
        worse(order.buy, ideal, offset),
        ideal,
        low=bar.low,
        high=bar.high,
        limit=_limit(order),
        beyond=costs.beyond_bar,
    )
    return Piece(size, price, ideal)


def takes_the_rest(remaining: float, size: float) -> bool:
    """Whether a piece leaves nothing of an order but the rounding of float sizes."""
    return size == remaining or is_dust(to_decimal(remaining) - to_decimal(size), to_decimal(remaining))


def noted(symbol: str, market: Conditions, traded: float, piece: Piece, left: float) -> list[Movement]:
    """What is written down of a fill: what slippage took, and that only a part filled. left: signed."""
    if market.bar is None:
        return []
    found, time = [], market.bar.time
    paid = traded * abs(piece.price - piece.ideal)
    if paid:
        found.append(Movement("slippage", symbol, time, amount=paid))
    if left:
        found.append(Movement("part", symbol, time, units=left))
    return found


def _limit(order: Resting) -> float | None:
    if order.type not in LIMITED:
        return None
    return order.price if order.type is OrderType.LIMIT else order.limit
