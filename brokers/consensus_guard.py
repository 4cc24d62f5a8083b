"""Entries only while several exchanges agree on the price, and the one that is traded at is among them."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from brokers.risk import Account
from core.errors import OrderRejected
from core.types import Fill, OrderIntent
from feeds.consensus import Agreed


class Prices(Protocol):
    """`feeds.price_watch.PriceWatch`, as far as it is asked here."""

    def agreed(self, symbol: str) -> Agreed:
        """What the sources agree on now."""
        ...


class ConsensusGuard:
    """A rule for entries, see `brokers.risk.Rule`. traded: the source that orders go to. Exits are never asked about."""

    def __init__(self, prices: Prices, traded: str) -> None:
        self._prices = prices
        self._traded = traded

    def check(self, intent: OrderIntent, account: Account) -> OrderIntent:
        """The entry as it is. Raises OrderRejected, with the reason of every source that is left out."""
        agreed = self._prices.agreed(intent.symbol)
        if self._traded in agreed.left_out:
            raise OrderRejected(
                f"{self._traded} is out of the consensus: {agreed.left_out[self._traded]}", rule="consensus"
            )
        if agreed.price is None:
            reasons = "; ".join(f"{source}: {reason}" for source, reason in agreed.left_out.items())
            raise OrderRejected(
                f"only {len(agreed.sources)} exchanges agree on a price"
                + (f" ({reasons})" if reasons else ""),
                rule="consensus",
            )
        return intent

    def fit(self, intent: OrderIntent, account: Account) -> OrderIntent:
        """Sizes stay as they are."""
        return intent

    def take(self, fill: Fill) -> None:
        """Fills change nothing here."""

    def mark(self, time: datetime, account: Account) -> None:
        """Nor do bars."""

    def wants_bid(self, intent: OrderIntent) -> bool:
        """The quotes are our own."""
        return False
