"""Which statuses a `notify_order` is known to do nothing on."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import backtrader as bt
import pytest
from backtrader.order import Order

from engine.lean_notices import NONE, STATUSES, ignored_statuses

SUBMITTED, ACCEPTED, COMPLETED = Order.Submitted, Order.Accepted, Order.Completed
Seen = list[Any]


class Tutorial:
    seen: Seen

    def notify_order(self, order: Any) -> None:
        """With a docstring, which has no effect either."""
        if order.status in [order.Submitted, order.Accepted]:
            return
        self.seen.append(order.status)


class OnlyCompleted:
    seen: Seen

    def notify_order(self, order: Any) -> None:
        if order.status == bt.Order.Completed and order.isbuy():
            self.seen.append(order.status)


class Chain:
    seen: Seen

    def notify_order(self, order: Any) -> None:
        if order.status == Order.Expired:
            self.seen.append(1)
        elif order.status in (Order.Canceled, Order.Margin):
            self.seen.append(2)


class NotAlive:
    seen: Seen

    def notify_order(self, order: Any) -> None:
        if not order.alive():
            self.seen.append(order.status)


class AsksFirst:
    seen: Seen

    def notify_order(self, order: Any) -> None:
        if order.isbuy() and order.status == order.Completed:
            self.seen.append(order.status)


class ActsAfterwards:
    seen: Seen

    def notify_order(self, order: Any) -> None:
        if order.status == order.Completed:
            self.seen.append(1)
        self.seen.append(2)


class Returns:
    seen: Seen

    def notify_order(self, order: Any) -> Any:
        if order.status != order.Completed:
            return self.seen.append(order.status)
        return None


def counted(method: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(method)
    def wrapper(self: Any, order: Any) -> None:
        self.seen.append("called")
        method(self, order)

    return wrapper


class Decorated:
    seen: Seen

    @counted
    def notify_order(self, order: Any) -> None:
        if order.status == order.Completed:
            self.seen.append(1)


CASES: list[tuple[type, frozenset[int]]] = [
    (Tutorial, frozenset((SUBMITTED, ACCEPTED))),
    (OnlyCompleted, STATUSES - {COMPLETED}),
    (Chain, STATUSES - {Order.Expired, Order.Canceled, Order.Margin}),
    (NotAlive, frozenset((Order.Created, SUBMITTED, ACCEPTED, Order.Partial))),
    (AsksFirst, NONE),
    (ActsAfterwards, NONE),
    (Returns, frozenset((COMPLETED,))),
    (Decorated, NONE),
]


@pytest.mark.parametrize(("kind", "expected"), CASES, ids=[kind.__name__ for kind, _ in CASES])
def test_statuses_without_an_effect(kind: type, expected: frozenset[int]) -> None:
    assert ignored_statuses(kind.notify_order) == expected  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", [kind for kind, ignored in CASES if ignored])
def test_nothing_happens_on_them(kind: Any) -> None:
    listener, order = kind(), bt.BuyOrder.__new__(bt.BuyOrder)
    listener.seen = []
    for order.status in ignored_statuses(kind.notify_order):
        listener.notify_order(order)
    assert not listener.seen
    order.status = next(iter(STATUSES - ignored_statuses(kind.notify_order)))
    listener.notify_order(order)
    assert listener.seen


def test_a_method_without_its_source_is_told_of_everything() -> None:
    made: dict[str, Any] = {}
    exec(
        "def notify_order(self, order):\n    if order.status == order.Completed:\n        self.n = 1\n", made
    )
    assert ignored_statuses(made["notify_order"]) == NONE
