"""Between the frozen values of `core.types` and the columns of the tables; nothing is lost either way."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, cast

from sqlalchemy import Table

from core.types import Attempt, Fill, OrderEvent, OrderIntent, OrderStatus
from store.models import Base
from store.orders import JournalledEvent, OrderRecord, Standing, StopRecord
from store.prepared import Row

# `limit` is a word of SQL, and the current levels need names beside the ordered ones.
_INTENT = {
    field.name: "limit_price" if field.name == "limit" else field.name for field in fields(OrderIntent)
}
_FILL = tuple(field.name for field in fields(Fill) if field.name != "client_id")
_ATTEMPT = tuple(field.name for field in fields(Attempt))
_STANDING = {field.name: field.name for field in fields(Standing)} | {
    "trigger": "trigger_now",
    "limit": "limit_now",
}
STANDING = tuple(_STANDING.values())
FILL = {name: f"fill_{name}" for name in _FILL} | {"fill_id": "fill_id"}


def table(model: type[Base]) -> Table:
    """The table of a model."""
    return cast(Table, model.__table__)


def new_order_values(intent: OrderIntent) -> dict[str, Any]:
    """Columns of an order nobody has been told of."""
    values = {column: getattr(intent, name) for name, column in _INTENT.items()}
    fresh = standing_values(Standing(intent.size, trigger=intent.price, limit=intent.limit))
    return values | fresh | {"sent": None}


def intent(row: Row) -> OrderIntent:
    """The intent as it was made."""
    return OrderIntent(**{name: row[column] for name, column in _INTENT.items()})


def standing_values(standing: Standing) -> dict[str, Any]:
    """Columns of where an order stands."""
    return {column: getattr(standing, name) for name, column in _STANDING.items()}


def standing(row: Row) -> Standing:
    """Where an order stands."""
    return Standing(**{name: row[column] for name, column in _STANDING.items()})


def order_record(row: Row) -> OrderRecord:
    """The order with what has become of it."""
    return OrderRecord(intent(row), standing(row), sent=row["sent"], step=row["step"])


def event_values(event: OrderEvent) -> dict[str, Any]:
    """Columns of an event, without its order and its fill."""
    return {
        "sequence": event.sequence,
        "status": event.status,
        "kind": event.kind,
        "time": event.time,
        "reason": event.reason,
        "trigger_price": event.trigger,
        "limit_price": event.limit,
        "venue_order_id": event.venue_order_id,
    }


def fill_values(fill: Fill) -> dict[str, Any]:
    """Columns of a fill, without its order and its event."""
    return {name: getattr(fill, name) for name in _FILL}


def attempt_values(attempt: Attempt) -> dict[str, Any]:
    """Columns of an attempt, without its order."""
    return {name: getattr(attempt, name) for name in _ATTEMPT if name != "client_id"}


def attempt(row: Row) -> Attempt:
    """The attempt, from a row of attempts joined to orders."""
    return Attempt(**{name: row[name] for name in _ATTEMPT})


def journalled_event(row: Row) -> JournalledEvent:
    """The event with its fill, from a row of events joined to orders and fills."""
    fill = None
    if row["fill_id"] is not None:
        fill = Fill(client_id=row["client_id"], **{name: row[label] for name, label in FILL.items()})
    event = OrderEvent(
        sequence=row["sequence"],
        client_id=row["client_id"],
        status=OrderStatus(row["status"]),
        time=row["time"],
        kind=row["kind"],
        fill=fill,
        reason=row["reason"],
        trigger=row["trigger_price"],
        limit=row["limit_price"],
        venue_order_id=row["venue_order_id"],
    )
    return JournalledEvent(event, bar=row["bar"], step=row["step"], between_bars=row["between_bars"])


def stop_record(row: Row) -> StopRecord:
    """The level a protective order stands at."""
    return StopRecord(
        client_id=row["client_id"],
        symbol=row["symbol"],
        trigger=row["trigger_price"],
        limit=row["limit_price"],
        high_water=row["high_water"],
        step=row["step"],
        changes=row["changes"],
    )
