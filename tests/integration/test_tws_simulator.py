"""The simulated gateway, spoken to by the IB library that is installed, over real sockets, in a process of its own."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from core.ib import ib_library
from core.types import Side
from tests.simulator import Simulator, simulator

SYMBOLS = [f"S{number:02}" for number in range(40)]
SECONDS = 20
NOTICES = range(2100, 2200)
ib_api = ib_library()
_clients = itertools.count(1)
_symbols = iter(SYMBOLS)


@pytest.fixture(scope="module")
def gateway() -> Iterator[Simulator]:
    with simulator(
        "tws", "--symbols", ",".join(SYMBOLS), "--market", "hand", "--start", "2024-01-02T15:00:00"
    ) as running:
        yield running


@dataclass
class Desk:
    """One connected client, and a symbol that nobody else trades."""

    ib: Any
    gateway: Simulator
    contract: Any
    client: int
    errors: list[tuple[int, int, str]] = field(default_factory=list)

    def price(self, price: float, **fields: object) -> None:
        self.gateway.control.price(self.contract.symbol, price, **fields)

    async def until(self, done: Callable[[], object]) -> None:
        """Wait for what the gateway's messages bring about."""
        async with asyncio.timeout(SECONDS):
            while not done():
                # News that come before the event is waited for are not told again.
                with suppress(TimeoutError):
                    await asyncio.wait_for(self.ib.updateEvent, 0.2)

    async def place(self, order: Any, status: str) -> Any:
        trade = self.ib.placeOrder(self.contract, order)
        await self.until(lambda: trade.orderStatus.status == status)
        return trade

    async def connect(self) -> None:
        await self.ib.connectAsync(
            self.gateway.host, self.gateway.port, clientId=self.client, timeout=SECONDS
        )

    def codes(self) -> list[int]:
        return [code for _, code, _ in self.errors if code not in NOTICES]


@asynccontextmanager
async def desk(gateway: Simulator, price: float = 100.0) -> AsyncIterator[Desk]:
    ib = ib_api.IB()
    ours = Desk(ib, gateway, ib_api.Stock(next(_symbols), "SMART", "USD"), next(_clients))
    ib.errorEvent += lambda request, code, text, contract: ours.errors.append((request, code, text))
    ours.price(price)
    await ours.connect()
    try:
        await ib.qualifyContractsAsync(ours.contract)
        yield ours
    finally:
        ours.ib.disconnect()
        gateway.control.clear()


def run(gateway: Simulator, scenario: Callable[[Desk], Any], price: float = 100.0) -> None:
    async def inside() -> None:
        async with desk(gateway, price) as ours:
            await scenario(ours)

    asyncio.run(inside())


def market(side: str, size: float, **fields: Any) -> Any:
    return ib_api.MarketOrder(side, size, **fields)


def limit(side: str, size: float, price: float, **fields: Any) -> Any:
    return ib_api.LimitOrder(side, size, price, **fields)


def test_a_client_connects_and_a_contract_is_qualified(gateway: Simulator) -> None:
    async def scenario(ours: Desk) -> None:
        assert ours.ib.client.serverVersion() == 176
        assert ours.ib.managedAccounts() == [gateway.account]
        assert ours.contract.conId > 0
        assert ours.contract.primaryExchange == "NASDAQ"
        (details,) = await ours.ib.reqContractDetailsAsync(ours.contract)
        assert (details.minTick, details.minSize, details.validExchanges) == (0.01, 1.0, "SMART,NASDAQ")
        assert await ours.ib.reqContractDetailsAsync(ib_api.Stock("NONE", "SMART", "USD")) == []
        assert ours.codes() == [200]
        assert (await ours.ib.reqCurrentTimeAsync()).year == 2024

    run(gateway, scenario)


def test_a_market_order_fills_and_is_accounted_for(gateway: Simulator) -> None:
    async def scenario(ours: Desk) -> None:
        before = cash(ours)
        trade = await ours.place(market("BUY", 200, orderRef="mine"), "Filled")
        await ours.until(lambda: trade.fills[0].commissionReport.execId)
        (fill,) = trade.fills
        assert (fill.execution.shares, fill.execution.price, fill.execution.orderRef) == (200, 100, "mine")
        assert fill.execution.permId == trade.order.permId > 0
        assert fill.commissionReport.commission == 1.0
        assert next(entry.status for entry in trade.log if entry.status) == "PendingSubmit"
        await ours.until(lambda: held(ours) == (200, 100.005))
        await ours.until(lambda: before - cash(ours) == pytest.approx(20_001))

    run(gateway, scenario)


