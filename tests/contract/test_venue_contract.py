"""What every venue owes its clients, whatever it is made of. A rig opens sessions to one account and moves its market."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Protocol

import pytest

from brokers.base import Venue
from brokers.binance import BinanceVenue
from brokers.binance_link import BinanceSettings
from brokers.ibkr import IBKRSettings, IBKRVenue
from brokers.paper import PaperVenue
from core.errors import OrderRejected
from core.types import Bar, Fill, OrderEvent, OrderIntent, OrderStatus, OrderType, Quote, Side
from tests.simulator import Simulator, simulator

START = datetime(2024, 1, 1, tzinfo=UTC)
SYMBOL = "ABC"
Move = Callable[[float], Awaitable[None]]


class Rig(Protocol):
    """One account at one venue, with 10,000 of the currency that `symbol` is traded for."""

    symbol: str
    currency: str

    def session(self) -> Venue:
        """A new session to the account, not connected."""
        ...

    async def move(self, venue: Venue, price: float) -> None:
        """Let the market trade at `price`."""
        ...

    def average(self, fill: Fill) -> Decimal:
        """What a unit of a position has cost that one fill made, as this venue counts it."""
        ...

    def received(self, size: Decimal) -> Decimal:
        """What a buy of that size brings: less, where commissions are taken off it."""
        ...


@dataclass
class PaperBars:
    """The paper venue fed with flat bars."""

    state: Path
    symbol: str = SYMBOL
    currency: str = "USD"
    moves: int = 0

    def session(self) -> PaperVenue:
        return PaperVenue(10_000.0, 0.001, state=self.state)

    async def move(self, venue: Venue, price: float) -> None:
        assert isinstance(venue, PaperVenue)
        self.moves += 1
        time = START + timedelta(minutes=self.moves)
        bar = Bar(SYMBOL, time, price, price, price, price, 1.0)
        await venue.step(self.moves, time, {SYMBOL: bar})

    def average(self, fill: Fill) -> Decimal:
        return fill.price

    def received(self, size: Decimal) -> Decimal:
        return size


@dataclass
class PaperQuotes(PaperBars):
    """The paper venue fed with quotes without a spread."""

    async def move(self, venue: Venue, price: float) -> None:
        assert isinstance(venue, PaperVenue)
        self.moves += 1
        at = Decimal(str(price))
        await venue.on_quote(Quote(SYMBOL, START + timedelta(minutes=self.moves), at, at))


@dataclass
class IBKROnSimulator:
    """IBKR through its own client library, over a socket to a simulated gateway in a process of its own."""

    gateway: Simulator
    state: Path
    symbol: str = SYMBOL
    currency: str = "USD"

    def session(self) -> IBKRVenue:
        return IBKRVenue(
            IBKRSettings(host=self.gateway.host, port=self.gateway.port), symbols=[SYMBOL], state=self.state
        )

    async def move(self, venue: Venue, price: float) -> None:
        assert isinstance(venue, IBKRVenue)
        self.gateway.control.price(SYMBOL, price)
        await venue.ping()

    def average(self, fill: Fill) -> Decimal:
        return fill.price + fill.commission / fill.size

    def received(self, size: Decimal) -> Decimal:
        return size


@dataclass
class BinanceOnSimulator:
    """Binance through ccxt and ccxt.pro, over sockets to a simulated exchange in a process of its own."""

    exchange: Simulator
    state: Path
    symbol: str = "ABC/USDT"
    currency: str = "USDT"

    def session(self) -> BinanceVenue:
        where = f"{self.exchange.host}:{self.exchange.port}"
        settings = BinanceSettings(
            "rehearsal-key",
            "rehearsal-secret",
            f"http://{where}/api/v3",
            f"ws://{where}/ws",
            f"ws://{where}/ws-api/v3",
        )
        return BinanceVenue(settings, symbols=[self.symbol], state=self.state)

    async def move(self, venue: Venue, price: float) -> None:
        assert isinstance(venue, BinanceVenue)
        await asyncio.to_thread(self.exchange.control.price, "ABCUSDT", price)
        await venue.ping()

    def average(self, fill: Fill) -> Decimal:
        return fill.price

    def received(self, size: Decimal) -> Decimal:
        return size * Decimal("0.999")


class Houses:
    """Simulated exchanges, started when a test first needs them and kept for the others."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._binance: Simulator | None = None

    def binance(self) -> Simulator:
        """A Binance on which nothing has happened."""
        if self._binance is None:
            arguments = ("--cash", "10000", "--symbols", "ABC/USDT", "--speed", "1", "--market", "hand")
            self._binance = self._stack.enter_context(simulator("binance", *arguments))
        self._binance.control.reset()
        return self._binance


@pytest.fixture(scope="module")
def houses() -> Iterator[Houses]:
    with ExitStack() as stack:
        yield Houses(stack)


