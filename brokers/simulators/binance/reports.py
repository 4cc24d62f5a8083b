"""What the user stream says: executionReport, outboundAccountPosition, listStatus."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from brokers.simulators.binance.answers import (
    NOTHING,
    STATUSES,
    Json,
    is_stop,
    list_id,
    milliseconds,
    order_type,
    working,
)
from brokers.simulators.binance.filters import text
from brokers.simulators.books import Books
from brokers.simulators.orders import Change, Event, OrderList

EXECUTIONS = {
    Change.NEW: "NEW",
    Change.TRADE: "TRADE",
    Change.CANCELLED: "CANCELED",
    Change.EXPIRED: "EXPIRED",
    Change.REJECTED: "REJECTED",
    # A stop that begins to work is reported as new once more, this time on the book.
    Change.TRIGGERED: "NEW",
}


def execution_report(event: Event, now: int) -> Json | None:
    """What happened to an order, or None where Binance says nothing."""
    kind = EXECUTIONS.get(event.change)
    if kind is None:
        return None
    order, execution = event.order, event.execution
    cancelled = event.change is Change.CANCELLED
    report: Json = {
        "e": "executionReport",
        "E": now,
        "s": order.symbol,
        "c": order.tags.get("cancel", order.client_id) if cancelled else order.client_id,
        "S": order.side.value.upper(),
        "o": order_type(order),
        "f": order.time_in_force.value,
        "q": text(order.size),
        "p": text(order.limit or NOTHING),
        "P": text((order.trigger or NOTHING) if is_stop(order) else NOTHING),
        "F": text(NOTHING),
        "g": list_id(order),
        "C": order.client_id if cancelled else "",
        "x": kind,
        "X": STATUSES[order.status],
        "r": "NONE",
        "i": order.id,
        "l": text(execution.size if execution else NOTHING),
        "z": text(order.filled),
        "L": text(execution.price if execution else NOTHING),
        "n": text(execution.fee) if execution else "0",
        "N": execution.fee_asset if execution else None,
        "T": milliseconds(event.time),
        "t": execution.id if execution else -1,
        "I": event.number,
        "w": working(order) and order.open,
        "m": execution.maker if execution else False,
        "M": execution is not None,
        "O": milliseconds(order.created),
        "Z": text(order.value),
        "Y": text(execution.size * execution.price if execution else NOTHING),
        "Q": text(order.quote_size or NOTHING),
        "V": "NONE",
    }
    if working(order):
        report["W"] = milliseconds(order.created)
    if "trailingDelta" in order.tags:
        report |= {"d": int(order.tags["trailingDelta"]), "D": milliseconds(order.created)}
    return report


def account_position(books: Books, account: str, assets: Iterable[str], now: int) -> Json:
    """The balances an event may have changed."""
    return {
        "e": "outboundAccountPosition",
        "E": now,
        "u": now,
        "B": [{"a": asset, "f": free, "l": held} for asset, free, held in balances(books, account, assets)],
    }


def balances(books: Books, account: str, assets: Iterable[str]) -> list[tuple[str, str, str]]:
    """Asset, free and locked, as text."""
    held, locked = books.account(account).balances, books.locked(account)
    rows = []
    for asset in assets:
        kept = locked.get(asset, Decimal(0))
        rows.append((asset, text(held.get(asset, Decimal(0)) - kept), text(kept)))
    return rows


def list_status(books: Books, made: OrderList, now: int) -> Json:
    """Where an order list stands."""
    orders = [books.state.orders[key] for key in made.orders]
    done = not any(order.open for order in orders)
    return {
        "e": "listStatus",
        "E": now,
        "s": made.symbol,
        "g": made.id,
        "c": "OCO",
        "l": "ALL_DONE" if done else "EXEC_STARTED",
        "L": "ALL_DONE" if done else "EXECUTING",
        "r": "NONE",
        "C": made.client_id,
        "T": now,
        "O": [{"s": order.symbol, "i": order.id, "c": order.client_id} for order in orders],
    }
