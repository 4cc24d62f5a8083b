"""Words and codes of IBKR's messages, and what they mean to an order."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from core.types import Side, to_decimal

ENDED_WORDS = frozenset({"Cancelled", "ApiCancelled"})
ACCEPTED_WORDS = frozenset({"PreSubmitted", "Submitted", "Filled"})
CANCELLED = 202
DUPLICATE_ID = 103
REFUSED = frozenset({DUPLICATE_ID, 110, 200, 201, 203, 321, 387, 434, 461, 10006, 10318})
"""Errors that end an order the venue has not yet told of."""
NOT_CHANGED = frozenset({104, 105, 110, 135, 161, 201, 321, 329, 10147, 10148, 10318, 10326})
"""Errors that answer a change or a cancel of an order that goes on as it is."""
WARNINGS = frozenset({399, 404, 2109, 10349})
"""Notices on orders that are taken all the same."""
MARGIN_WORDS = ("MARGIN", "INSUFFICIENT", "EQUITY WITH LOAN")
UNSET = Decimal("1e300")
CLOCK_ERROR = timedelta(seconds=2)
"""How far the venue's time may be off: it is told in whole seconds."""
SIDES = {"BOT": Side.BUY, "BUY": Side.BUY, "SLD": Side.SELL, "SELL": Side.SELL}


@dataclass(frozen=True, slots=True)
class External:
    """An execution on the account that no order of ours brought about."""

    execution_id: str
    symbol: str
    side: Side
    size: Decimal
    price: Decimal
    time: datetime
    order_ref: str

    @classmethod
    def of(cls, contract: Any, execution: Any) -> External:
        """As the message execDetails tells it."""
        return cls(
            execution.execId,
            contract.symbol,
            SIDES[execution.side],
            to_decimal(execution.shares),
            to_decimal(execution.price),
            execution.time.astimezone(UTC),
            execution.orderRef,
        )


@dataclass(frozen=True, slots=True)
class Completed:
    """What counts of an order that is over: all of the day's are told at once, and each has a hundred fields more.

    filled: units, 0 where it is unset. word: its status. reason: why it was refused, if it was.
    """

    order_ref: str
    perm_id: int
    filled: Decimal
    word: str
    reason: str

    @classmethod
    def of(cls, contract: Any, told: Any, state: Any) -> Completed:
        """As the message completedOrder tells it."""
        filled = to_decimal(told.filledQuantity or 0)
        return cls(
            told.orderRef,
            told.permId,
            filled if filled < UNSET else Decimal(0),
            state.status,
            state.warningText or state.completedStatus,
        )


def execution_key(execution_id: str) -> str:
    """What names an execution through all its corrections, which the last part counts."""
    return execution_id.rpartition(".")[0] or execution_id


def told_price(told: Any) -> Decimal | None:
    """A price as IBKR tells it; None where it is unset."""
    value = to_decimal(told) if told not in (None, "") else Decimal(0)
    return value if 0 < value < UNSET else None
