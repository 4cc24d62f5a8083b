"""What can be learnt of a TWS or IB Gateway, and of an account, without an order."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from brokers.ibkr_link import IBKRSettings, Link
from brokers.ibkr_market import IBKRMarket
from core.errors import VenueTransient

READ_ONLY = 321
NO_DATA = frozenset({354, 10089, 10090, 10167, 10168, 10186, 10197})
"""No subscription, delayed data in its place, or another session has it."""
PAPER = ("D",)
SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class IBKRFacts:
    """offset_seconds: how far our clock is ahead of IBKR's. unknown: a symbol that IBKR does not list, or none.

    open_orders: symbol and order reference of each. no_data: what IBKR says instead of quotes, or none.
    """

    account: str
    offset_seconds: float
    read_only: str
    open_orders: tuple[tuple[str, str], ...]
    unknown: str
    no_data: str

    @property
    def paper(self) -> bool:
        """Whether the account is one without money."""
        return self.account.startswith(PAPER)


async def examine(settings: IBKRSettings, symbol: str) -> IBKRFacts:
    """Connect, ask, disconnect. Raises VenueFatal, with what to do, where there is nothing to connect to."""
    errors: list[tuple[int, str]] = []

    def hear(name: str, told: tuple[Any, ...]) -> None:
        if name == "error":
            errors.append((int(told[1]), str(told[2])))

    async def up() -> None:
        return None

    brief = replace(settings, answer=SECONDS, patience=SECONDS)
    link = Link(brief, hear=hear, up=up, down=lambda: None, failed=lambda task: None)
    await link.open()
    try:
        # IBKR tells whole seconds.
        offset = (datetime.now(UTC) - link.now()).total_seconds() - 0.5
        orders = await _open_orders(link)
        market = IBKRMarket(link)
        listed = await market.listed(symbol)
        quote = None if listed is None else await market.quote(symbol)
        said = [f"{code}: {text}" for code, text in errors if code in NO_DATA]
        return IBKRFacts(
            link.account,
            offset,
            next((text for code, text in errors if code == READ_ONLY), ""),
            orders,
            symbol if listed is None else "",
            "" if quote is not None or listed is None else next(iter(said), "no quote came"),
        )
    finally:
        await link.close()


async def _open_orders(link: Link) -> tuple[tuple[str, str], ...]:
    """A gateway that only reads answers this with an error, and then not at all."""
    try:
        trades = await link.ask("open orders", lambda session: session.reqAllOpenOrdersAsync())
    except VenueTransient:
        return ()
    return tuple((trade.contract.symbol, trade.order.orderRef) for trade in trades)
