"""Binance Spot as a venue, over ccxt and ccxt.pro.

What it keeps to:
- an order is written down before it is sent, is sent once, and is found again by our client id; what became of it is
  asked until Binance has it or can no longer take it, and never guessed;
- fills are trades, counted once by trade id: the user stream tells them, `myTrades` from the last id on fills gaps;
- after every new connection of the stream, trades and living orders are read again;
- stops, trailing stops and pairs of limit and stop are Binance's own, and rest there; brackets are held by us until
  their parent fills. A trailing amount becomes the fraction it is of the reference price: Binance trails by nothing else;
- a limit or stop that expires is cancelled by us, at its time: Binance has no such orders;
- trades on the account that no order of ours brought about are flagged (`external`), and move no position.
Positions are what our own fills have left, commissions in the traded asset taken off.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from brokers.binance_book import BinanceBook, External
from brokers.binance_ear import BinanceEar
from brokers.binance_link import WALL_CLOCK, BinanceSettings, OpenSession, Refused
from brokers.binance_orders import (
    BinanceOrder,
    Pair,
    Stage,
    check_intent,
    limit_of,
    sellable,
)
from brokers.venue_log import VenueLog
from core.clock import Clock
from core.connect import ccxt_stream_session
from core.errors import OrderRejected, OutcomeUnknown, VenueFatal
from core.telemetry import get_logger
from core.types import (
    Instrument,
    OrderEvent,
    OrderIntent,
    OrderState,
    OrderStatus,
    OrderType,
    Position,
    Quote,
)

log = get_logger("brokers.binance")


class BinanceVenue:
    """One Binance Spot account.

    symbols: what the session trades, written BASE/QUOTE. state: file that keeps what the venue told, so that a later
    session goes on with the same numbers; None keeps it in memory. log: what to keep it with instead. clock,
    open_session: see `brokers.binance_link.BinanceLink`.
    """

    name = "binance"

    def __init__(
        self,
        settings: BinanceSettings,
        *,
        symbols: Iterable[str] = (),
        state: Path | None = None,
        log: VenueLog[BinanceOrder] | None = None,
        clock: Clock = WALL_CLOCK,
        open_session: OpenSession = ccxt_stream_session,
    ) -> None:
        self._symbols = tuple(symbols)
        self._clock = clock
        self._wake = asyncio.Event()
        self._book = BinanceBook(log or VenueLog(state, BinanceOrder), self._wake.set)
        self._ear = BinanceEar(settings, self._book, clock=clock, open_session=open_session)
        self._link, self._desk, self._lists = self._ear.link, self._ear.desk, self._ear.lists
        self._pairs: dict[str, Pair] = {}
        self._handed_over = 0
        self._open = self._recovering = False

    # -- the session

    @property
    def sequence(self) -> int:
        """Number of the last event that is handed to `events()`."""
        return self._book.log.sequence

    @property
    def external(self) -> Sequence[External]:
        """Trades on the account that no order of this run brought about, since it connected."""
        return tuple(self._book.external)

    async def connect(self) -> None:
        """Open the session, and learn what has happened since the last. Raises VenueFatal, with what to do."""
        if self._open:
            return
        self._book.load()
        self._handed_over = self._book.log.sequence
        self._wake.clear()
        try:
            await self._link.open()
            self._pairs = read_pairs(self._link.markets)
            self._book.pairs = {pair.native: pair for pair in self._pairs.values()}
            for symbol in self._symbols:
                if symbol not in self._pairs:
                    raise VenueFatal(f"Binance does not trade {symbol!r}", hint="write it as BASE/QUOTE")
            self._open = True
            natives = frozenset(self._pairs[symbol].native for symbol in self._symbols)
            await self._desk.begin(natives)
            self._recovering = True
            await self._ear.start(natives, self._lost, self._complete)
            self._recovering = False
            self._handed_over = self._book.log.sequence
            for order in self._book.live():
                self._ear.expire_in_time(order.intent)
        except BaseException:
            await self.close()
            raise

    def watch_stream(self, told: Callable[[bool], None]) -> None:
        """Have `told` called, on the venue's thread, when what tells us of orders is lost (False) and stands again (True)."""
        self._link.on_stream = told

    async def close(self) -> None:
        """End the session and `events()`; orders resting at Binance stay there."""
        self._open = False
        await self._ear.stop()
        self._book.log.close()
        self._wake.set()

    async def ping(self) -> None:
        """A round trip to Binance and back; what it said before has been taken in afterwards."""
        await self._link.ping()
        await self._ear.settled()

    # -- looking

    async def instruments(self) -> Mapping[str, Instrument]:
        """Everything Binance trades at present."""
        return {symbol: pair.instrument for symbol, pair in self._pairs.items()}

    async def balances(self) -> Mapping[str, Decimal]:
        """Free and locked together, by asset."""
        account = await self._link.read("privateGetAccount", {"omitZeroBalances": "true"})
        rows = ((row["asset"], Decimal(row["free"]) + Decimal(row["locked"])) for row in account["balances"])
        return {asset: amount for asset, amount in rows if amount}

    async def positions(self) -> Mapping[str, Position]:
        """What our own fills have left, by symbol; flat symbols are absent."""
        return self._book.positions()

    async def open_orders(self) -> Sequence[OrderState]:
        """Orders that can still fill, oldest first; those held back for their bracket have status INTENT.

        One that was told is among them while it is being placed (again); one nobody heard of yet is not.
        """
        told = [
            o for o in self._book.live() if o.stage is not Stage.SENT or o.status is not OrderStatus.INTENT
        ]
        return [order.state() for order in told]

    async def order(self, client_id: str) -> OrderState | None:
        """What Binance knows of this order, or None once it is certain that it never took it."""
        order = self._book.order(client_id)
        if order is None or order.stage is Stage.ABSENT:
            return None
        if order.live and order.stage in (Stage.SENT, Stage.KNOWN):
            async with self._ear.acting:
                order = self._book.order(client_id)
                if order is not None and order.stage is Stage.SENT:
                    order = await self._desk.settle(order)
                elif order is not None and order.live:
                    await self._desk.look(order)
                order = self._book.order(client_id) if order is not None else None
        return None if order is None else order.state()

    async def fills(self, since: int) -> Sequence[OrderEvent]:
        """Every event after number `since`, oldest first."""
        return self._book.log.events[max(since, 0) :]

    async def quote(self, symbol: str) -> Quote | None:
        """Best bid and ask, or None before the first price."""
        pair = self._pairs.get(symbol)
        if pair is None:
            return None
        try:
            best = await self._link.read("publicGetTickerBookTicker", {"symbol": pair.native})
        except Refused:
            return None
        return Quote(
            symbol,
            self._clock.now(),
            Decimal(best["bidPrice"]),
            Decimal(best["askPrice"]),
            Decimal(best["bidQty"]),
            Decimal(best["askQty"]),
        )

    # -- acting

    async def submit(self, intent: OrderIntent) -> None:
        """Hand over one order; a client id that is known changes nothing.

        Raises OrderRejected for what Binance refuses, OutcomeUnknown when nobody can say.
        """
        known = self._book.order(intent.client_id)
        if known is not None and known.stage is not Stage.ABSENT:
            return
        order = self._new_order(intent)
        async with self._ear.acting:
            await self._desk.begin(frozenset({order.native}))
            if not intent.transmit:
                self._book.keep(order)
                return
            await self._release(order)
            self._ear.expire_in_time(intent)

    async def cancel(self, client_id: str) -> bool:
        """Cancel an order, and with it the other one of its pair; False when there was nothing left to cancel."""
        async with self._ear.acting:
            order = self._book.order(client_id)
            if order is not None and order.stage in (Stage.SENT, Stage.ABSENT):
                await self._complete()
                order = self._book.order(client_id)
            if order is None:
                return False
            done = await self._desk.cancel(order)
            await self._ear.follow(client_id)
            return done

    async def amend(
        self,
        client_id: str,
        *,
        size: Decimal | None = None,
        price: Decimal | None = None,
        limit: Decimal | None = None,
    ) -> bool:
        """Change a resting order: it is placed anew, under an id of its own. False when it does not rest alone.

        size: the whole size; at or below what has filled it cancels the rest. Announced by an event with reason
        "amended".
        """
        for name, value in (("size", size), ("price", price), ("limit", limit)):
            if value is not None and not (value.is_finite() and value > 0):
                raise OrderRejected(f"{name} {value} must be above 0", rule=name, value=value)
        async with self._ear.acting:
            order = self._book.order(client_id)
            if order is None or not order.live or order.list_id or order.stage is Stage.SENT:
                return False
            pair = self._book.pairs[order.native]
            wanted = replace(order, price=price or order.price, limit=limit or order.limit)
            if size is not None:
                wanted = replace(wanted, size=size, quantity=pair.lots(size))
            if order.stage in (Stage.WAITING, Stage.HELD):
                self._book.accepted(wanted, self._link.milliseconds(), reason="amended")
                return True
            if wanted.quantity <= order.traded:
                return await self._desk.cancel(order)
            changed = await self._desk.change(order, wanted)
            self._ear.hear_deferred()
            return changed

    async def events(self) -> AsyncIterator[OrderEvent]:
        """Each event once, in order, from the moment of `connect`; ends when the venue is closed."""
        while True:
            told = self._book.log.events
            while self._handed_over < len(told):
                self._handed_over += 1
                yield told[self._handed_over - 1]
            if not self._open:
                return
            self._wake.clear()
            await self._wake.wait()

    # -- within: orders

    def _lost(self) -> None:
        """Nothing more will be heard: `events()` ends, and whoever listens knows."""
        self._open = False
        self._wake.set()

    def _new_order(self, intent: OrderIntent) -> BinanceOrder:
        pair = self._pairs.get(intent.symbol)
        if pair is None:
            raise OrderRejected(f"Binance does not trade {intent.symbol!r}", rule="instrument")
        for name, linked in (("oco", intent.oco), ("parent", intent.parent)):
            if linked is not None and self._book.order(linked) is None:
                raise OrderRejected(f"{name} names an unknown order {linked!r}", rule=name)
        quantity = pair.lots(sellable(intent, self._book.held(intent.symbol)))
        check_intent(intent, pair, quantity)
        limit = None if intent.type is OrderType.LIMIT else limit_of(intent)
        return BinanceOrder(
            intent, pair.native, Stage.HELD, intent.size, quantity, price=intent.price, limit=limit
        )

    async def _release(self, order: BinanceOrder) -> None:
        """Send an order, with those of its bracket that were held back for it."""
        top = order.intent.parent or order.client_id
        family = [
            o for o in self._book.live() if o.stage is Stage.HELD and top in (o.client_id, o.intent.parent)
        ]
        if order.client_id not in {member.client_id for member in family}:
            family.append(order)
        if order.intent.parent is not None:
            self._book.keep(order)
        parent = self._book.order(order.intent.parent or "")
        if parent is not None and parent.stage in (Stage.SENT, Stage.ABSENT):
            await self._find_parent(parent)
        for member in family:
            if member.intent.parent is not None:
                self._book.accepted(replace(member, stage=Stage.WAITING), self._link.milliseconds())
            elif member.client_id == order.client_id:
                await self._place(member)
            else:
                await self._place_or_tell(member)
        await self._ear.follow(top)

    async def _find_parent(self, parent: BinanceOrder) -> None:
        """Find out about the parent of a bracket; one that never arrived is sent by a session that takes it up again.

        In the session that lost it, that it was lost is told as its end.
        """
        if parent.stage is not Stage.ABSENT and await self._desk.settle(parent) is not None:
            return
        if self._recovering:
            await self._place_or_tell(parent)
        else:
            self._tell_lost(parent)

    def _tell_lost(self, order: BinanceOrder) -> None:
        reason = "it never reached Binance"
        self._book.refused(order, OrderStatus.REJECTED, self._link.milliseconds(), reason)

    async def _complete(self) -> None:
        """A bracket whose last order had come when the session died or Binance went silent: not all of it was sent."""
        for order in self._book.live():
            if order.stage is Stage.HELD and order.intent.transmit and order.intent.parent is not None:
                await self._release(order)

    async def _place(self, order: BinanceOrder) -> None:
        partner = self._book.order(order.intent.oco) if order.intent.oco is not None else None
        try:
            if partner is not None:
                await self._lists.join(order, partner)
            else:
                await self._desk.place(order)
        except OrderRejected:
            self._book.forget(self._book.order(order.client_id) or order)
            raise

    async def _place_or_tell(self, order: BinanceOrder) -> None:
        """Place the parent of a bracket; that it was refused cannot be raised: another order is being submitted."""
        try:
            await self._place(order)
        except OutcomeUnknown:
            if await self._desk.settle(self._book.order(order.client_id) or order) is None:
                self._tell_lost(order)
        except OrderRejected as refusal:
            self._book.refused(
                replace(order, status=OrderStatus.INTENT),
                OrderStatus.REJECTED,
                self._link.milliseconds(),
                refusal.message,
            )


def read_pairs(markets: Mapping[str, Any]) -> dict[str, Pair]:
    """What is traded, out of ccxt's description; numbers as Binance wrote them."""
    pairs = {}
    for symbol, market in markets.items():
        info = market["info"]
        if not market.get("spot") or info.get("status") != "TRADING":
            continue
        filters = {row["filterType"]: row for row in info["filters"]}
        notional = filters.get("NOTIONAL") or filters.get("MIN_NOTIONAL") or {}
        instrument = Instrument(
            symbol,
            market["quote"],
            tick_size=_step(filters, "PRICE_FILTER", "tickSize"),
            lot_size=_step(filters, "LOT_SIZE", "stepSize"),
            min_notional=Decimal(notional["minNotional"]) if notional else None,
        )
        pairs[symbol] = Pair(instrument, market["id"], market["base"], market["quote"])
    return pairs


def _step(filters: Mapping[str, Any], name: str, field: str) -> Decimal | None:
    value = Decimal(filters.get(name, {}).get(field, "0")).normalize()
    return value or None
