"""One client's connection: the handshake, requests in, messages out, and the faults that strike on the way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from brokers.simulators.faults import Fault, Faults, Point
from brokers.simulators.tws.codec import Fields, Malformed, Value, encode, read_frame

SERVER_VERSION = 176
SYSTEM = -1
START_API = 71
PROMPT = b"API\0"

REQUESTS = {
    1: "reqMktData",
    2: "cancelMktData",
    3: "placeOrder",
    4: "cancelOrder",
    5: "reqOpenOrders",
    6: "reqAccountUpdates",
    7: "reqExecutions",
    8: "reqIds",
    9: "reqContractDetails",
    14: "setServerLogLevel",
    15: "reqAutoOpenOrders",
    16: "reqAllOpenOrders",
    17: "reqManagedAccts",
    20: "reqHistoricalData",
    25: "cancelHistoricalData",
    49: "reqCurrentTime",
    50: "reqRealTimeBars",
    51: "cancelRealTimeBars",
    58: "reqGlobalCancel",
    59: "reqMarketDataType",
    61: "reqPositions",
    62: "reqAccountSummary",
    63: "cancelAccountSummary",
    64: "cancelPositions",
    76: "reqAccountUpdatesMulti",
    77: "cancelAccountUpdatesMulti",
    91: "reqMarketRule",
    99: "reqCompletedOrders",
}
MESSAGES = {
    1: "tickPrice",
    2: "tickSize",
    3: "orderStatus",
    4: "error",
    5: "openOrder",
    11: "execDetails",
    50: "realtimeBar",
    59: "commissionReport",
    61: "position",
    90: "historicalDataUpdate",
}
Message = tuple[Value, ...]


class Host(Protocol):
    """What a session needs of the gateway it belongs to."""

    faults: Faults

    def admit(self, session: Session) -> bool:
        """Whether the session's client id is free; it is taken from then on."""
        ...

    def leave(self, session: Session) -> None:
        """The session has ended."""
        ...

    def handle(self, session: Session, number: int, fields: Fields) -> None:
        """Carry out one request."""
        ...

    def connection_time(self) -> str:
        """The time told in the handshake."""
        ...


class Session:
    """One connection. client: its id, -1 before it has told it. auto_open: it hears of orders placed by hand."""

    def __init__(self, host: Host, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.client = -1
        self.auto_open = False
        self._host = host
        self._reader = reader
        self._writer = writer
        self._frozen = False
        self._lost = False
        self._kept: list[bytes] | None = None
        self._late: list[bytes] = []

    async def run(self) -> None:
        """Serve until either side closes."""
        try:
            if await self._greet():
                while True:
                    content = await read_frame(self._reader)
                    if not self._frozen:
                        await self._take(Fields(content))
        except (asyncio.IncompleteReadError, ConnectionError, Malformed):
            pass
        finally:
            self._host.leave(self)
            self.close()

    def close(self) -> None:
        """End the connection."""
        self._writer.close()

    def freeze(self) -> None:
        """Leave the connection open, with nothing moving on it any more."""
        self._frozen = True

    def send(self, *fields: Value) -> None:
        """An answer to a request."""
        self._write(encode(*fields))

    def push(self, *fields: Value) -> None:
        """A message nobody asked for just now; faults may strike it."""
        number = fields[0]
        content = encode(*fields)
        fault = self._host.faults.at(Point.MESSAGE, MESSAGES.get(int(str(number)), str(number)))
        if fault is not None and fault.name in ("mute", "lose"):
            return
        if fault is not None and fault.name == "reorder":
            self._late.append(content)
            return
        self._write(content)
        if fault is not None and fault.name == "duplicate":
            self._write(content)
        late, self._late = self._late, []
        for message in late:
            self._write(message)

    def error(self, request: int, code: int, text: str) -> None:
        """An error message; request -1 speaks of nothing in particular."""
        self.send(4, 2, request, code, text, "")

    # -- inside

    async def _greet(self) -> bool:
        """Agree on the version and on the client's id."""
        if await self._reader.readexactly(len(PROMPT)) != PROMPT:
            return False
        versions = (await read_frame(self._reader)).decode().partition(" ")[0]
        lowest, _, highest = versions.removeprefix("v").partition("..")
        if not int(lowest) <= SERVER_VERSION <= int(highest or lowest):
            return False
        self._write(encode(SERVER_VERSION, self._host.connection_time()))
        fields = Fields(await read_frame(self._reader))
        if fields.integer() != START_API:
            return False
        fields.skip(1)
        self.client = fields.integer()
        return self._host.admit(self)

    async def _take(self, fields: Fields) -> None:
        number = fields.integer()
        what = " ".join([REQUESTS.get(number, str(number)), *fields.peek()])
        before = self._host.faults.at(Point.REQUEST, what)
        if before is not None and not await self._struck_before(before, number, fields):
            return
        after = self._host.faults.at(Point.ANSWER, what)
        if after is None:
            self._host.handle(self, number, fields)
            return
        await self._struck_after(after, number, fields)

    async def _struck_before(self, fault: Fault, number: int, fields: Fields) -> bool:
        """Carry out a fault ahead of a request; False when the request is not to be looked at."""
        if fault.name == "hold":
            await asyncio.sleep(fault.seconds)
            return True
        if fault.name == "reject":
            self.error(
                _request_id(number, Fields.of(fields)), fault.code or 201, fault.text or "Order rejected"
            )
        elif fault.name == "rate-limit":
            self.error(SYSTEM, 100, "Max rate of messages per second has been exceeded")
        else:
            self.close()
        return False

    async def _struck_after(self, fault: Fault, number: int, fields: Fields) -> None:
        """Let the exchange act, and the answer be lost, late, or an error."""
        request = _request_id(number, Fields.of(fields))
        if fault.name == "hold-answer":
            self._kept = []
            self._host.handle(self, number, fields)
            await asyncio.sleep(fault.seconds)
            kept, self._kept = self._kept, None
            for content in kept:
                self._write(content)
            return
        self._lost = True
        self._host.handle(self, number, fields)
        if fault.name == "fail-after-accept":
            self._lost = False
            self.error(request, fault.code or 201, fault.text or "Order rejected")
            return
        self.close()

    def _write(self, content: bytes) -> None:
        if self._kept is not None:
            self._kept.append(content)
        elif not (self._frozen or self._lost or self._writer.is_closing()):
            self._writer.write(content)


Handler = Callable[[Session, Fields], None]


def _request_id(number: int, fields: Fields) -> int:
    """The id a request carries: behind its version where it has one."""
    if number in (3, 20, 99):
        return fields.integer()
    if number in (1, 4, 7, 9, 50, 62, 76):
        fields.skip(1)
        return fields.integer()
    return SYSTEM
