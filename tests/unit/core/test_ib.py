"""What is heard of orders through the library, and that it keeps none of it."""

from __future__ import annotations

import asyncio
from typing import Any

from ib_async import IB, CommissionReport, Contract, Execution, Order, OrderState

from core.ib import overhear

ORDERS = 5


def test_the_library_keeps_nothing_of_the_orders_it_tells_of() -> None:
    """Nor of those it collects for an answer: it would have the whole day's, each with a hundred fields."""
    told: list[tuple[str, tuple[Any, ...]]] = []

    async def review() -> None:
        session = IB()
        wrapper = session.wrapper
        overhear(session, lambda name, message: told.append((name, message)))
        wrapper.startReq("completedOrders")
        wrapper.startReq(7)
        for number in range(1, ORDERS + 1):
            order = Order(orderId=number, permId=number, orderRef=f"ours-{number}")
            wrapper.openOrder(number, Contract(), order, OrderState(status="Submitted"))
            wrapper.completedOrder(Contract(), order, OrderState(status="Filled"))
            wrapper.execDetails(7, Contract(), Execution(execId=f"x{number}", permId=number))
            wrapper.commissionReport(CommissionReport(execId=f"x{number}", commission=1.0))
            wrapper.orderStatus(number, "Filled", 1.0, 0.0, 9.0, number, 0, 9.0, 0, "")
        kept = (wrapper.trades, wrapper.permId2Trade, wrapper.fills, wrapper._results["completedOrders"])
        assert [len(each) for each in (*kept, wrapper._results[7])] == [0] * 5

    asyncio.run(review())
    names = ["openOrder", "completedOrder", "execDetails", "commissionReport", "orderStatus"]
    assert [name for name, _ in told] == names * ORDERS
    assert [message[1].orderRef for name, message in told if name == "completedOrder"] == [
        f"ours-{number}" for number in range(1, ORDERS + 1)
    ]


def test_a_pending_question_is_still_answered() -> None:
    async def ask() -> object:
        session = IB()
        overhear(session, lambda name, message: None)
        answer = session.wrapper.startReq("completedOrders")
        session.wrapper.completedOrder(Contract(), Order(permId=1), OrderState(status="Filled"))
        session.wrapper.completedOrdersEnd()
        async with asyncio.timeout(5):
            return await answer

    assert asyncio.run(ask()) == []
