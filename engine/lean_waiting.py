"""Which bars leave every pending order alone, told without looking at each of them.

A bar that stays within the prices and times at which something would happen to an order changes no order. The levels
of all pending orders together, per data, are kept from bar to bar; an order that is added is looked at once. Orders
that go leave levels that are wider than need be, which costs a look and changes nothing.
"""

from __future__ import annotations

import dis
import functools
import math
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

from backtrader.order import Order

from engine.lean_lines import codes_in
from engine.lean_orders import LIMIT, STOPS, TRAILING, TRIGGERED, Bars, first_to_happen
from engine.lean_strategy import codes_around

FEW = 3
"""Up to so many pending orders are looked at one by one."""
WAITS_ON = frozenset(
    ("_active", "created", "data", "dt", "exectype", "ordtype", "price", "pricelimit", "triggered", "valid")
)
"""Attributes of orders that say what they wait for."""
REACHES_ATTRIBUTES = frozenset(("setattr", "__setattr__", "__dict__", "vars", "activate", "trailadjust"))


@functools.lru_cache(maxsize=64)
def leaves_orders_alone(kind: Any) -> bool:
    """Whether an author's code does not change of an order what it waits for, other than by the broker."""
    for code in codes_in(codes_around(kind)):
        if not REACHES_ATTRIBUTES.isdisjoint(code.co_names):
            return False
        own = code.co_varnames[0] if code.co_argcount else None
        before: Any = None
        for step in dis.get_instructions(code):
            if step.opname == "STORE_ATTR" and step.argval in WAITS_ON and before.argval != own:
                return False
            before = step
    return True


class Levels:
    """Prices and times between which nothing happens to the orders that were looked at.

    newest: the last of them in the queue, None while they have no levels. spans: per data the price from which on
    something happens, the price down to which, and the time after which.
    """

    def __init__(self) -> None:
        self.newest: Order | None = None
        self.spans: dict[Any, tuple[float, float, float]] = {}

    def first_to_happen(self, pending: deque[Any], bars: Mapping[Any, Bars], at_once: bool) -> int:
        """`engine.lean_orders.first_to_happen`, in less time where many orders wait."""
        if len(pending) <= FEW:
            self.newest = None
            return first_to_happen(pending, bars, at_once)
        if self.newest is not None and self._still(pending, bars, at_once):
            return -1
        found = first_to_happen(pending, bars, at_once)
        self.newest = None
        if found < 0:
            self.spans.clear()
            if self._add(pending):
                self.newest = pending[-1]
        return found

    def _still(self, pending: deque[Any], bars: Mapping[Any, Bars], at_once: bool) -> bool:
        """Whether the bar leaves alone the orders that have levels, and those added since can be given theirs."""
        for data, (up, down, until) in self.spans.items():
            opens, highs, lows, _, times, (at,) = bars[data]
            opening = opens[at]
            if up <= opening or up <= highs[at] or down >= opening or down >= lows[at] or times[at] > until:
                return False
        added: list[Any] = []
        for order in reversed(pending):
            if order is self.newest:
                break
            added.insert(0, order)
        else:
            return False
        if not added:
            return True
        if any(order.exectype in TRAILING for order in added) or first_to_happen(added, bars, at_once) >= 0:
            return False
        self.newest = added[-1]
        return self._add(added)

    def _add(self, orders: Iterable[Any]) -> bool:
        """Widen the levels by these orders; False where one has none."""
        spans = self.spans
        for order in orders:
            kind, data = order.exectype, order.data
            up, down, until = spans.get(data, (math.inf, -math.inf, math.inf))
            valid = order.valid
            if valid:
                until = min(until, valid)
            if order._active:
                created = order.created
                buys = order.ordtype == Order.Buy
                if kind == LIMIT or (order.triggered and kind in TRIGGERED):
                    level = created.price if kind == LIMIT else created.pricelimit
                    falls = buys
                elif kind in STOPS and kind not in TRAILING:
                    level, falls = created.price, not buys
                else:
                    return False
                if level != level:
                    return False
                if falls:
                    down = max(down, level)
                else:
                    up = min(up, level)
            spans[data] = up, down, until
        return True
