"""What a lean run leaves behind: orders and trades as they are notified, the account's curve computed afterwards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import backtrader as bt
import numpy as np

from engine.recording import ORDER_STATUSES, Recorder

if TYPE_CHECKING:
    from numpy.typing import NDArray

Held = tuple[tuple[Any, float, float], ...]
"""Open positions: (data, size, price)."""
Change = tuple[int, float, Held]
"""From which bar on the account is so: (bar, cash, open positions)."""


STATUS_TEXTS = {number: (status.value, status.terminal) for number, status in ORDER_STATUSES.items()}


class LeanRecorder(Recorder):
    """A `Recorder` that is told of no bar; the account's curve is given to it at the end by `set_account`."""

    def notify_cashvalue(self, cash: float, value: float) -> None:
        """Nothing: see `set_account`."""

    def tell(self, order: bt.Order, status: int, bit: Any, now: float) -> None:
        """`notify_order`, told what changed. bit: the execution, if that is what changed; now: the bar's time."""
        row = self._orders.get(order.ref)
        if row is None:
            row = self._orders[order.ref] = self._new_row(order)
            if order.created.dt > now:
                self._ahead[order.data._name] += 1
        row["status"], terminal = STATUS_TEXTS[status]
        if order.info:
            stated = order.info.get("exit_reason")
            if stated is not None:
                row["exit_reason"] = str(stated) or row["exit_reason"]
        if bit is not None:
            executed = order.executed
            row["filled"] = abs(executed.size)
            row["average_price"] = executed.price
            row["commission"] = executed.comm
            self._execute(order, bit, row)
        if terminal:
            row["closed_time"] = order.executed.dt or now

    def set_account(
        self, times: NDArray[np.float64], equity: NDArray[np.float64], cash: NDArray[np.float64]
    ) -> None:
        """Equity and cash of every bar that was run; times are day numbers. All of shape (bars,)."""
        self._times, self._equity, self._cash = times.tolist(), equity.tolist(), cash.tolist()


def account_curve(
    changes: Sequence[Change],
    bars: int,
    closes: Mapping[Any, NDArray[np.float64]],
    schemes: Mapping[Any, bt.CommInfoBase],
    *,
    shortcash: bool,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Equity and cash of every bar, each of shape (bars,), with the operations of `BackBroker._get_value` in order.

    changes: oldest first, the first at bar 0; of several at one bar the last holds. closes: per data the close the
    broker saw on each bar, shape (bars,). schemes: per data its plain commission scheme. Datas in the order of
    the broker's positions.
    """
    starts = np.array([change[0] for change in changes])
    last = np.append(starts[1:] != starts[:-1], True) & (starts < bars)
    kept = [change for change, keep in zip(changes, last, strict=True) if keep]
    spans = np.diff(np.append(starts[last], bars))
    cash = np.repeat(np.array([change[1] for change in kept], dtype=np.float64), spans)
    value = np.zeros(bars)
    for data, close in closes.items():
        sizes = np.zeros(len(kept))
        prices = np.zeros(len(kept))
        for row, (_, _, held) in enumerate(kept):
            for other, size, price in held:
                if other is data:
                    sizes[row], prices[row] = size, price
        if sizes.any():
            held_size, held_price = np.repeat(sizes, spans), np.repeat(prices, spans)
            _add_position(value, held_size, held_price, close, schemes[data], shortcash)
    return cash + value, cash


def _add_position(
    total: NDArray[np.float64],
    size: NDArray[np.float64],
    price: NDArray[np.float64],
    close: NDArray[np.float64],
    scheme: bt.CommInfoBase,
    shortcash: bool,
) -> None:
    """Add one data's value to `total` in place, as `BackBroker._get_value` does."""
    unrealized = size * (close - price) * scheme.p.mult
    value = size * close
    if not shortcash:
        value = np.abs(np.where(size >= 0, value, price * size + (price - close) * size))
    paid = (value - unrealized) / scheme.get_leverage()
    long = value > 0
    total += np.where(long, paid, value)
    total += np.where(long, unrealized, 0.0)