@contextmanager
def _paper_bars(folder: Path, houses: Houses) -> Iterator[Rig]:
    yield PaperBars(folder / "paper.db")


@contextmanager
def _paper_quotes(folder: Path, houses: Houses) -> Iterator[Rig]:
    yield PaperQuotes(folder / "paper.db")


@contextmanager
def _ibkr(folder: Path, houses: Houses) -> Iterator[Rig]:
    with simulator("tws", "--cash", "10000", "--symbols", SYMBOL) as gateway:
        yield IBKROnSimulator(gateway, folder / "ibkr.db")


@contextmanager
def _binance(folder: Path, houses: Houses) -> Iterator[Rig]:
    yield BinanceOnSimulator(houses.binance(), folder / "binance.db")


RIGS: dict[str, Callable[[Path, Houses], AbstractContextManager[Rig]]] = {
    "paper-bars": _paper_bars,
    "paper-quotes": _paper_quotes,
    "ibkr": _ibkr,
    "binance": _binance,
}


@pytest.fixture(params=sorted(RIGS))
def rig(request: pytest.FixtureRequest, tmp_path: Path, houses: Houses) -> Iterator[Rig]:
    with RIGS[request.param](tmp_path, houses) as made:
        yield made


@asynccontextmanager
async def trading(rig: Rig) -> AsyncIterator[tuple[Venue, Move]]:
    """A connected session whose market stands at 100."""
    venue = rig.session()
    await venue.connect()

    async def move(price: float) -> None:
        await rig.move(venue, price)

    await move(100.0)
    yield venue, move
    await venue.close()


def intent(rig: Rig, client_id: str, **changes: object) -> OrderIntent:
    given: dict[str, object] = {
        "symbol": rig.symbol,
        "side": Side.BUY,
        "type": OrderType.MARKET,
        "size": Decimal(2),
        "reference_price": Decimal(100),
        "bar_time": START,
        "leg": 0,
    }
    return OrderIntent(client_id=client_id, **{**given, **changes})  # type: ignore[arg-type]


def limit_buy(rig: Rig, client_id: str, price: int, **changes: object) -> OrderIntent:
    return intent(rig, client_id, type=OrderType.LIMIT, price=Decimal(price), **changes)


def statuses(events: list[OrderEvent] | tuple[OrderEvent, ...], client_id: str) -> list[OrderStatus]:
    return [event.status for event in events if event.client_id == client_id]


def test_a_market_order_fills_and_moves_cash_and_position(rig: Rig) -> None:
    """L5"""

    async def scenario() -> None:
        async with trading(rig) as (venue, move):
            await venue.submit(intent(rig, "a"))
            await move(100.0)
            told = list(await venue.fills(0))
            assert statuses(told, "a") == [OrderStatus.SUBMITTED, OrderStatus.ACCEPTED, OrderStatus.FILLED]
            fill = told[-1].fill
            assert fill is not None
            assert (fill.size, fill.price, fill.side) == (rig.received(Decimal(2)), Decimal(100), Side.BUY)
            cash = (await venue.balances())[rig.currency]
            assert cash == Decimal(10_000) - fill.size * fill.price - fill.commission
            held = (await venue.positions())[rig.symbol]
            assert (held.size, held.price) == (rig.received(Decimal(2)), rig.average(fill))

    asyncio.run(scenario())


def test_a_flat_symbol_is_absent_from_positions(rig: Rig) -> None:
    async def scenario() -> None:
        async with trading(rig) as (venue, move):
            await venue.submit(intent(rig, "a"))
            await move(100.0)
            await venue.submit(intent(rig, "b", side=Side.SELL))
            await move(110.0)
            assert await venue.positions() == {}

    asyncio.run(scenario())


def test_the_same_client_id_again_changes_nothing(rig: Rig) -> None:
    async def scenario() -> None:
        async with trading(rig) as (venue, move):
            await venue.submit(limit_buy(rig, "a", 90))
            before = (venue.sequence, await venue.open_orders())
            await venue.submit(limit_buy(rig, "a", 95, size=Decimal(9)))
            assert (venue.sequence, await venue.open_orders()) == before
            await move(90.0)
            await venue.submit(limit_buy(rig, "a", 90))
            assert statuses(list(await venue.fills(0)), "a").count(OrderStatus.FILLED) == 1

    asyncio.run(scenario())


def test_events_are_numbered_without_gaps_and_handed_over_once(rig: Rig) -> None:
    async def scenario() -> None:
        heard: list[OrderEvent] = []
        async with trading(rig) as (venue, move):

            async def listen() -> None:
                async for event in venue.events():
                    heard.append(event)

            listener = asyncio.create_task(listen())
            await venue.submit(limit_buy(rig, "a", 90))
            await venue.submit(intent(rig, "b"))
            await move(100.0)
            await venue.cancel("a")
        await asyncio.wait_for(listener, 10)
        assert heard == list(await venue.fills(0))
        assert [event.sequence for event in heard] == list(range(1, venue.sequence + 1))
        assert venue.sequence > 0

    asyncio.run(scenario())


