"""The steps of an order: what is legal, and what adds up."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import IllegalTransition, InconsistentState
from core.types import TERMINAL, EventKind, Fill, OrderEvent, OrderStatus, Side
from store.orders import LEGAL, Standing, advance

TIME = datetime(2024, 1, 2, tzinfo=UTC)
SIZE = Decimal(10)
STANDINGS = [status for status in OrderStatus if status not in TERMINAL]


def an_event(
    status: OrderStatus, size: Decimal | None = None, kind: EventKind = EventKind.STATUS, client_id: str = "a"
) -> OrderEvent:
    fill = (
        None if size is None else Fill("f", client_id, "X", Side.BUY, size, Decimal("2.5"), Decimal(1), TIME)
    )
    return OrderEvent(1, "a", status, TIME, kind=kind, fill=fill)


def test_nothing_follows_the_end() -> None:
    for ended in TERMINAL:
        for status in OrderStatus:
            for kind in EventKind:
                with pytest.raises(IllegalTransition):
                    advance(Standing(SIZE, status=ended), an_event(status, kind=kind))


def test_nothing_leads_back_to_an_earlier_status() -> None:
    order = [OrderStatus.INTENT, OrderStatus.SUBMITTED, OrderStatus.ACCEPTED, OrderStatus.PARTIAL]
    for place, status in enumerate(order):
        assert LEGAL[status].isdisjoint(order[:place])
        assert OrderStatus.INTENT not in LEGAL[status]
        assert {OrderStatus.FILLED, OrderStatus.CANCELLED, OrderStatus.MARGIN} <= LEGAL[status]


@pytest.mark.parametrize("kind", [EventKind.TRAIL, EventKind.TRIGGERED])
def test_a_moved_trigger_leaves_the_status(kind: EventKind) -> None:
    for status in STANDINGS:
        assert advance(Standing(SIZE, status=status), an_event(status, kind=kind)).status is status


@pytest.mark.parametrize(
    "event",
    [
        an_event(OrderStatus.FILLED),
        an_event(OrderStatus.PARTIAL),
        an_event(OrderStatus.FILLED, Decimal(9)),
        an_event(OrderStatus.FILLED, Decimal(11)),
        an_event(OrderStatus.PARTIAL, Decimal(0)),
        an_event(OrderStatus.ACCEPTED, Decimal(1)),
        an_event(OrderStatus.FILLED, SIZE, client_id="another"),
    ],
)
def test_what_does_not_add_up_is_refused(event: OrderEvent) -> None:
    with pytest.raises(InconsistentState):
        advance(Standing(SIZE, status=OrderStatus.ACCEPTED), event)


def test_a_venue_that_fills_less_than_asked_must_say_why() -> None:
    short = replace(an_event(OrderStatus.FILLED, Decimal(9)), reason="whole lots alone are traded")
    assert advance(Standing(SIZE, status=OrderStatus.ACCEPTED), short).filled == 9
    more = replace(an_event(OrderStatus.FILLED, Decimal(11)), reason="as it pleased")
    with pytest.raises(InconsistentState):
        advance(Standing(SIZE, status=OrderStatus.ACCEPTED), more)


events = st.builds(
    an_event,
    st.sampled_from(OrderStatus),
    st.none() | st.decimals(min_value=0, max_value=12, places=1),
    st.sampled_from(EventKind),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(events, max_size=12))
def test_no_news_can_corrupt_an_order(news: list[OrderEvent]) -> None:
    """P2: whatever arrives, an order never fills beyond its size, never shrinks, and never leaves its end."""
    standing = Standing(SIZE)
    for event in news:
        try:
            after = advance(standing, event)
        except (IllegalTransition, InconsistentState):
            continue
        assert standing.status not in TERMINAL
        assert standing.filled <= after.filled <= SIZE
        assert (after.status is OrderStatus.FILLED) <= (after.filled == SIZE)
        assert after.filled_value == after.filled * Decimal("2.5")
        standing = after
