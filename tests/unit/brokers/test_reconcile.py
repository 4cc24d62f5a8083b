"""Journal against venue: every kind of drift is named (L8)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from brokers.reconcile import Ledger, check_reconciled, differences
from core.errors import InconsistentState
from core.types import (
    EventKind,
    Fill,
    OrderEvent,
    OrderIntent,
    OrderState,
    OrderStatus,
    OrderType,
    Position,
    Side,
)

NOW = datetime(2024, 1, 8, tzinfo=UTC)
BUY = OrderIntent(
    client_id="entry",
    symbol="GOOG",
    side=Side.BUY,
    type=OrderType.MARKET,
    size=Decimal(10),
    reference_price=Decimal(100),
    bar_time=NOW,
    leg=1,
)
STOP = replace(
    BUY,
    client_id="stop",
    side=Side.SELL,
    type=OrderType.STOP_TRAIL,
    price=Decimal(95),
    trail_amount=Decimal(5),
)


def event(sequence: int, intent: OrderIntent, status: OrderStatus, **changes: object) -> OrderEvent:
    return OrderEvent(sequence, intent.client_id, status, NOW, **changes)  # type: ignore[arg-type]


def filled(sequence: int, intent: OrderIntent, size: str, status: OrderStatus) -> OrderEvent:
    fill = Fill(
        f"{intent.client_id}-{sequence}",
        intent.client_id,
        intent.symbol,
        intent.side,
        Decimal(size),
        Decimal(100),
        Decimal(1),
        NOW,
    )
    return event(sequence, intent, status, fill=fill)


def protected() -> Ledger:
    ledger = Ledger(Decimal(2000))
    ledger.apply(event(1, BUY, OrderStatus.SUBMITTED), BUY)
    ledger.apply(filled(2, BUY, "4", OrderStatus.PARTIAL), BUY)
    ledger.apply(filled(3, BUY, "6", OrderStatus.FILLED), BUY)
    ledger.apply(event(4, STOP, OrderStatus.ACCEPTED, trigger=Decimal(95)), STOP)
    trail = event(5, STOP, OrderStatus.ACCEPTED, kind=EventKind.TRAIL, trigger=Decimal(97))
    ledger.apply(trail, STOP)
    return ledger


def held(size: str) -> dict[str, Position]:
    return {"GOOG": Position("GOOG", Decimal(size), Decimal(100))}


def resting(trigger: str = "97", filled_size: str = "0", size: str = "10") -> OrderState:
    return OrderState(
        "stop",
        "GOOG",
        Side.SELL,
        OrderType.STOP_TRAIL,
        Decimal(size),
        Decimal(filled_size),
        OrderStatus.ACCEPTED,
        trigger=Decimal(trigger),
    )


def test_agreement_has_no_difference() -> None:
    assert differences(protected(), held("10"), [resting()]) == []


def test_ledger_counts_cash_to_the_cent() -> None:
    assert protected().cash == Decimal(2000) - 10 * 100 - 2


@pytest.mark.parametrize(
    ("positions", "orders", "expected"),
    [
        (held("9"), [resting()], "position in GOOG: the journal says 10, the venue 9"),
        ({}, [resting()], "position in GOOG: the journal says 10, the venue 0"),
        (held("10"), [], "order stop: the journal says it is open, the venue it is not"),
        (held("10"), [resting(trigger="95")], "stop stop: the journal says it stands at 97, the venue at 95"),
        (held("10"), [resting(filled_size="3")], "order stop: the journal says 10 units are left"),
        (
            held("10"),
            [resting(), replace(resting(), client_id="alien")],
            "order alien: the journal says it is not open",
        ),
    ],
)
def test_drift_is_named(positions: dict[str, Position], orders: list[OrderState], expected: str) -> None:
    found = differences(protected(), positions, orders)
    assert len(found) == 1
    assert str(found[0]).startswith(expected)


def test_drift_halts_and_lists_every_difference() -> None:
    with pytest.raises(InconsistentState) as caught:
        check_reconciled(protected(), held("9"), [], "paper")
    assert "position in GOOG" in str(caught.value)
    assert "order stop" in str(caught.value)
    assert len(caught.value.context["differences"]) == 2


def test_a_held_back_order_is_no_difference() -> None:
    waiting = replace(resting(), client_id="child", status=OrderStatus.INTENT)
    assert differences(protected(), held("10"), [resting(), waiting]) == []


def test_protection_does_not_count_as_an_entry() -> None:
    ledger = protected()
    entry = replace(BUY, client_id="more")
    ledger.apply(event(6, entry, OrderStatus.ACCEPTED), entry)
    assert ledger.entering() == {("GOOG", Side.BUY): Decimal(10)}