@pytest.mark.parametrize(
    ("fields", "reached", "paid"),
    [
        ({"orderType": "LMT", "lmtPrice": 98}, 97.5, 98),
        ({"orderType": "STP", "auxPrice": 103}, 103.5, 103.5),
        ({"orderType": "STP LMT", "auxPrice": 103, "lmtPrice": 104}, 103.5, 103.5),
        ({"orderType": "TRAIL", "auxPrice": 2, "trailStopPrice": 102}, 102.5, 102.5),
        ({"orderType": "TRAIL", "trailingPercent": 2}, 102.5, 102.5),
        (
            {"orderType": "TRAIL LIMIT", "auxPrice": 2, "trailStopPrice": 102, "lmtPriceOffset": 1},
            102.5,
            102.5,
        ),
    ],
)
def test_each_kind_of_order_rests_until_its_price(
    gateway: Simulator, fields: dict[str, Any], reached: float, paid: float
) -> None:
    async def scenario(ours: Desk) -> None:
        waits = "Submitted" if fields["orderType"] == "LMT" else "PreSubmitted"
        order = ib_api.Order(action="BUY", totalQuantity=3, tif="GTC", **fields)
        trade = await ours.place(order, waits)
        ours.price(reached)
        await ours.until(lambda: trade.orderStatus.status == "Filled")
        assert trade.orderStatus.avgFillPrice == paid

    run(gateway, scenario)


def test_a_large_order_fills_in_parts(gateway: Simulator) -> None:
    async def scenario(ours: Desk) -> None:
        ours.price(99, volume=4)
        trade = await ours.place(limit("BUY", 10, 99), "Submitted")
        await ours.until(lambda: trade.orderStatus.filled == 4)
        ours.price(98.5, volume=4)
        ours.price(98.5, volume=4)
        await ours.until(lambda: trade.orderStatus.status == "Filled" and len(trade.fills) == 3)
        assert [fill.execution.shares for fill in trade.fills] == [4, 4, 2]
        assert [fill.execution.cumQty for fill in trade.fills] == [4, 8, 10]
        await ours.until(lambda: all(fill.commissionReport.execId for fill in trade.fills))
        assert sum(fill.commissionReport.commission for fill in trade.fills) == 1.0

    run(gateway, scenario)


def test_an_order_is_modified_and_cancelled(gateway: Simulator) -> None:
    async def scenario(ours: Desk) -> None:
        trade = await ours.place(limit("BUY", 10, 90), "Submitted")
        trade.order.lmtPrice, trade.order.totalQuantity = 91, 12
        ours.ib.placeOrder(ours.contract, trade.order)
        await ours.until(lambda: trade.log[-1].message == "Modified" or trade.orderStatus.remaining == 12)
        (known,) = [order for order in gateway.orders() if order["symbol"] == ours.contract.symbol]
        assert (Decimal(known["limit"]), Decimal(known["size"])) == (91, 12)
        ours.ib.cancelOrder(trade.order)
        await ours.until(lambda: 202 in ours.codes() and trade.orderStatus.status == "Cancelled")
        ours.ib.cancelOrder(trade.order)
        await ours.until(lambda: 10148 in ours.codes())

    run(gateway, scenario)


def test_a_bracket_waits_for_its_last_leg_and_one_exit_cancels_the_other(gateway: Simulator) -> None:
    async def scenario(ours: Desk) -> None:
        entry, target, stop = ours.ib.bracketOrder("BUY", 10, 99, 110, 95)
        first = [ours.ib.placeOrder(ours.contract, order) for order in (entry, target)]
        await ours.ib.reqCurrentTimeAsync()
        assert [order for order in gateway.orders() if order["symbol"] == ours.contract.symbol] == []
        trades = [*first, ours.ib.placeOrder(ours.contract, stop)]
        await ours.until(lambda: words(trades) == ["Submitted", "PreSubmitted", "PreSubmitted"])
        ours.price(98.5)
        await ours.until(lambda: trades[1].orderStatus.status == "Submitted")
        ours.price(94.5)
        await ours.until(lambda: words(trades) == ["Filled", "Cancelled", "Filled"])

    run(gateway, scenario)


def test_orders_of_one_group_cancel_each_other(gateway: Simulator) -> None:
    async def scenario(ours: Desk) -> None:
        group = {"ocaGroup": "either", "ocaType": 2}
        low = await ours.place(limit("BUY", 10, 95, **group), "Submitted")
        high = await ours.place(ib_api.StopOrder("BUY", 10, 105, **group), "PreSubmitted")
        ours.price(106)
        await ours.until(lambda: words([low, high]) == ["Cancelled", "Filled"])

    run(gateway, scenario)


