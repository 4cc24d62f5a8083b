from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from brokers.paper import PaperVenue
from core.types import EventKind, OrderIntent, OrderType, Quote, Side

START = datetime(2024, 1, 1, tzinfo=UTC)


def intent(client_id: str, **changes: object) -> OrderIntent:
    given: dict[str, object] = {
        "symbol": "A",
        "side": Side.BUY,
        "type": OrderType.MARKET,
        "size": Decimal(5),
        "reference_price": Decimal(10),
        "bar_time": START,
        "leg": 0,
    }
    return OrderIntent(client_id=client_id, **{**given, **changes})  # type: ignore[arg-type]


def quote(bid: str, ask: str, seconds: int = 0, symbol: str = "A") -> Quote:
    return Quote(symbol, START + timedelta(seconds=seconds), Decimal(bid), Decimal(ask))


def story(
    run: Callable[[PaperVenue], Awaitable[None]], cash: float = 1000.0
) -> list[tuple[str, str, str | None]]:
    """(order, what happened, price) of everything a scenario makes happen."""

    async def scenario() -> list[tuple[str, str, str | None]]:
        venue = PaperVenue(cash, 0.0)
        await venue.connect()
        await run(venue)
        events = await venue.fills(0)
        return [
            (
                e.client_id,
                (e.status if e.kind is EventKind.STATUS else e.kind).value,
                str(e.fill.price if e.fill else e.trigger) if e.fill or e.trigger else None,
            )
            for e in events
        ]

    return asyncio.run(scenario())


def test_a_market_order_fills_at_once_on_a_known_quote() -> None:
    async def run(venue: PaperVenue) -> None:
        await venue.on_quote(quote("10", "10.2"))
        await venue.submit(intent("buy"))
        await venue.submit(intent("sell", side=Side.SELL))

    taken = [("submitted", None), ("accepted", None)]
    assert story(run) == [
        *(("buy", *what) for what in [*taken, ("filled", "10.2")]),
        *(("sell", *what) for what in [*taken, ("filled", "10.0")]),
    ]


def test_without_a_quote_it_waits_for_one_of_its_own_symbol() -> None:
    async def run(venue: PaperVenue) -> None:
        await venue.submit(intent("buy"))
        await venue.on_quote(quote("1", "1", symbol="B"))
        assert (await venue.positions()) == {}
        await venue.on_quote(quote("10", "10.2"))

    assert story(run)[-1] == ("buy", "filled", "10.2")


@pytest.mark.parametrize(
    ("changes", "quotes", "last"),
    [
        (
            {"type": OrderType.LIMIT, "price": Decimal(10)},
            [("9.9", "10.1"), ("9.8", "9.9")],
            ("filled", "9.9"),
        ),
        ({"type": OrderType.LIMIT, "price": Decimal(10)}, [("9.9", "10.1")], ("accepted", None)),
        (
            {"type": OrderType.STOP, "price": Decimal(11)},
            [("10", "10.5"), ("11", "11.3")],
            ("filled", "11.3"),
        ),
        (
            {"type": OrderType.STOP_LIMIT, "price": Decimal(11), "limit": Decimal("11.1")},
            [("11", "11.3"), ("11", "11.1")],
            ("filled", "11.1"),
        ),
        (
            {"type": OrderType.STOP_LIMIT, "price": Decimal(11), "limit": Decimal("11.1")},
            [("11", "11.3")],
            ("triggered", None),
        ),
        (
            {"type": OrderType.STOP_TRAIL, "side": Side.SELL, "trail_amount": Decimal(1)},
            [("12", "12.1")],
            ("trail", "11.0"),
        ),
        (
            {"type": OrderType.STOP_TRAIL, "side": Side.SELL, "trail_amount": Decimal(1)},
            [("12", "12.1"), ("11.5", "11.6"), ("10.9", "11")],
            ("filled", "10.9"),
        ),
        (
            {"type": OrderType.LIMIT, "price": Decimal(9), "expires_at": START + timedelta(seconds=1)},
            [("9", "9.1"), ("9", "9.1"), ("8", "8.1")],
            ("expired", None),
        ),
    ],
)
def test_resting_orders_follow_the_quotes(
    changes: dict[str, object], quotes: list[tuple[str, str]], last: tuple[str, str | None]
) -> None:
    async def run(venue: PaperVenue) -> None:
        await venue.submit(intent("a", **changes))
        for seconds, (bid, ask) in enumerate(quotes):
            await venue.on_quote(quote(bid, ask, seconds))

    assert story(run)[-1] == ("a", *last)


def test_a_bracket_lives_on_quotes_too() -> None:
    async def run(venue: PaperVenue) -> None:
        sell = {"side": Side.SELL, "parent": "in"}
        await venue.on_quote(quote("10", "10.2"))
        await venue.submit(intent("in", transmit=False))
        await venue.submit(intent("stop", type=OrderType.STOP, price=Decimal(9), transmit=False, **sell))
        await venue.submit(intent("target", type=OrderType.LIMIT, price=Decimal(12), **sell))
        await venue.on_quote(quote("9.5", "9.7", 1))
        await venue.on_quote(quote("8.9", "9", 2))

    assert story(run)[-3:] == [
        ("in", "filled", "10.2"),
        ("stop", "filled", "8.9"),
        ("target", "cancelled", None),
    ]


def test_cash_is_checked_when_the_symbol_has_a_quote() -> None:
    async def run(venue: PaperVenue) -> None:
        await venue.on_quote(quote("10", "10.2"))
        await venue.submit(intent("huge", size=Decimal(101)))

    assert story(run) == [("huge", "submitted", None), ("huge", "margin", None)]
