"""What lies between the bot and the exchange: requests and messages that take time, and may not arrive."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from brokers.simulation.faults import LONGEST_HOLD, REQUEST_FAULTS, UNKNOWN_ERRORS, Faults
from brokers.simulation.market import Market
from brokers.simulation.mortality import Life
from brokers.simulators.binance.answers import Json, milliseconds
from brokers.simulators.binance.errors import BinanceError, told_fault
from brokers.simulators.binance.reports import execution_report
from brokers.simulators.orders import Event

Act = Callable[[], Any]
Answer = asyncio.Future[Any]
FASTEST, SLOWEST = 0.005, 0.15
OUTAGE_SECONDS = (1.0, 25.0)
PATIENCE_SECONDS, SETTLING_SECONDS = 10.0, 7.0
"""How long a client waits for an answer; and, once that is lost, until the request can have no effect any more."""


class Broken(Exception):
    """The connection is gone. Handler: the session, which says it as ccxt does."""


class Connection:
    """One user stream. hear: called with each report that arrives; lost: when the connection has ended."""

    def __init__(
        self, life: Life, hear: Callable[[Json], None], lost: Callable[[], None], patience: float
    ) -> None:
        self.life = life
        self.hear = hear
        self.lost = lost
        self.patience = patience
        self.open = True
        self.frozen = False
        self.next_at = 0.0


class Network:
    """Carries requests and reports, with the faults of one seed.

    down: the exchange does not answer at all. troubled_until: until when a request that a fault struck holds a
    session up.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, market: Market, faults: Faults, note: Callable[[str], None]
    ) -> None:
        self._loop = loop
        self._market = market
        self._faults = faults
        self._note = note
        self._connections: list[Connection] = []
        self.down = False
        self.troubled_until = 0.0
        market.exchange.books.listen(self._report)
        for moment, name in faults.moments:
            loop.call_at(moment, self._strike, name)

    # -- requests

    def send(self, life: Life, what: str, act: Act, *, orders: bool) -> Answer:
        """Send a request off; it arrives, or not, whatever becomes of its sender. orders: it makes an order."""
        answer: Answer = self._loop.create_future()
        names = REQUEST_FAULTS if orders else tuple(name for name in REQUEST_FAULTS if name != "reject")
        fault = self._faults.on_request(what, names)
        self._note(f"{what}{f' [{fault}]' if fault else ''}")
        held = self._hold() if fault in ("hold", "hold-answer") else 0.0
        if fault:
            # A request that is lost is waited for, and then until it can no longer arrive.
            lost = PATIENCE_SECONDS if fault.startswith("silence") else held
            self.troubled_until = max(self.troubled_until, self._loop.time() + lost + SETTLING_SECONDS)
        if fault != "silence-before-accept":
            self._loop.call_later(
                self._delay() + (held if fault == "hold" else 0.0),
                self._arrive,
                life,
                what,
                act,
                fault,
                held,
                answer,
            )
        return answer

    def _arrive(
        self, life: Life, what: str, act: Act, fault: str | None, held: float, answer: Answer
    ) -> None:
        """The exchange has a request before it."""
        back = self._delay() + (held if fault == "hold-answer" else 0.0)
        if self.down or fault == "drop-before-accept":
            self._loop.call_later(back, self._answer, life, answer, Broken(f"{what}: connection reset"))
            return
        outcome: Any
        try:
            outcome = self._outcome(fault, act)
        except BinanceError as refusal:
            self._note(f"{what} -> {refusal}")
            outcome = refusal
        if fault == "silence-after-accept":
            return
        if fault == "drop-after-accept":
            outcome = Broken(f"{what}: connection reset")
        self._loop.call_later(back, self._answer, life, answer, outcome)

    def _outcome(self, fault: str | None, act: Act) -> Any:
        random = self._faults.random
        if fault in ("fail-before-accept", "fail-after-accept"):
            code, _ = random.choice(UNKNOWN_ERRORS)
            if fault == "fail-after-accept":
                act()
            raise (
                told_fault(code, "", known=False)
                if code in (-1006, -1007)
                else BinanceError(code, status=503)
            )
        if fault == "reject":
            code, text = random.choice(
                ((-2010, "Account has insufficient balance"), (-1013, "Filter failure"))
            )
            raise BinanceError(code, text)
        if fault == "rate-limit":
            self._market.operations.limits.block(random.randint(1, 5), ban=False)
        return act()

    def _answer(self, life: Life, answer: Answer, outcome: Any) -> None:
        if not life.alive or answer.done():
            return
        if isinstance(outcome, Exception):
            answer.set_exception(outcome)
        else:
            answer.set_result(outcome)

    # -- the user stream

    def subscribe(self, connection: Connection) -> None:
        """Send the account's reports to a connection from now on."""
        self._connections.append(connection)

    def hang_up(self, connection: Connection) -> None:
        """The client has closed a connection."""
        connection.open = False
        if connection in self._connections:
            self._connections.remove(connection)

    def _report(self, event: Event) -> None:
        report = execution_report(event, milliseconds(event.time))
        if report is None:
            return
        for connection in self._connections:
            self._push(connection, report)

    def _push(self, connection: Connection, report: Json) -> None:
        """Put a report on its way: after those before it, unless a fault has it otherwise."""
        what = f"report {report['x']} {report['X']} {report['C'] or report['c']} {report['z']}"
        fault = self._faults.on_report(what)
        if fault:
            self._note(f"{what} [{fault}]")
        if fault == "lose":
            return
        at = max(connection.next_at, self._loop.time() + self._delay())
        if fault == "late":
            at += self._hold()
        if fault == "reorder":
            at += self._faults.random.uniform(0.0, 2.0)
        else:
            connection.next_at = at
        self._loop.call_at(at, self._deliver, connection, report)
        if fault == "duplicate":
            self._loop.call_at(at + self._delay(), self._deliver, connection, report)

    def _deliver(self, connection: Connection, report: Json) -> None:
        if connection.open and not connection.frozen and connection.life.alive:
            connection.hear(report)

    # -- what strikes by itself

    def _strike(self, name: str) -> None:
        if self._faults.calm:
            return
        self._faults.note(name)
        self._note(f"[{name}]")
        if name == "manual-trade":
            self._market.trade_by_hand(self._faults.random)
        elif name == "disconnect":
            self._cut(0.0)
        elif name == "half-open":
            for connection in self._connections:
                connection.frozen = True
                self._loop.call_later(connection.patience, self._end, connection)
        else:
            self._cut(0.0)
            self.down = True
            self._loop.call_later(self._faults.random.uniform(*OUTAGE_SECONDS), self._up)

    def _cut(self, after: float) -> None:
        for connection in list(self._connections):
            self._loop.call_later(after, self._end, connection)

    def _end(self, connection: Connection) -> None:
        if connection.open:
            self.hang_up(connection)
            if connection.life.alive:
                connection.lost()

    def _up(self) -> None:
        self.down = False
        self.troubled_until = max(self.troubled_until, self._loop.time() + SETTLING_SECONDS)
        self._note("the exchange is back")

    def _delay(self) -> float:
        return self._faults.random.uniform(FASTEST, SLOWEST)

    def _hold(self) -> float:
        return self._faults.random.uniform(0.5, LONGEST_HOLD)