@pytest.mark.parametrize(
    ("order", "code"),
    [
        (lambda: limit("BUY", 1, 99.999), 110),
        (lambda: limit("BUY", 0, 99), 434),
        (lambda: limit("BUY", 1.5, 99), 10318),
        (lambda: limit("BUY", 1_000_000, 99), 201),
        (lambda: ib_api.Order(action="BUY", totalQuantity=1, orderType="MIT", auxPrice=9), 387),
        (lambda: limit("BUY", 1, 99, algoStrategy="Adaptive"), 321),
    ],
)
def test_an_order_that_cannot_be_taken_is_refused_by_its_code(
    gateway: Simulator, order: Callable[[], Any], code: int
) -> None:
    async def scenario(ours: Desk) -> None:
        trade = ours.ib.placeOrder(ours.contract, order())
        await ours.until(lambda: code in ours.codes())
        assert trade.order.permId == 0
        assert [order for order in gateway.orders() if order["symbol"] == ours.contract.symbol] == []

    run(gateway, scenario)


def test_an_order_id_is_taken_once(gateway: Simulator) -> None:
    async def scenario(ours: Desk) -> None:
        trade = await ours.place(market("BUY", 1), "Filled")
        ours.ib.client.placeOrder(trade.order.orderId, ours.contract, limit("BUY", 1, 50))
        await ours.until(lambda: 104 in ours.codes())
        ours.ib.client.placeOrder(trade.order.orderId - 1, ours.contract, limit("BUY", 1, 50))
        await ours.until(lambda: 103 in ours.codes())

    run(gateway, scenario)


def test_two_clients_hear_of_their_own_orders_and_may_ask_for_all(gateway: Simulator) -> None:
    async def scenario(ours: Desk) -> None:
        async with desk(gateway) as theirs:
            trade = await ours.place(limit("BUY", 1, 50, orderRef="ours"), "Submitted")
            await theirs.ib.reqCurrentTimeAsync()
            assert theirs.ib.openTrades() == []
            everyone = await theirs.ib.reqAllOpenOrdersAsync()
            refs = [each.order.orderRef for each in everyone if each.contract.symbol == ours.contract.symbol]
            assert refs == ["ours"]
            theirs.ib.client.cancelOrder(trade.order.orderId + 1000)
            await theirs.until(lambda: 10147 in theirs.codes())
            ours.ib.cancelOrder(trade.order)
            await ours.until(lambda: trade.orderStatus.status == "Cancelled")

    run(gateway, scenario)


def test_a_client_id_in_use_is_refused(gateway: Simulator) -> None:
    async def scenario(ours: Desk) -> None:
        other, codes = ib_api.IB(), []
        other.errorEvent += lambda request, code, text, contract: codes.append(code)
        with pytest.raises((TimeoutError, ConnectionError)):
            await other.connectAsync(gateway.host, gateway.port, clientId=ours.client, timeout=1)
        assert 326 in codes

    run(gateway, scenario)


def test_a_client_that_comes_back_finds_orders_executions_and_what_is_done(gateway: Simulator) -> None:
    async def scenario(ours: Desk) -> None:
        resting = await ours.place(limit("BUY", 2, 50, orderRef="resting"), "Submitted")
        done = await ours.place(market("BUY", 3, orderRef="done"), "Filled")
        ours.ib.disconnect()
        ours.price(49)
        await ours.connect()
        executions = [
            e for e in ours.ib.executions() if e.permId in (resting.order.permId, done.order.permId)
        ]
        assert [(e.orderRef, e.shares, e.price) for e in executions] == [("done", 3, 100), ("resting", 2, 50)]
        completed = await ours.ib.reqCompletedOrdersAsync(False)
        told = {
            each.order.orderRef: each for each in completed if each.contract.symbol == ours.contract.symbol
        }
        assert {ref: each.orderStatus.status for ref, each in told.items()} == {
            "resting": "Filled",
            "done": "Filled",
        }
        assert told["done"].order.filledQuantity == 3
        assert ours.ib.client.getReqId() > done.order.orderId

    run(gateway, scenario)


