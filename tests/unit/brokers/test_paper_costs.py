"""The paper venue under costs: its file holds all of it, and a venue that was killed goes on as if nothing had been."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from brokers.actions import Action
from brokers.costs import Costs
from brokers.margin import Margin
from brokers.paper import PaperVenue
from brokers.slippage import Volatility
from core.errors import TradingError, VenueFatal
from core.types import (
    Bar,
    EventKind,
    ExitReason,
    OrderIntent,
    OrderStatus,
    OrderType,
    Quote,
    Side,
    to_decimal,
)

START = datetime(2024, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
PRICES = [(10, 1000), (11, 1000), (12, 500), (13, 2000), (6, 1000), (6.5, 1000), (7, 1000), (7, 0), (8, 1000)]


def bars() -> list[Bar]:
    """Days whose high and low are 1 beside the open and the close, which are the same; a split before the fifth."""
    return [
        Bar("A", START + number * DAY, price, price + 1, price - 1, price, float(volume))
        for number, (price, volume) in enumerate(PRICES)
    ]


def order(name: str, made: Bar, size: float, kind: OrderType = OrderType.MARKET, **given: Any) -> OrderIntent:
    return OrderIntent(
        client_id=name,
        symbol="A",
        side=Side.BUY if size > 0 else Side.SELL,
        type=kind,
        size=to_decimal(abs(size)),
        reference_price=to_decimal(made.close),
        bar_time=made.time,
        leg=1,
        **given,
    )


EVERYTHING = Costs(
    spread=0.01,
    slippage=Volatility(0.1, 3),
    volume_share=0.1,
    latency=1,
    borrow=0.1,
    funding=0.001,
    actions={"A": [Action(START + 4 * DAY, ratio=2.0), Action(START + 6 * DAY, amount=0.1)]},
    margin=Margin(),
)


async def play(state: Path | None, costs: Costs, killed_after: set[int]) -> dict[str, Any]:
    """A buy over several bars, a trailing stop and a cancel that comes late; the process dies after some steps."""
    venue = PaperVenue(2_000.0, 0.001, state=state, costs=costs)
    await venue.connect()
    told = {
        1: lambda bar: venue.submit(order("entry", bar, 250)),
        2: lambda bar: venue.submit(
            order("stop", bar, -250, OrderType.STOP_TRAIL, trail_amount=Decimal(3), price=Decimal("11"))
        ),
        3: lambda bar: venue.submit(order("limit", bar, 40, OrderType.LIMIT, price=Decimal("6"))),
        5: lambda bar: venue.cancel("limit"),
    }
    for number, bar in enumerate(bars(), 1):
        await venue.step(number, bar.time, {"A": bar})
        if number in told:
            await told[number](bar)
        if number in killed_after:
            venue = PaperVenue(2_000.0, 0.001, state=state, costs=costs)
            await venue.connect()
            for again in range(venue.last_step + 1, number + 1):
                await venue.step(again, bars()[again - 1].time, {"A": bars()[again - 1]})
    return {
        "events": await venue.fills(0),
        "cash": await venue.balances(),
        "positions": await venue.positions(),
        "orders": [await venue.order(name) for name in ("entry", "stop", "limit")],
        "movements": venue.movements(),
    }


def test_a_venue_that_is_killed_after_any_step_goes_on(tmp_path: Path) -> None:
    """B14 to B17"""
    whole = asyncio.run(play(None, EVERYTHING, set()))
    kinds = {movement.kind for movement in whole["movements"]}
    assert {"slippage", "part", "funding", "split", "dividend"} <= kinds
    for killed in [{n} for n in range(1, len(PRICES) + 1)] + [set(range(1, len(PRICES) + 1))]:
        state = tmp_path / f"{min(killed)}-{len(killed)}.db"
        assert asyncio.run(play(state, EVERYTHING, killed)) == whole


def test_movements_are_told_by_step() -> None:
    async def charged() -> tuple[Any, ...]:
        venue = PaperVenue(2_000.0, 0.0, costs=Costs(funding=0.001, funding_hours=24))
        await venue.connect()
        assert venue.charges
        first, second, third, *_ = bars()
        await venue.step(1, first.time, {"A": first})
        await venue.submit(order("entry", first, 10))
        await venue.step(2, second.time, {"A": second})
        await venue.step(3, third.time, {"A": third})
        return venue.movements(2), venue.movements(3), venue.movements(), await venue.balances()

    second, third, everything, balances = asyncio.run(charged())
    assert second == []
    assert [movement.amount for movement in third] == [
        pytest.approx(0.11)
    ]  # 10 at 11, at the midnight before
    assert everything == third
    assert float(balances["USD"]) == pytest.approx(2_000.0 - 110.0 - 0.11)


def test_a_liquidation_is_asked_for_and_comes_before_all_else() -> None:
    """B15: 300 at 11 on 2,000; at 6: equity 500 covers 25% of 1,800. At 5.5 it is 350 of 412.50."""

    async def called() -> tuple[Any, ...]:
        venue = PaperVenue(2_000.0, 0.0, costs=Costs(margin=Margin()))
        await venue.connect()
        prices = [10.0, 11.0, 6.0, 5.5, 5.0, 5.0]
        given = [Bar("A", START + n * DAY, p, p, p, p, 1e6) for n, p in enumerate(prices)]
        for number, bar in enumerate(given, 1):
            await venue.step(number, bar.time, {"A": bar})
            if number == 1:
                await venue.submit(order("entry", bar, 300))
            if number == 2:
                await venue.submit(order("stop", bar, -300, OrderType.STOP, price=Decimal(2)))
            if number == 4:
                (_, asked) = venue.movements(4)
                risk = order("risk", bar, asked.units, exit_reason=ExitReason.RISK)
                await venue.submit(risk)
                await venue.submit(order("late", bar, -300))
        events = [(e.client_id, e.status) for e in await venue.fills(0) if e.kind is EventKind.STATUS]
        return events, venue.movements(), await venue.positions()

    events, moved, positions = asyncio.run(called())
    assert ("stop", OrderStatus.CANCELLED) in events
    assert ("risk", OrderStatus.FILLED) in events
    assert ("late", OrderStatus.MARGIN) in events
    assert [(m.kind, m.units) for m in moved] == [("margin_call", 0.0), ("liquidation", -300.0)]
    assert moved[0].amount == pytest.approx(62.5)
    assert positions == {}


def test_a_file_goes_on_with_the_kind_of_costs_it_began_with(tmp_path: Path) -> None:
    async def once(costs: Costs | None, name: str) -> None:
        venue = PaperVenue(2_000.0, 0.0, state=tmp_path / name, costs=costs)
        await venue.connect()
        try:
            await venue.step(1, START, {"A": bars()[0]})
            await venue.submit(order("entry", bars()[0], 1))
        finally:
            await venue.close()

    asyncio.run(once(None, "plain.db"))
    with pytest.raises(VenueFatal, match="begun without costs"):
        asyncio.run(once(Costs(spread=0.1), "plain.db"))
    asyncio.run(once(Costs(spread=0.1), "charged.db"))
    with pytest.raises(VenueFatal, match="begun with costs"):
        asyncio.run(once(None, "charged.db"))


def test_costs_are_for_bars() -> None:
    async def quoted() -> None:
        venue = PaperVenue(2_000.0, 0.0, costs=Costs(spread=0.1))
        await venue.connect()
        await venue.on_quote(Quote("A", START, Decimal(10), Decimal(11)))

    with pytest.raises(TradingError, match="fed with bars, not quotes"):
        asyncio.run(quoted())


def test_costs_that_are_off_are_none() -> None:
    assert not PaperVenue(2_000.0, 0.0, costs=Costs()).charges
