"""What an exchange refuses: tickets without sense, crossing post-only orders, and orders beyond the account."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from brokers.simulators.ladder import Ladder
from brokers.simulators.orders import (
    LIMITED,
    STOPS,
    TRAILS,
    Account,
    Listing,
    Listings,
    Order,
    Ticket,
)
from core.errors import OrderRejected
from core.types import OrderStatus, Side


@dataclass(frozen=True, slots=True)
class Rules:
    """On what exchanges differ.

    unique_client_ids: among open orders. refuse_reached_stops: a stop the market has already reached is refused,
    not triggered. market_remainder_expires: what a market order does not get at once ends.
    """

    unique_client_ids: bool = True
    refuse_reached_stops: bool = True
    market_remainder_expires: bool = True


def check_sense(ticket: Ticket, listing: Listing, ladder: Ladder, rules: Rules) -> None:
    """Raise OrderRejected for a ticket no account could place now."""
    if ticket.quote_size is None and not ticket.size > 0:
        raise OrderRejected(f"size {ticket.size} must be above 0", rule="size", value=ticket.size)
    if ticket.type in LIMITED and not (ticket.limit and ticket.limit > 0):
        raise OrderRejected("a limit order needs a limit above 0", rule="price", value=ticket.limit)
    trailing = ticket.trail_amount or ticket.trail_percent
    if ticket.type in TRAILS and not trailing:
        raise OrderRejected("a trailing stop needs a distance", rule="trail")
    if ticket.type in STOPS and not trailing and not (ticket.trigger and ticket.trigger > 0):
        raise OrderRejected("a stop needs a trigger above 0", rule="trigger", value=ticket.trigger)
    last = ladder.tick.last
    waiting = not getattr(ticket, "triggered", False) and ticket.parent is None
    if rules.refuse_reached_stops and ticket.type in STOPS and waiting and reached(ticket, last):
        raise OrderRejected("the stop would trigger at once", rule="would-trigger", value=ticket.trigger)
    if ticket.post_only and ticket.limit is not None and ladder.crosses(ticket.side, ticket.limit):
        raise OrderRejected("the order would take, not make", rule="would-take", value=ticket.limit)


def check_funds(
    tickets: Sequence[Ticket],
    account: Account,
    free: Callable[[str], Decimal],
    listing: Listing,
    ladder: Ladder,
) -> None:
    """Raise OrderRejected when the account cannot pay for the largest of linked tickets."""
    for ticket in tickets:
        if account.leverage is not None:
            _check_margin(ticket, account, listing, ladder, account.leverage)
            continue
        asset, amount = needed(ticket, listing, ladder)
        if ticket.parent is None and amount > free(asset):
            raise OrderRejected(
                f"{amount:f} {asset} needed, {free(asset):f} free",
                rule="funds",
                limit=free(asset),
                value=amount,
            )


def needed(ticket: Ticket, listing: Listing, ladder: Ladder) -> tuple[str, Decimal]:
    """What a cash account must hold for a ticket, and in which asset."""
    if ticket.side is Side.SELL:
        if ticket.quote_size is not None:
            return listing.base, ladder.size_for(Side.SELL, ticket.quote_size, listing.lot_size)
        return listing.base, ticket.size
    if ticket.quote_size is not None:
        return listing.quote, ticket.quote_size
    price = ticket.limit or ticket.trigger
    if price is not None:
        return listing.quote, price * ticket.size
    return listing.quote, sum((p * s for p, s in ladder.match(ticket.side, ticket.size, None)), Decimal(0))


def locked(orders: Iterable[Order], listings: Listings) -> dict[str, Decimal]:
    """What open orders hold back, by asset; of linked orders only the largest counts, of held children none."""
    largest: dict[tuple[str, int, bool], Decimal] = {}
    for order in orders:
        if order.status is OrderStatus.INTENT:
            continue
        listing = listings[order.symbol]
        asset, amount = listing.base, order.remaining
        if order.side is Side.BUY:
            price = order.limit or order.trigger or Decimal(0)
            asset, amount = listing.quote, price * order.remaining
        linked = order.group is not None
        key = (asset, order.group if order.group is not None else order.id, linked)
        largest[key] = max(largest.get(key, Decimal(0)), amount)
    total: dict[str, Decimal] = {}
    for (asset, _, _), amount in largest.items():
        total[asset] = total.get(asset, Decimal(0)) + amount
    return total


def reached(ticket: Ticket, price: Decimal) -> bool:
    """Whether the market stands at the trigger or beyond."""
    rising = (ticket.side is Side.BUY) is not ticket.take_profit
    trigger = ticket.trigger
    return trigger is not None and (price >= trigger if rising else price <= trigger)


def _check_margin(
    ticket: Ticket, account: Account, listing: Listing, ladder: Ladder, leverage: Decimal
) -> None:
    """Exposure in this symbol may not exceed the cash there is, times leverage."""
    price = ticket.limit or ladder.tick.last
    held = account.balances.get(listing.base, Decimal(0))
    equity = account.balances.get(listing.quote, Decimal(0)) + held * ladder.tick.last
    exposure = abs(held + ticket.size * ticket.side.sign) * price
    if ticket.parent is None and exposure > abs(held) * price and exposure > equity * leverage:
        raise OrderRejected(
            f"{exposure:f} {listing.quote} of exposure, {equity * leverage:f} allowed",
            rule="funds",
            limit=equity * leverage,
            value=exposure,
        )
