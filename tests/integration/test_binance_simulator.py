"""The Binance simulator as a process of its own, spoken to by the real ccxt and ccxt.pro over real sockets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import ccxt.pro
import pytest

from core.types import Side
from tests.simulator import Simulator, simulator

SYMBOL, NATIVE = "BTC/USDT", "BTCUSDT"
LONG = 20.0


@pytest.fixture(scope="module")
def process() -> Iterator[Simulator]:
    with simulator("binance", "--cash", "1000000", "--speed", "1", "--market", "hand") as running:
        yield running


@pytest.fixture
def sim(process: Simulator) -> Simulator:
    """The market at 100, no faults, no open orders, no money missing."""
    process.control.clear()
    process.control.price(NATIVE, 100)
    return process


@asynccontextmanager
async def client(sim: Simulator, **settings: Any) -> AsyncIterator[Any]:
    """ccxt.pro's Binance, its addresses rewritten to the simulator's."""
    made = ccxt.pro.binance(
        {
            "apiKey": "rehearsal-key", "secret": "rehearsal-secret", "enableRateLimit": True, "timeout": 3000,
            "options": {"defaultType": "spot", "fetchMarkets": {"types": ["spot"]}, "fetchMargins": False}, **settings,
        }
    )  # fmt: skip
    made.has["fetchCurrencies"] = False
    where = f"{sim.host}:{sim.port}"
    made.urls["api"]["public"] = made.urls["api"]["private"] = f"http://{where}/api/v3"
    made.urls["api"]["ws"]["spot"] = f"ws://{where}/ws"
    made.urls["api"]["ws"]["ws-api"]["spot"] = f"ws://{where}/ws-api/v3"
    try:
        await made.load_markets()
        yield made
    finally:
        await made.close()


def run(sim: Simulator, scenario: Callable[[Any], Awaitable[None]], **settings: Any) -> None:
    async def whole() -> None:
        async with client(sim, **settings) as made, asyncio.timeout(60):
            await scenario(made)
            await made.cancel_all_orders(SYMBOL) if await made.fetch_open_orders(SYMBOL) else None

    asyncio.run(whole())


def posts(sim: Simulator) -> int:
    """How many orders the server was sent."""
    return sum(entry["what"].startswith("POST /api/v3/order ") for entry in sim.control.state()["requests"])


async def subscribed(sim: Simulator) -> None:
    """Wait until the user stream is subscribed."""
    while not sim.control.state()["subscriptions"]:
        await asyncio.sleep(0.02)


def test_markets_bars_quotes_and_balances_are_read(sim: Simulator) -> None:
    async def scenario(made: Any) -> None:
        market = made.market(SYMBOL)
        assert (market["precision"]["price"], market["precision"]["amount"]) == (0.01, 0.00001)
        assert market["limits"]["cost"]["min"] == 5.0
        bars = await made.fetch_ohlcv(SYMBOL, "1m")
        assert bars[-1][4] == 100.0
        ticker = await made.fetch_ticker(SYMBOL)
        assert (ticker["last"], ticker["bid"], ticker["ask"]) == (100.0, 100.0, 100.0)
        book = await made.fetch_order_book(SYMBOL, 5)
        assert [level[0] for level in book["asks"]] == [100.0, 100.01, 100.02, 100.03, 100.04]
        assert (await made.fetch_balance())["USDT"]["total"] > 0
        assert abs(await made.fetch_time() - made.milliseconds()) < 5_000

    run(sim, scenario)


def test_orders_of_every_type_are_taken_and_found_again(sim: Simulator) -> None:
    async def scenario(made: Any) -> None:
        bought = await made.create_order(SYMBOL, "market", "buy", 2)
        assert (bought["status"], bought["filled"], bought["average"]) == ("closed", 2.0, 100.0)
        assert bought["fees"][0]["currency"] == "BTC"
        resting: list[tuple[Any, ...]] = [
            ("limit", "buy", 0.1, 90),
            ("LIMIT_MAKER", "buy", 0.1, 91),
            ("STOP_LOSS", "sell", 0.1, None, {"stopPrice": 80}),
            ("STOP_LOSS_LIMIT", "sell", 0.1, 79, {"stopPrice": 80}),
            ("TAKE_PROFIT", "sell", 0.1, None, {"stopPrice": 120}),
            ("TAKE_PROFIT_LIMIT", "sell", 0.1, 121, {"stopPrice": 120}),
            ("market", "sell", 0.1, None, {"trailingPercent": 1, "stopLossOrTakeProfit": "stopLoss"}),
        ]
        made_ids = [(await made.create_order(SYMBOL, *order))["id"] for order in resting]
        found = await made.fetch_open_orders(SYMBOL)
        assert [order["id"] for order in found] == made_ids
        edited = await made.edit_order(made_ids[0], SYMBOL, "limit", "buy", 0.2, 92)
        assert (edited["price"], edited["amount"], edited["status"]) == (92.0, 0.2, "open")
        await made.cancel_all_orders(SYMBOL)
        assert {(await made.fetch_order(key, SYMBOL))["status"] for key in made_ids[1:]} == {"canceled"}

    run(sim, scenario)


def test_a_pair_of_orders_ends_together(sim: Simulator) -> None:
    async def scenario(made: Any) -> None:
        await made.create_order(SYMBOL, "market", "buy", 1)
        pair = await made.privatePostOrderListOco(
            {
                "symbol": NATIVE, "side": "SELL", "quantity": "0.5", "aboveType": "LIMIT_MAKER", "abovePrice": "110",
                "belowType": "STOP_LOSS_LIMIT", "belowPrice": "89", "belowStopPrice": "90", "belowTimeInForce": "GTC",
            }
        )  # fmt: skip
        above, below = (order["orderId"] for order in pair["orders"])
        await asyncio.to_thread(sim.control.price, NATIVE, 110)
        assert (await made.fetch_order(above, SYMBOL))["status"] == "closed"
        assert (await made.fetch_order(below, SYMBOL))["status"] == "expired"

    run(sim, scenario)


def test_fills_and_balances_come_by_the_user_stream(sim: Simulator) -> None:
    async def scenario(made: Any) -> None:
        watching = asyncio.create_task(made.watch_my_trades(SYMBOL))
        balances = asyncio.create_task(made.watch_balance())
        await subscribed(sim)
        order = await made.create_order(SYMBOL, "market", "buy", 0.5)
        (trade,) = await asyncio.wait_for(watching, LONG)
        assert (trade["order"], trade["amount"], trade["price"]) == (order["id"], 0.5, 100.0)
        assert trade["fee"] == {"cost": 0.0005, "currency": "BTC"}
        assert "USDT" in await asyncio.wait_for(balances, LONG)

    run(sim, scenario)


def test_bars_quotes_and_trades_are_streamed(sim: Simulator) -> None:
    async def scenario(made: Any) -> None:
        watching = {
            "bars": asyncio.create_task(made.watch_ohlcv(SYMBOL, "1m")),
            "ticker": asyncio.create_task(made.watch_ticker(SYMBOL)),
            "quote": asyncio.create_task(made.watch_bids_asks([SYMBOL])),
            "trades": asyncio.create_task(made.watch_trades(SYMBOL)),
        }
        pending = set(watching.values())
        for price in range(101, 200):
            await asyncio.to_thread(sim.control.price, NATIVE, price)
            _, pending = await asyncio.wait(pending, timeout=0.05)
            if not pending:
                break
        bar = watching["bars"].result()[-1]
        assert bar[4] > 100
        assert watching["ticker"].result()["last"] > 100
        assert watching["quote"].result()[SYMBOL]["bid"] > 100
        assert watching["trades"].result()[-1]["price"] > 100

    run(sim, scenario)


def test_combined_streams_name_the_stream(sim: Simulator) -> None:
    async def scenario() -> None:
        url = f"ws://{sim.host}:{sim.port}/stream?streams=btcusdt@trade/btcusdt@kline_5m"
        async with aiohttp.ClientSession() as session, session.ws_connect(url) as socket:
            await asyncio.to_thread(sim.control.price, NATIVE, 101)
            heard = {
                message["stream"]: message["data"]
                for message in [await socket.receive_json() for _ in range(2)]
            }
            assert heard["btcusdt@trade"]["p"] == "101.00000000"
            assert heard["btcusdt@kline_5m"]["k"]["i"] == "5m"
            await socket.send_json({"method": "LIST_SUBSCRIPTIONS", "id": 3})
            assert (await socket.receive_json())["result"] == ["btcusdt@trade", "btcusdt@kline_5m"]
            await socket.send_json({"method": "UNSUBSCRIBE", "params": ["btcusdt@trade"], "id": 4})
            assert await socket.receive_json() == {"result": None, "id": 4}

    asyncio.run(asyncio.wait_for(scenario(), LONG))


def test_the_websocket_api_answers_with_what_was_used(sim: Simulator) -> None:
    async def scenario() -> None:
        url = f"ws://{sim.host}:{sim.port}/ws-api/v3"
        async with aiohttp.ClientSession() as session, session.ws_connect(url) as socket:
            await socket.send_json({"id": "a", "method": "time", "params": {}})
            answer = await socket.receive_json()
            assert (answer["id"], answer["status"], set(answer["result"])) == ("a", 200, {"serverTime"})
            assert answer["rateLimits"][0]["count"] > 0
            await socket.send_json(
                {"id": "b", "method": "account.status", "params": {"apiKey": "rehearsal-key", "timestamp": 1}}
            )
            assert (await socket.receive_json())["error"]["code"] == -1102
            await socket.send_json({"id": "c", "method": "order.dance", "params": {}})
            assert (await socket.receive_json())["status"] == 404

    asyncio.run(asyncio.wait_for(scenario(), LONG))


@pytest.mark.parametrize(("fault", "taken"), [("drop-before-accept", False), ("drop-after-accept", True)])
def test_a_dropped_order_was_taken_or_not(sim: Simulator, fault: str, taken: bool) -> None:
    async def scenario(made: Any) -> None:
        await asyncio.to_thread(sim.control.fault, fault, match="POST /api/v3/order")
        before = posts(sim)
        with pytest.raises(ccxt.NetworkError):
            await made.create_order(SYMBOL, "market", "buy", 1, params={"newClientOrderId": fault})
        assert posts(sim) == before + 1
        if taken:
            found = await made.privateGetOrder({"symbol": NATIVE, "origClientOrderId": fault})
            assert found["status"] == "FILLED"
        else:
            with pytest.raises(ccxt.OrderNotFound):
                await made.privateGetOrder({"symbol": NATIVE, "origClientOrderId": fault})

    run(sim, scenario)


@pytest.mark.parametrize(
    ("fault", "fields", "error"),
    [
        ("hold", {"seconds": 2}, ccxt.RequestTimeout),
        ("hold-answer", {"seconds": 2}, ccxt.RequestTimeout),
        ("fail-after-accept", {"code": -1007}, ccxt.NetworkError),
        ("fail-after-accept", {"code": 503}, ccxt.OperationFailed),
        ("reject", {"code": -1013, "text": "Filter failure: MAX_POSITION"}, ccxt.BadRequest),
        ("reject", {"code": -2010, "text": "Account has insufficient balance for requested action."}, ccxt.InsufficientFunds),
        ("clock-skew", {"seconds": -60}, ccxt.InvalidNonce),
        ("rate-limit", {"seconds": 1}, ccxt.DDoSProtection),
        ("ban", {"seconds": 1}, ccxt.DDoSProtection),
    ],
)  # fmt: skip
def test_a_fault_reaches_the_client_as_the_exchange_would_send_it(
    sim: Simulator, fault: str, fields: dict[str, Any], error: type[Exception]
) -> None:
    async def scenario(made: Any) -> None:
        match = {} if fault == "clock-skew" else {"match": "POST /api/v3/order"}
        await asyncio.to_thread(sim.control.fault, fault, **match, **fields)
        with pytest.raises(error):
            await made.create_order(SYMBOL, "limit", "buy", 1, 90)
        await asyncio.to_thread(sim.control.clear)
        if fault in ("rate-limit", "ban"):
            assert int(made.last_response_headers["Retry-After"]) >= 1
            await asyncio.sleep(1)

    run(sim, scenario, timeout=1000)


@pytest.mark.parametrize(
    ("fault", "heard"),
    [("lose", [0.2, 0.3]), ("duplicate", [0.1, 0.1, 0.2, 0.3]), ("reorder", [0.2, 0.1, 0.3])],
)
def test_messages_of_the_user_stream_can_go_wrong(sim: Simulator, fault: str, heard: list[float]) -> None:
    async def scenario(made: Any) -> None:
        sizes: list[float] = []
        watching = asyncio.create_task(made.watch_my_trades(SYMBOL))
        await subscribed(sim)
        made.handle_my_trade = lambda socket, message: (
            sizes.append(float(message["l"])) if message["x"] == "TRADE" else None
        )
        await asyncio.to_thread(sim.control.fault, fault, match="executionReport TRADE")
        for size in (0.1, 0.2, 0.3):
            await made.create_order(SYMBOL, "market", "buy", size)
        while len(sizes) < len(heard):
            await asyncio.sleep(0.02)
        assert sizes == heard
        watching.cancel()

    run(sim, scenario)


def test_a_half_open_connection_stays_and_says_nothing(sim: Simulator) -> None:
    async def scenario() -> None:
        url = f"ws://{sim.host}:{sim.port}/ws/btcusdt@trade"
        async with aiohttp.ClientSession() as session, session.ws_connect(url, autoping=False) as socket:
            await asyncio.to_thread(sim.control.price, NATIVE, 101)
            assert (await socket.receive_json())["p"] == "101.00000000"
            await asyncio.to_thread(sim.control.fault, "half-open")
            await asyncio.to_thread(sim.control.price, NATIVE, 102)
            await socket.ping()
            with pytest.raises(TimeoutError):
                await socket.receive(timeout=0.5)
            assert not socket.closed

    asyncio.run(asyncio.wait_for(scenario(), LONG))


def test_a_disconnect_a_refusal_and_a_restart(sim: Simulator) -> None:
    async def scenario() -> None:
        url = f"ws://{sim.host}:{sim.port}/ws/btcusdt@trade"
        async with aiohttp.ClientSession() as session:
            async with session.ws_connect(url) as socket:
                await asyncio.to_thread(sim.control.fault, "message", text="serverShutdown")
                assert (await socket.receive_json())["e"] == "serverShutdown"
                await asyncio.to_thread(sim.control.fault, "disconnect")
                assert (await socket.receive()).type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
            await asyncio.to_thread(sim.control.fault, "refuse", match="stream")
            with pytest.raises(aiohttp.WSServerHandshakeError):
                await session.ws_connect(url)
            async with session.ws_connect(url) as socket:
                await asyncio.to_thread(sim.control.restart, 0.2)
                assert (await socket.receive()).type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
            while True:
                try:
                    async with session.ws_connect(url):
                        return
                except aiohttp.ClientConnectionError:
                    await asyncio.sleep(0.05)

    asyncio.run(asyncio.wait_for(scenario(), LONG))


def test_the_owner_may_trade_by_hand(sim: Simulator) -> None:
    async def scenario(made: Any) -> None:
        watching = asyncio.create_task(made.watch_my_trades(SYMBOL))
        await subscribed(sim)
        await asyncio.to_thread(sim.control.trade, sim.account, NATIVE, Side.BUY, "0.25")
        (trade,) = await asyncio.wait_for(watching, LONG)
        assert trade["amount"] == 0.25

    run(sim, scenario)


def test_a_partial_fill_is_told_in_parts(sim: Simulator) -> None:
    async def scenario(made: Any) -> None:
        await asyncio.to_thread(sim.control.fault, "partial", value="0.25")
        order = await made.create_order(SYMBOL, "limit", "buy", 0.4, 100)
        assert (order["status"], order["filled"]) == ("open", 0.1)
        await asyncio.to_thread(sim.control.price, NATIVE, 100)
        assert (await made.fetch_order(order["id"], SYMBOL))["filled"] == 0.4

    run(sim, scenario)


def test_orders_outlive_the_simulator(tmp_path: Any) -> None:
    state = tmp_path / "exchange.json"
    for attempt in range(2):
        with simulator("binance", "--market", "hand", "--speed", "1", "--state", str(state)) as sim:

            async def scenario(made: Any, first: bool = attempt == 0, sim: Simulator = sim) -> None:
                if first:
                    await made.create_order(SYMBOL, "limit", "buy", 1, 90, {"newClientOrderId": "kept"})
                assert [o["clientOrderId"] for o in await made.fetch_open_orders(SYMBOL)] == ["kept"]

            async def whole(sim: Simulator = sim, first: bool = attempt == 0) -> None:
                if first:
                    await asyncio.to_thread(sim.control.price, NATIVE, 100)
                async with client(sim) as made:
                    await scenario(made)

            asyncio.run(whole())
    assert json.loads(state.read_text())["orders"]["1"]["client_id"] == "kept"