def test_bars_are_kept_up_to_date(gateway: Simulator) -> None:
    async def scenario(ours: Desk) -> None:
        gateway.control.advance(60)
        ours.price(101, volume=5)
        bars = await ours.ib.reqHistoricalDataAsync(
            ours.contract, "", "1 D", "1 min", "TRADES", False, formatDate=2, keepUpToDate=True
        )
        assert [bar.close for bar in bars] == [100, 101]
        assert bars[1].date - bars[0].date == timedelta(minutes=1)
        ours.price(103, volume=5)
        await ours.until(lambda: bars[-1].close == 103)
        assert (len(bars), bars[-1].open, bars[-1].volume) == (2, 101, 10)
        gateway.control.advance(60)
        ours.price(104, volume=5)
        await ours.until(lambda: len(bars) == 3)
        assert (bars[1].close, bars[2].open) == (103, 104)
        hours = await ours.ib.reqHistoricalDataAsync(ours.contract, "", "1 D", "1 hour", "TRADES", False)
        assert (hours[-1].close, hours[-1].high) == (104, 104)

    run(gateway, scenario)


def test_real_time_bars_are_sent_every_five_seconds(gateway: Simulator) -> None:
    async def scenario(ours: Desk) -> None:
        bars = ours.ib.reqRealTimeBars(ours.contract, 5, "TRADES", False)
        await ours.ib.reqCurrentTimeAsync()
        for price in (101, 102, 103):
            gateway.control.advance(5)
            ours.price(price, volume=1)
        await ours.until(lambda: [bar.close for bar in bars][-2:] == [101, 102])
        assert (bars[-1].time - bars[-2].time).total_seconds() == 5

    run(gateway, scenario)


def test_quotes_follow_the_market(gateway: Simulator) -> None:
    async def scenario(ours: Desk) -> None:
        ticker = ours.ib.reqMktData(ours.contract)
        await ours.until(lambda: ticker.last == 100)
        ours.price(101, bid=100.99, ask=101.02, volume=7)
        await ours.until(lambda: ticker.last == 101)
        assert (ticker.bid, ticker.ask, ticker.bidSize) == (100.99, 101.02, 7)

    run(gateway, scenario)


# -- faults


def test_a_gateway_that_restarts_loses_its_clients_but_no_order(gateway: Simulator) -> None:
    async def scenario(ours: Desk) -> None:
        await ours.place(limit("BUY", 2, 50, orderRef="kept"), "Submitted")
        gone = asyncio.create_task(asyncio.wait_for(ours.ib.disconnectedEvent, SECONDS))
        await asyncio.sleep(0)
        gateway.control.restart(0.2)
        await gone
        with pytest.raises(OSError, match=r"."):
            await ours.ib.connectAsync(gateway.host, gateway.port, clientId=ours.client)
        await returned(ours)
        assert "kept" in [trade.order.orderRef for trade in ours.ib.openTrades()]

    run(gateway, scenario)


def test_order_ids_that_roll_back_are_handed_out_again(gateway: Simulator) -> None:
    async def scenario(ours: Desk) -> None:
        first = await ours.place(market("BUY", 1, orderRef="first"), "Filled")
        ours.ib.disconnect()
        gateway.control.fault("id-rollback")
        ours.ib = ib_api.IB()
        await ours.connect()
        while (order_id := ours.ib.client.getReqId()) < first.order.orderId:
            pass
        assert order_id == first.order.orderId
        second = await ours.place(market("BUY", 2, orderRef="second", orderId=order_id), "Filled")
        assert second.order.permId != first.order.permId
        executions = await ours.ib.reqExecutionsAsync()
        mine = [f.execution for f in executions if f.contract.symbol == ours.contract.symbol]
        assert [(e.orderRef, e.orderId, e.permId) for e in mine] == [
            ("first", order_id, first.order.permId),
            ("second", order_id, second.order.permId),
        ]

    run(gateway, scenario)


def test_a_half_open_socket_stays_open_and_says_nothing(gateway: Simulator) -> None:
    async def scenario(ours: Desk) -> None:
        gateway.control.fault("half-open")
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(ours.ib.reqCurrentTimeAsync(), 0.5)
        assert ours.ib.isConnected()
        ours.ib.disconnect()
        await returned(ours)

    run(gateway, scenario)


def test_lost_connectivity_keeps_orders_waiting_and_1101_drops_streams(gateway: Simulator) -> None:
    async def scenario(ours: Desk) -> None:
        ticker = ours.ib.reqMktData(ours.contract)
        await ours.until(lambda: ticker.last == 100)
        gateway.control.fault("message", code=1100)
        await ours.until(lambda: 1100 in ours.codes())
        trade = ours.ib.placeOrder(ours.contract, market("BUY", 1))
        gateway.control.price(ours.contract.symbol, 101)
        gateway.control.fault("message", code=1101)
        await ours.until(lambda: trade.orderStatus.status == "Filled")
        assert 1101 in ours.codes()
        ours.price(102)
        await ours.ib.reqCurrentTimeAsync()
        assert ticker.last == 100

    run(gateway, scenario)


