"""Trades and positions follow the fills, in a real store."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import store
from brokers.bookkeeping import Bookkeeper
from core.types import ExitReason, Fill, OrderIntent, OrderType, Side, to_decimal

RUNS = count()
START = datetime(2024, 1, 8, tzinfo=UTC)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[store.Store]:
    with store.open_store(f"sqlite:///{tmp_path}/books.db") as opened:
        yield opened


def trading(
    books: Bookkeeper, number: int, signed: int, price: int, kind: OrderType = OrderType.MARKET
) -> Fill:
    side = Side.BUY if signed > 0 else Side.SELL
    size, time = Decimal(abs(signed)), START + timedelta(days=number)
    fill = Fill(f"f{number}", f"o{number}", "X", side, size, Decimal(price), size, time)
    intent = OrderIntent(fill.client_id, "X", side, kind, size, Decimal(price), time, 1)
    books.book(fill, intent)
    return fill


def books_of(database: store.Store, run: str) -> Bookkeeper:
    database.journal(run)
    return Bookkeeper(database.trades(run), database.positions(run))


def test_a_stopped_out_trade(database: store.Store) -> None:
    books = books_of(database, "r")
    trading(books, 1, 10, 100)
    trading(books, 2, 10, 110)
    assert database.positions("r").all()["X"].size == 20
    assert database.positions("r").all()["X"].price == 105
    trading(books, 3, -5, 120)
    trading(books, 4, -15, 90, OrderType.STOP)
    (trade,) = database.trades("r").list()
    assert trade.pnl == 5 * 120 + 15 * 90 - 10 * 100 - 10 * 110
    assert trade.pnl_net == trade.pnl - 40
    assert trade.exit_reason is ExitReason.STOP_LOSS
    assert database.positions("r").all() == {}


def test_a_reversal_closes_one_trade_and_opens_the_next(database: store.Store) -> None:
    books = books_of(database, "r")
    trading(books, 1, 10, 100)
    trading(books, 2, -15, 110)
    closed, opened = database.trades("r").list()
    assert closed.exit_reason is ExitReason.REVERSAL
    assert closed.pnl == 100
    assert (opened.side, opened.remaining) == (Side.SELL, 5)
    assert database.positions("r").all()["X"].size == -5


def test_the_last_bit_of_a_float_leaves_no_trade_open(database: store.Store) -> None:
    """0.1 and 0.2 bought, 0.30000000000000004 sold: that is flat, for a strategy that thinks in floats."""
    books = books_of(database, "r")
    for number, (side, size) in enumerate([(Side.BUY, 0.1), (Side.BUY, 0.2), (Side.SELL, 0.1 + 0.2)]):
        amount = to_decimal(size)
        fill = Fill(f"f{number}", f"o{number}", "X", side, amount, Decimal(100), Decimal(0), START)
        books.book(
            fill, OrderIntent(fill.client_id, "X", side, OrderType.MARKET, amount, Decimal(100), START, 1)
        )
    (trade,) = database.trades("r").list()
    assert trade.exit_reason is ExitReason.SIGNAL
    assert database.positions("r").all() == {}


def test_books_are_taken_up_again(database: store.Store) -> None:
    trading(books_of(database, "r"), 1, 10, 100)
    trading(books_of(database, "r"), 2, -10, 101)
    (trade,) = database.trades("r").list()
    assert trade.pnl == 10


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    flow=st.lists(st.tuples(st.integers(-9, 9).filter(bool), st.integers(1, 50)), max_size=12),
)
def test_profit_and_position_add_up_to_the_cash(database: store.Store, flow: list[tuple[int, int]]) -> None:
    """Equity equals cash plus positions after any fills."""
    run = f"run {next(RUNS)}"
    books = books_of(database, run)
    cash = Decimal(0)
    for number, (signed, price) in enumerate(flow):
        fill = trading(books, number, signed, price)
        cash -= fill.size * fill.side.sign * fill.price + fill.commission
    held = sum(signed for signed, _ in flow)
    positions = database.positions(run).all()
    assert (positions["X"].size if positions else 0) == held
    trades = database.trades(run).list()
    realised = sum((trade.pnl_net for trade in trades if trade.remaining == 0), Decimal(0))
    if held == 0:
        assert realised == pytest.approx(cash)