def test_fills_since_gives_exactly_what_was_missed(rig: Rig) -> None:
    async def scenario() -> None:
        async with trading(rig) as (venue, move):
            await venue.submit(intent(rig, "a"))
            seen = venue.sequence
            await move(100.0)
            await venue.submit(intent(rig, "b"))
            missed = await venue.fills(seen)
            assert [event.sequence for event in missed] == list(range(seen + 1, venue.sequence + 1))
            assert await venue.fills(venue.sequence) == []

    asyncio.run(scenario())


def test_a_limit_rests_until_the_market_reaches_it(rig: Rig) -> None:
    async def scenario() -> None:
        async with trading(rig) as (venue, move):
            await venue.submit(limit_buy(rig, "a", 90))
            await move(91.0)
            (resting,) = await venue.open_orders()
            assert (resting.client_id, resting.limit, resting.filled) == ("a", Decimal(90), Decimal(0))
            await move(90.0)
            assert await venue.open_orders() == []
            state = await venue.order("a")
            assert state is not None
            assert (state.status, state.filled) == (OrderStatus.FILLED, rig.received(Decimal(2)))

    asyncio.run(scenario())


def test_cancel_ends_an_order_once(rig: Rig) -> None:
    """L7"""

    async def scenario() -> None:
        async with trading(rig) as (venue, move):
            await venue.submit(limit_buy(rig, "a", 90))
            await move(100.0)
            assert await venue.cancel("a") is True
            assert await venue.cancel("a") is False
            assert await venue.cancel("never sent") is False
            assert statuses(list(await venue.fills(0)), "a")[-1] is OrderStatus.CANCELLED
            await move(80.0)
            assert await venue.positions() == {}

    asyncio.run(scenario())


def test_amend_changes_a_resting_order_and_no_other(rig: Rig) -> None:
    """L7"""

    async def scenario() -> None:
        async with trading(rig) as (venue, move):
            await venue.submit(limit_buy(rig, "a", 90))
            await move(100.0)
            assert await venue.amend("a", size=Decimal(3), price=Decimal(95)) is True
            await move(95.0)
            state = await venue.order("a")
            assert state is not None
            assert (state.status, state.filled) == (OrderStatus.FILLED, rig.received(Decimal(3)))
            assert await venue.amend("a", size=Decimal(4)) is False
            assert await venue.amend("never sent", size=Decimal(4)) is False

    asyncio.run(scenario())


def test_fill_ids_are_unique(rig: Rig) -> None:
    async def scenario() -> None:
        async with trading(rig) as (venue, move):
            for name in ("a", "b", "c"):
                await venue.submit(intent(rig, name))
                await move(100.0)
            fills = [event.fill for event in await venue.fills(0) if event.fill]
            assert len({fill.fill_id for fill in fills}) == len(fills) == 3

    asyncio.run(scenario())


def test_an_order_without_sense_is_refused_and_forgotten(rig: Rig) -> None:
    async def scenario() -> None:
        async with trading(rig) as (venue, _):
            with pytest.raises(OrderRejected):
                await venue.submit(intent(rig, "a", size=Decimal(0)))
            assert await venue.order("a") is None
            assert venue.sequence == 0

    asyncio.run(scenario())


def test_an_order_beyond_the_cash_ends_as_margin(rig: Rig) -> None:
    async def scenario() -> None:
        async with trading(rig) as (venue, move):
            await venue.submit(intent(rig, "a", size=Decimal(1000)))
            await move(100.0)
            assert statuses(list(await venue.fills(0)), "a") == [OrderStatus.SUBMITTED, OrderStatus.MARGIN]

    asyncio.run(scenario())


def test_a_quote_is_known_after_the_first_price(rig: Rig) -> None:
    async def scenario() -> None:
        async with trading(rig) as (venue, _):
            quote = await venue.quote(rig.symbol)
            assert quote is not None
            assert 0 < quote.bid <= quote.ask
            assert await venue.quote("never traded") is None
            assert rig.symbol in await venue.instruments()

    asyncio.run(scenario())


def test_a_later_session_finds_everything(rig: Rig) -> None:
    """L25"""

    async def scenario() -> None:
        async with trading(rig) as (venue, move):
            await venue.submit(intent(rig, "a"))
            await venue.submit(limit_buy(rig, "b", 90))
            await move(100.0)
            before = [await venue.fills(0), await venue.open_orders(), await venue.positions()]
            before += [await venue.balances(), venue.sequence]
        later = rig.session()
        await later.connect()
        after = [await later.fills(0), await later.open_orders(), await later.positions()]
        assert [*after, await later.balances(), later.sequence] == before
        await rig.move(later, 90.0)
        assert statuses(list(await later.fills(0)), "b")[-1] is OrderStatus.FILLED
        await later.close()

    asyncio.run(scenario())