@pytest.mark.parametrize("fault", ["drop-before-accept", "drop-after-accept"])
def test_a_drop_around_the_accept_is_seen_at_the_exchange_alone(gateway: Simulator, fault: str) -> None:
    async def scenario(ours: Desk) -> None:
        gateway.control.fault(fault, match="placeOrder")
        gone = asyncio.create_task(asyncio.wait_for(ours.ib.disconnectedEvent, SECONDS))
        await asyncio.sleep(0)
        ours.ib.placeOrder(ours.contract, limit("BUY", 1, 50, orderRef="torn"))
        await gone
        taken = [o for o in gateway.orders() if o["symbol"] == ours.contract.symbol]
        assert len(taken) == (fault == "drop-after-accept")
        await ours.connect()
        assert ("torn" in [t.order.orderRef for t in ours.ib.openTrades()]) == bool(taken)

    run(gateway, scenario)


def test_messages_are_lost_doubled_and_reordered(gateway: Simulator) -> None:
    async def scenario(ours: Desk) -> None:
        heard: list[str] = []
        for name in ("execDetails", "commissionReport"):
            listen(ours.ib.wrapper, name, heard)
        gateway.control.fault("duplicate", match="execDetails")
        gateway.control.fault("lose", match="commissionReport")
        await ours.place(market("BUY", 1), "Filled")
        gateway.control.fault("reorder", match="execDetails")
        await ours.place(market("BUY", 1), "Filled")
        await ours.ib.reqCurrentTimeAsync()
        assert heard == ["execDetails", "execDetails", "execDetails", "commissionReport"]

    run(gateway, scenario)


def test_a_request_is_refused_with_any_code_held_or_answered_late(gateway: Simulator) -> None:
    async def scenario(ours: Desk) -> None:
        gateway.control.fault("reject", match="placeOrder", code=461, text="anything")
        trade = ours.ib.placeOrder(ours.contract, market("BUY", 1))
        await ours.until(lambda: 461 in ours.codes())
        assert trade.fills == []
        for fault in ("hold", "hold-answer"):
            gateway.control.fault(fault, match="placeOrder", seconds=0.3)
            await ours.place(market("BUY", 1), "Filled")
        gateway.control.fault("rate-limit", match="placeOrder")
        ours.ib.placeOrder(ours.contract, market("BUY", 1))
        await ours.until(lambda: 100 in ours.codes())
        assert len([o for o in gateway.orders() if o["symbol"] == ours.contract.symbol]) == 2

    run(gateway, scenario)


def test_a_trade_by_hand_moves_the_position_and_belongs_to_no_client(gateway: Simulator) -> None:
    async def scenario(ours: Desk) -> None:
        gateway.control.trade(gateway.account, ours.contract.symbol, Side.BUY, 5)
        await ours.until(lambda: held(ours)[0] == 5)
        assert ours.ib.fills() == [] or ours.contract.symbol not in [
            f.contract.symbol for f in ours.ib.fills()
        ]
        executions = await ours.ib.reqExecutionsAsync()
        (fill,) = [f for f in executions if f.contract.symbol == ours.contract.symbol]
        assert (fill.execution.orderRef, fill.execution.clientId, fill.execution.orderId) == ("", 0, 0)

    run(gateway, scenario)


def words(trades: list[Any]) -> list[str]:
    return [trade.orderStatus.status for trade in trades]


def held(ours: Desk) -> tuple[float, float]:
    found = [p for p in ours.ib.positions() if p.contract.conId == ours.contract.conId]
    return (found[0].position, found[0].avgCost) if found else (0, 0)


def cash(ours: Desk) -> float:
    values = [v for v in ours.ib.accountValues() if v.tag == "CashBalance" and v.currency == "USD"]
    return float(values[0].value)


def listen(wrapper: Any, name: str, heard: list[str]) -> None:
    inner = getattr(wrapper, name)

    def outer(*arguments: Any) -> None:
        heard.append(name)
        inner(*arguments)

    setattr(wrapper, name, outer)


async def returned(ours: Desk) -> None:
    """Connected again, however long the gateway takes to come back."""
    async with asyncio.timeout(SECONDS):
        while True:
            try:
                await ours.connect()
                return
            except (TimeoutError, OSError):
                await asyncio.sleep(0.05)
