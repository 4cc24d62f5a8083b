"""The gateway: its listening socket, who is connected, what each request does, and the exchange's news to its clients."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from brokers.simulators.control import HOST
from brokers.simulators.faults import Fault, Faults, Point
from brokers.simulators.orders import Change, Event
from brokers.simulators.simulation import Simulation
from brokers.simulators.tws.accounts import Accounts
from brokers.simulators.tws.codec import Fields, Malformed, stamp
from brokers.simulators.tws.contracts import FIRST_CON_ID, Directory, Stock, read_contract
from brokers.simulators.tws.desk import Desk
from brokers.simulators.tws.market_data import MarketData
from brokers.simulators.tws.session import SYSTEM, Handler, Session
from brokers.simulators.tws.trading import Trading

NOTICES = (
    (2104, "Market data farm connection is OK:usfarm"),
    (2106, "HMDS data farm connection is OK:ushmds"),
    (2158, "Sec-def data farm connection is OK:secdefnj"),
)
NEEDS_SERVER = frozenset({1, 3, 4, 7, 9, 20, 50, 58, 99})
LOST, RESTORED_EMPTY, RESTORED = 1100, 1101, 1102
CONNECTIVITY = {
    LOST: "Connectivity between IB and Trader Workstation has been lost.",
    RESTORED_EMPTY: "Connectivity between IB and Trader Workstation has been restored - data lost.",
    RESTORED: "Connectivity between IB and Trader Workstation has been restored - data maintained.",
}


class Gateway:
    """A TWS at work over one simulation, for one account."""

    def __init__(self, simulation: Simulation, account: str) -> None:
        self.faults: Faults = simulation.faults
        self.port = 0
        self._simulation = simulation
        self._account = account
        self._sessions: dict[int, Session] = {}
        self._connected: dict[Session, asyncio.Task[None]] = {}
        self._server: asyncio.Server | None = None
        self._limbo: list[Callable[[], None]] | None = None
        self._comeback: asyncio.TimerHandle | None = None
        exchange = simulation.exchange
        listings = enumerate(exchange.books.listings.values(), FIRST_CON_ID)
        self._directory = Directory(
            Stock(number, listing.symbol, listing.tick_size, listing.lot_size, currency=listing.quote)
            for number, listing in listings
        )
        self._desk = Desk(exchange, self._directory, account)
        self._accounts = Accounts(simulation, self._directory, account)
        self._trading = Trading(exchange, self._directory, self._desk, self._accounts)
        self._data = MarketData(simulation, self._directory)
        self._handlers = self._all_handlers()
        exchange.books.listen(self._tell)
        simulation.on_tick(self._data.on_tick)
        self.faults.on_now(self._strike)

    async def start(self, port: int = 0) -> None:
        """Listen; port 0 takes any free one, and `port` says which."""
        self._server = await asyncio.start_server(self._serve, HOST, port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """End every connection and stop listening."""
        if self._comeback is not None:
            self._comeback.cancel()
        ending = [*self._connected.values()]
        self._go_away()
        await asyncio.gather(*ending)

    def view(self) -> dict[str, object]:
        """What the control API adds to its state."""
        return {
            "clients": sorted(self._sessions),
            "next_ids": {client: self._desk.next_id(client) for client in self._sessions},
            "connected": self._limbo is None,
        }

    # -- what sessions need

    def connection_time(self) -> str:
        """The time told in the handshake."""
        return stamp(self._simulation.clock.now())

    def admit(self, session: Session) -> bool:
        """Take a client in, unless its id is in use."""
        if session.client in self._sessions:
            session.error(SYSTEM, 326, "Unable to connect as the client id is already in use.")
            return False
        self._sessions[session.client] = session
        session.send(15, 1, self._account)
        session.send(9, 1, self._desk.next_id(session.client))
        for code, text in NOTICES:
            session.error(SYSTEM, code, text)
        return True

    def leave(self, session: Session) -> None:
        """A connection has ended; its streams end with it."""
        self._connected.pop(session, None)
        if self._sessions.get(session.client) is session:
            del self._sessions[session.client]
        self._data.forget(session)
        self._accounts.forget(session)

    def handle(self, session: Session, number: int, fields: Fields) -> None:
        """Carry out one request; while the gateway has lost its own server, keep what it cannot answer by itself."""
        if self._limbo is not None and number in NEEDS_SERVER:
            self._limbo.append(lambda: self._carry_out(session, number, fields))
            return
        self._carry_out(session, number, fields)

    # -- inside

    def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.faults.at(Point.CONNECT) is not None:
            writer.close()
            return
        session = Session(self, reader, writer)
        self._connected[session] = asyncio.create_task(session.run(), name="tws session")

    def _all_handlers(self) -> dict[int, Handler]:
        return {
            8: self._next_id,
            9: self._contract_details,
            14: lambda session, fields: None,
            17: lambda session, fields: session.send(15, 1, self._account),
            49: self._current_time,
            91: self._market_rule,
            **self._trading.handlers(),
            **self._accounts.handlers(),
            **self._data.handlers(),
        }

    def _carry_out(self, session: Session, number: int, fields: Fields) -> None:
        self._data.flush()
        handler = self._handlers.get(number)
        if handler is None:
            session.error(SYSTEM, 505, f"Fatal error: Unknown message id. ({number})")
            return
        try:
            handler(session, fields)
        except Malformed as error:
            session.error(SYSTEM, 320, f"Server error when reading an API client request: {error}")
        self._simulation.save()

    def _tell(self, event: Event) -> None:
        """The exchange's news to whom it concerns."""
        if event.execution is not None:
            self._accounts.take(event.execution)
        if self._limbo is None and event.order.account == self._account:
            self._trading.tell(event, self._sessions)
            if event.change is Change.TRADE:
                self._accounts.push(event.order.symbol)

    def _next_id(self, session: Session, fields: Fields) -> None:
        session.send(9, 1, self._desk.next_id(session.client))

    def _current_time(self, session: Session, fields: Fields) -> None:
        session.send(49, 1, int(self._simulation.clock.now().timestamp() + self.faults.skew()))

    def _contract_details(self, session: Session, fields: Fields) -> None:
        fields.skip(1)
        request, wanted = fields.integer(), read_contract(fields)
        found = self._directory.find(wanted)
        for stock in found:
            session.send(*stock.details(request))
        if found:
            session.send(52, 1, request)
        else:
            session.error(request, 200, "No security definition has been found for the request")

    def _market_rule(self, session: Session, fields: Fields) -> None:
        rule = fields.integer()
        step = min(stock.min_tick for stock in self._directory)
        session.send(93, rule, 1, "0.0", step)

    # -- faults

    def _strike(self, fault: Fault) -> None:
        sessions = [*self._connected]
        if fault.name == "half-open":
            for session in sessions:
                session.freeze()
        elif fault.name == "disconnect":
            for session in sessions:
                session.close()
        elif fault.name == "restart":
            self._restart(fault.seconds)
        elif fault.name == "id-rollback":
            self._desk.roll_back()
        elif fault.name == "message":
            self._notice(fault.code, fault.text)

    def _restart(self, seconds: float) -> None:
        """Go away, losing what was never transmitted, and listen on the same port again after `seconds`."""
        self._go_away()
        self._desk.drop_held()
        self._limbo, self._data.paused = None, False
        loop = asyncio.get_running_loop()
        self._comeback = loop.call_later(seconds, lambda: loop.create_task(self.start(self.port)))

    def _go_away(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for session in [*self._connected]:
            session.close()

    def _notice(self, code: int, text: str) -> None:
        """A notice to everybody; those on connectivity take effect as well."""
        if code == LOST:
            self._limbo, self._data.paused = [], True
        elif code in (RESTORED, RESTORED_EMPTY):
            waiting, self._limbo, self._data.paused = self._limbo or [], None, False
            if code == RESTORED_EMPTY:
                self._data.forget_all()
            for request in waiting:
                request()
        for session in self._sessions.values():
            session.error(SYSTEM, code, text or CONNECTIVITY.get(code, ""))
